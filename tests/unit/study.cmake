ravine_test(unit_study ${CMAKE_CURRENT_LIST_DIR}/study.c unit)
ravine_test(unit_concentration ${CMAKE_CURRENT_LIST_DIR}/concentration.c unit)
ravine_test(unit_study_modular ${CMAKE_CURRENT_LIST_DIR}/study_modular.c unit)
ravine_test(unit_study_trials ${CMAKE_CURRENT_LIST_DIR}/study_trials.c unit)
