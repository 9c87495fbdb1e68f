ravine_test(unit_trial ${CMAKE_CURRENT_LIST_DIR}/trial.c unit)
