# cmake -DPROGRAM=<executable> -DBLAS=<folder> -P tests/one_blas.cmake
# Passes if the program loads one OpenBLAS, from that folder, no other BLAS or LAPACK, and one
# OpenMP runtime: a second thread pool in the process costs more than it brings.
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND ldd ${PROGRAM} OUTPUT_VARIABLE libraries COMMAND_ERROR_IS_FATAL ANY)

function(expect_one pattern place)
  string(REGEX MATCHALL "[^\n\t]*lib(${pattern})[0-9_-]*\\.so[^\n]*" found "${libraries}")
  list(LENGTH found count)
  if(NOT count EQUAL 1 OR NOT found MATCHES "${place}")
    message(FATAL_ERROR "${PROGRAM}: expected one of ${pattern}, from ${place}, got: ${found}")
  endif()
endfunction()

expect_one("openblas[a-z]*|blas|cblas|lapack|lapacke|atlas|f77blas|mkl_rt|blis|flexiblas" "${BLAS}/")
expect_one("gomp|omp|iomp5" "")
