# make install: program, both libraries, headers, pkg-config, CMake package, manual, completions.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS ravine_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS ravine EXPORT ravine-targets
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY include/ravine DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")

# Relative to the file itself: PREFIX is chosen when installing, not when configuring.
file(RELATIVE_PATH RAVINE_PREFIX_FROM_PC /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" RAVINE_PREFIX_FROM_PC ${RAVINE_PREFIX_FROM_PC})
configure_file(cmake/ravine.pc.in ravine.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/ravine.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(EXPORT ravine-targets NAMESPACE ravine:: DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ravine)
file(WRITE ${PROJECT_BINARY_DIR}/ravine-config.cmake
  "include(\"\${CMAKE_CURRENT_LIST_DIR}/ravine-targets.cmake\")\n")
write_basic_package_version_file(ravine-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/ravine-config.cmake ${PROJECT_BINARY_DIR}/ravine-config-version.cmake
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/ravine)

install(FILES ${PROJECT_BINARY_DIR}/generated/ravine.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${PROJECT_BINARY_DIR}/generated/ravine.bash RENAME ravine
  DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${PROJECT_BINARY_DIR}/generated/_ravine DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES ${PROJECT_BINARY_DIR}/generated/ravine.fish
  DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES LICENSE README.md CHANGELOG.md CITATION.cff DESTINATION ${CMAKE_INSTALL_DOCDIR})
