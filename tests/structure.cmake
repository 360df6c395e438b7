# cmake -DROOT=<repository> -P tests/structure.cmake
#
# Fails, with one line per finding, on
#   - an include from a folder that stands above the file's own, in whichever form it is written;
#   - a project header included otherwise than as <isotape/folder/file.hpp>;
#   - a header of oneDNN or BLAS outside its one seam file, LAPACKE anywhere, and any third-party
#     header in a header of the library;
#   - headers of the project and others in one block of includes;
#   - a header of the project's in apps/verify/, the independent checker, but those of that folder;
#   - a header of core/ or ops/ without a test file that mirrors it;
#   - a citation [Name year] without its entry in the README's bibliography, an entry given twice;
#   - a file of more than 400 lines, a byte that is not ASCII, a mark of unfinished work.
cmake_minimum_required(VERSION 3.25)

set(library core ops layers optim datasets)
set(may_include_core core)
set(may_include_ops core ops)
set(may_include_layers core ops layers)
set(may_include_optim core ops layers optim)
set(may_include_datasets core datasets)
set(may_include_apps core ops layers optim datasets apps)
set(may_include_tests ${may_include_apps} tests)
set(folders ${library} apps tests)

set(seam_onednn ops/conv2d_onednn.cpp)
set(seam_blas core/blas.cpp)
set(line_budget 400)

function(report file text)
  message(SEND_ERROR "${file}: ${text}")
endfunction()

# The project folder that an include names, or "" for any other header.
function(included_folder file header quoted result)
  set(${result} "" PARENT_SCOPE)
  if(header MATCHES "^isotape/([a-z]+)/")
    set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
    return()
  endif()
  get_filename_component(here ${ROOT}/${file} DIRECTORY)
  foreach(base IN ITEMS ${here} ${ROOT})
    cmake_path(ABSOLUTE_PATH header BASE_DIRECTORY ${base} NORMALIZE OUTPUT_VARIABLE target)
    cmake_path(RELATIVE_PATH target BASE_DIRECTORY ${ROOT})
    string(REGEX REPLACE "/.*" "" folder "${target}")
    if(folder IN_LIST folders AND (quoted OR NOT base STREQUAL here))
      set(${result} ${folder} PARENT_SCOPE)
      return()
    endif()
  endforeach()
endfunction()

function(check_include file line)
  if(NOT line MATCHES "include[ \t]*([<\"])([^>\"]+)")
    report(${file} "an include without a file name: ${line}")
    return()
  endif()
  set(header "${CMAKE_MATCH_2}")
  string(COMPARE EQUAL "${CMAKE_MATCH_1}" "\"" quoted)
  string(REGEX REPLACE "/.*" "" folder ${file})

  included_folder(${file} ${header} ${quoted} target)
  if(file MATCHES "^apps/verify/" AND (target OR header MATCHES "omp\\.h$")
     AND NOT header MATCHES "^isotape/apps/verify/")
    report(${file} "the checker stands alone: ${header}")
  elseif(target AND NOT target IN_LIST may_include_${folder})
    report(${file} "${folder}/ may not include ${target}/: ${header}")
  elseif(quoted AND NOT folder STREQUAL "tests")
    report(${file} "spell it <isotape/folder/file.hpp>: \"${header}\"")
  elseif(header MATCHES "^(oneapi/|dnnl)")
    if(NOT file STREQUAL seam_onednn)
      report(${file} "only ${seam_onednn} may include ${header}")
    endif()
  elseif(header MATCHES "lapacke")
    report(${file} "LAPACKE brings a second BLAS into the process: ${header}")
  elseif(header MATCHES "^(cblas|f77blas|openblas|lapack)")
    if(NOT file STREQUAL seam_blas)
      report(${file} "only ${seam_blas} may include ${header}")
    endif()
  elseif(file MATCHES "\\.hpp$" AND folder IN_LIST library AND header MATCHES "[./]"
         AND NOT header MATCHES "^isotape/")
    report(${file} "a header of the library may not include ${header}")
  endif()
endfunction()

