# cmake -DCOMMAND=<list> -DKEYS=<list of JSON paths> -P bench_output.cmake
# Passes if `COMMAND --json` prints JSON in which every path (a.b.0.c) holds a number > 0; a path
# that ends with =N, the number N.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${COMMAND} --json RESULT_VARIABLE status OUTPUT_VARIABLE out
                ERROR_VARIABLE err)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "expected exit code 0, got ${status}: ${err}")
endif()
foreach(key IN LISTS KEYS)
  string(REGEX REPLACE "=.*" "" path ${key})
  string(REPLACE "." ";" steps ${path})
  string(JSON value ERROR_VARIABLE error GET "${out}" ${steps})
  if(error)
    message(FATAL_ERROR "expected a value at ${path}: ${error}\n${out}")
  endif()
  if(key MATCHES "=(.*)")
    if(NOT value EQUAL CMAKE_MATCH_1)
      message(FATAL_ERROR "expected ${key}, got ${value}")
    endif()
  elseif(NOT value GREATER 0)
    message(FATAL_ERROR "expected a number > 0 at ${path}, got ${value}")
  endif()
endforeach()
