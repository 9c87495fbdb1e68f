ravine_test(unit_vec ${CMAKE_CURRENT_LIST_DIR}/vec.c unit)