function(check_source file)
  file(STRINGS ${ROOT}/${file} includes REGEX "^[ \t]*#[ \t]*include")
  foreach(line IN LISTS includes)
    check_include(${file} "${line}")
  endforeach()
  file(READ ${ROOT}/${file} text)
  string(REGEX REPLACE "#include (<isotape/|\")[^\n]*" "#ours" lines "${text}")
  string(REGEX REPLACE "#include <[^\n]*" "#theirs" lines "${lines}")
  if(lines MATCHES "#ours\n#theirs|#theirs\n#ours")
    report(${file} "set the project's headers and others apart by an empty line")
  endif()
  string(REGEX MATCHALL "\n" newlines "${text}")
  list(LENGTH newlines count)
  if(count GREATER line_budget)
    report(${file} "${count} lines, the budget is ${line_budget}")
  endif()
endfunction()

function(check_text file)
  file(READ ${ROOT}/${file} text)
  if(text MATCHES "[^\t\n -~]")
    report(${file} "a byte that is not ASCII")
  endif()
  if(text MATCHES "[T]ODO|[F]IXME|[X]XX")
    report(${file} "unfinished work: ${CMAKE_MATCH_0}")
  endif()
endfunction()

# The keys of the README's bibliography.
file(STRINGS ${ROOT}/README.md entries REGEX "^- .[A-Z][^]]* [12][0-9][0-9][0-9][a-z]?]")
set(bibliography)
foreach(entry IN LISTS entries)
  string(REGEX MATCH "[A-Z][A-Za-z' -]* [12][0-9][0-9][0-9][a-z]?" key "${entry}")
  if(key IN_LIST bibliography)
    report(README.md "two entries of the bibliography for ${key}")
  endif()
  list(APPEND bibliography "${key}")
endforeach()

# "[Name year]", "[cf. Name year, equation 3]", "[Name year; Name year]", over a line's end too. Lists
# of CMake and brackets do not go together: an opening one reads < here, and a semicolon <<.
function(check_citations file)
  file(READ ${ROOT}/${file} text)
  string(REPLACE "[" "<" text "${text}")
  string(REPLACE ";" "<<" text "${text}")
  string(REGEX REPLACE "\n[ \t]*(///?)?[ \t]*" " " text "${text}")
  set(name "[A-Z][A-Za-z'-]+( [A-Z][A-Za-z'-]+)?")
  string(REGEX MATCHALL "< ?(cf\\. )?${name} (19|20)[0-9][0-9][a-z]?[]<,]" citations "${text}")
  list(REMOVE_DUPLICATES citations)
  foreach(citation IN LISTS citations)
    string(REGEX MATCH "${name} [0-9]+[a-z]?" key "${citation}")
    if(NOT key IN_LIST bibliography)
      report(${file} "not in the bibliography: ${key}")
    endif()
  endforeach()
endfunction()

foreach(folder IN LISTS folders)
  file(GLOB_RECURSE sources RELATIVE ${ROOT} ${ROOT}/${folder}/*.hpp ${ROOT}/${folder}/*.cpp
       ${ROOT}/${folder}/*.h ${ROOT}/${folder}/*.cc)
  foreach(file IN LISTS sources)
    check_source(${file})
    check_citations(${file})
  endforeach()
  file(GLOB_RECURSE scripts RELATIVE ${ROOT} ${ROOT}/${folder}/*.cmake
       ${ROOT}/${folder}/CMakeLists.txt)
  foreach(file IN LISTS sources scripts)
    check_text(${file})
  endforeach()
endforeach()

file(GLOB scripts RELATIVE ${ROOT} ${ROOT}/CMakeLists.txt ${ROOT}/cmake/* ${ROOT}/scripts/*
     ${ROOT}/.ci/run)
foreach(file IN LISTS scripts)
  check_text(${file})
endforeach()

file(GLOB headers RELATIVE ${ROOT} ${ROOT}/core/*.hpp ${ROOT}/ops/*.hpp)
foreach(header IN LISTS headers)
  string(REPLACE ".hpp" "_test.cpp" test ${header})
  if(NOT EXISTS ${ROOT}/tests/${test})
    report(${header} "expected its test, tests/${test}")
  endif()
endforeach()
