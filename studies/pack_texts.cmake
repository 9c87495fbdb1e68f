# Joins ru/NAME.json into one object {"NAME": {English: Russian}} for .incbin, and writes a header
# with its path and hash, so that russian.c is compiled anew when a text changes.
set(all "{")
set(comma "")
foreach(file ${FILES})
  file(READ ${file} text)
  string(JSON kind ERROR_VARIABLE error TYPE "${text}")
  if(error OR NOT kind STREQUAL "OBJECT")
    message(FATAL_ERROR "${file}: expected a JSON object of texts, found ${kind} ${error}")
  endif()
  cmake_path(GET file STEM name)
  string(APPEND all "${comma}\"${name}\":${text}")
  set(comma ",")
endforeach()
file(WRITE ${OUT}/study_texts.json "${all}}")
file(SHA256 ${OUT}/study_texts.json hash)
file(WRITE ${OUT}/study_texts.h "/* Made by studies/pack_texts.cmake. ${hash} */\n"
     "#define STUDY_TEXTS \"${OUT}/study_texts.json\"\n")
