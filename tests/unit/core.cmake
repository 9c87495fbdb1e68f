ravine_test(unit_params ${CMAKE_CURRENT_LIST_DIR}/params.c unit)
ravine_test(unit_random ${CMAKE_CURRENT_LIST_DIR}/random.c unit)
ravine_test(unit_pool ${CMAKE_CURRENT_LIST_DIR}/pool.c unit threads)
ravine_test(unit_file ${CMAKE_CURRENT_LIST_DIR}/file.c unit)
