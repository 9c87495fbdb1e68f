ravine_test(unit_probe ${CMAKE_CURRENT_LIST_DIR}/probe.c unit)
