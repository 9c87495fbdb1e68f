ravine_test(unit_study ${CMAKE_CURRENT_LIST_DIR}/study.c unit)
