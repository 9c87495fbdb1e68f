ravine_test(unit_vec ${CMAKE_CURRENT_LIST_DIR}/vec.c unit)
ravine_test(unit_product ${CMAKE_CURRENT_LIST_DIR}/product.c unit)
ravine_test(unit_layers ${CMAKE_CURRENT_LIST_DIR}/layers.c unit)
ravine_test(unit_team ${CMAKE_CURRENT_LIST_DIR}/team.c unit)
# The other instruction sets as well; a processor that lacks one takes its best.
foreach(isa baseline avx2)
  add_test(NAME unit_team_${isa} COMMAND test_unit_team)
  set_tests_properties(unit_team_${isa} PROPERTIES LABELS unit TIMEOUT 600 ENVIRONMENT RAVINE_ISA=${isa})
endforeach()
