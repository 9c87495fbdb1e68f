foreach(module modular text words idx cifar glyphs images catalogue)
  ravine_test(unit_${module} ${CMAKE_CURRENT_LIST_DIR}/${module}.c unit)
endforeach()
