ravine_test(unit_optim_rules ${CMAKE_CURRENT_LIST_DIR}/optim_rules.c unit)
ravine_test(unit_optim_identities ${CMAKE_CURRENT_LIST_DIR}/optim_identities.c unit)
ravine_test(unit_optim_clip ${CMAKE_CURRENT_LIST_DIR}/optim_clip.c unit)
ravine_test(unit_optim_parts ${CMAKE_CURRENT_LIST_DIR}/optim_parts.c unit)
