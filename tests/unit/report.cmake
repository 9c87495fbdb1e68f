ravine_test(unit_report_export ${CMAKE_CURRENT_LIST_DIR}/report_export.c unit)
ravine_test(unit_report_page ${CMAKE_CURRENT_LIST_DIR}/report_page.c unit)
