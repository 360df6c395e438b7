# cmake -DCOMMAND=<list> -DMESSAGE=<text> -P tests/expect_failure.cmake
# Passes if the command fails and says so with that text.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ${COMMAND} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE err)
string(FIND "${out}${err}" "${MESSAGE}" position)
if(status EQUAL 0 OR position EQUAL -1)
  message(FATAL_ERROR "expected a failure with '${MESSAGE}', got exit code ${status}: ${out}${err}")
endif()
