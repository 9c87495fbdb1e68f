ravine_test(unit_arrays ${CMAKE_CURRENT_LIST_DIR}/arrays.c unit)
