ravine_test(unit_bench_score ${CMAKE_CURRENT_LIST_DIR}/bench_score.c unit)
# Trials are played by the test, so plans and runs are checked without training anything.
ravine_test(unit_bench_run ${CMAKE_CURRENT_LIST_DIR}/bench_run.c unit)
foreach(played rv_workload_find rv_trial_resolve rv_trial_id rv_trial_run rv_trial_read)
  target_link_options(test_unit_bench_run PRIVATE "LINKER:--wrap=${played}")
endforeach()
foreach(module sampler space submission plan)
  ravine_test(unit_bench_${module} ${CMAKE_CURRENT_LIST_DIR}/bench_${module}.c unit)
endforeach()
