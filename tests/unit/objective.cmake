ravine_test(unit_objective ${CMAKE_CURRENT_LIST_DIR}/objective.c unit threads)
ravine_test(unit_prompt ${CMAKE_CURRENT_LIST_DIR}/prompt.c unit)
ravine_test(unit_labels ${CMAKE_CURRENT_LIST_DIR}/labels.c unit threads)
ravine_test(unit_factors ${CMAKE_CURRENT_LIST_DIR}/factors.c unit threads)
# Not under the thread sanitizer: OpenBLAS, whose eigenvectors it takes in workers, is not built for that.
ravine_test(unit_kfac_training ${CMAKE_CURRENT_LIST_DIR}/kfac_training.c unit)
