ravine_test(unit_probe ${CMAKE_CURRENT_LIST_DIR}/probe.c unit)
ravine_test(unit_landscape ${CMAKE_CURRENT_LIST_DIR}/landscape.c unit)
ravine_test(unit_landscape_curve ${CMAKE_CURRENT_LIST_DIR}/landscape_curve.c unit)
