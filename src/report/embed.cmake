# Packs the parts of the page for .incbin: the chart script and the page's own script as
# gzip, and a header with their paths, sizes and SHA-256 (for the content security policy).
file(MAKE_DIRECTORY ${OUT})
set(script "\"use strict\";\n")
foreach(part ${SCRIPTS})
  file(READ ${part} text)
  string(APPEND script "${text}")
endforeach()
file(WRITE ${OUT}/page.js "${script}")
# A script element ends at its first end tag, wherever that stands.
foreach(part ${OUT}/page.js ${PLOTLY})
  file(READ ${part} text)
  string(REGEX MATCH "</[sS][cC][rR][iI][pP][tT]|<!--" end "${text}")
  if(end)
    message(FATAL_ERROR "${part} holds '${end}' and cannot be put into a page")
  endif()
endforeach()
file(COPY_FILE ${PLOTLY} ${OUT}/plotly.js ONLY_IF_DIFFERENT)
file(COPY_FILE ${HTML} ${OUT}/page.html)
file(COPY_FILE ${CSS} ${OUT}/page.css)

set(header "/* Made by src/report/embed.cmake. */\n")
foreach(part plotly.js page.js page.html page.css)
  file(SHA256 ${OUT}/${part} hash)
  file(SIZE ${OUT}/${part} size)
  file(ARCHIVE_CREATE OUTPUT ${OUT}/${part}.gz PATHS ${OUT}/${part} FORMAT raw COMPRESSION GZip)
  string(MAKE_C_IDENTIFIER ${part} name)
  string(TOUPPER ${name} name)
  string(APPEND header "#define EMBEDDED_${name} \"${OUT}/${part}.gz\"\n"
                       "#define EMBEDDED_${name}_SIZE ${size}\n"
                       "#define EMBEDDED_${name}_SHA256 \"${hash}\"\n")
endforeach()
file(WRITE ${OUT}/embedded_parts.h "${header}")
