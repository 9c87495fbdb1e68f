ravine_test(unit_study ${CMAKE_CURRENT_LIST_DIR}/study.c unit)
ravine_test(unit_study_trials ${CMAKE_CURRENT_LIST_DIR}/study_trials.c unit)
