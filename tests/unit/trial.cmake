ravine_test(unit_trial ${CMAKE_CURRENT_LIST_DIR}/trial.c unit)
ravine_test(unit_trial_restart ${CMAKE_CURRENT_LIST_DIR}/trial_restart.c unit)
ravine_test(unit_point ${CMAKE_CURRENT_LIST_DIR}/point.c unit)
ravine_test(unit_trial_pause ${CMAKE_CURRENT_LIST_DIR}/trial_pause.c unit)
