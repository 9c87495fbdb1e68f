ravine_test(unit_objective ${CMAKE_CURRENT_LIST_DIR}/objective.c unit threads)
