ravine_test(unit_vec ${CMAKE_CURRENT_LIST_DIR}/vec.c unit)
ravine_test(unit_product ${CMAKE_CURRENT_LIST_DIR}/product.c unit)
ravine_test(unit_layers ${CMAKE_CURRENT_LIST_DIR}/layers.c unit)
ravine_test(unit_windows ${CMAKE_CURRENT_LIST_DIR}/windows.c unit)
