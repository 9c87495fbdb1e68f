ravine_test(unit_measure ${CMAKE_CURRENT_LIST_DIR}/measure.c unit)
