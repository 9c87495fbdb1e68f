ravine_test(unit_objective ${CMAKE_CURRENT_LIST_DIR}/objective.c unit threads)
ravine_test(unit_prompt ${CMAKE_CURRENT_LIST_DIR}/prompt.c unit)
ravine_test(unit_labels ${CMAKE_CURRENT_LIST_DIR}/labels.c unit threads)
ravine_test(unit_factors ${CMAKE_CURRENT_LIST_DIR}/factors.c unit threads)
