ravine_test(unit_arrays ${CMAKE_CURRENT_LIST_DIR}/arrays.c unit)
ravine_test(unit_shape ${CMAKE_CURRENT_LIST_DIR}/shape.c unit)
