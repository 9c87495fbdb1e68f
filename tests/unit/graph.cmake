ravine_test(unit_graph ${CMAKE_CURRENT_LIST_DIR}/graph.c unit)
ravine_test(unit_ops ${CMAKE_CURRENT_LIST_DIR}/ops.c unit)
ravine_test(unit_place ${CMAKE_CURRENT_LIST_DIR}/place.c unit)
ravine_test(unit_plan ${CMAKE_CURRENT_LIST_DIR}/plan.c unit)
