# cmake -DWAY=find_package|subdirectory -DSOURCE=<repository> -DBUILD=<our build> -DWORK=<folder>
#       -DCOMPILER=<c++> -DLAUNCHER=<ccache> -DFLAGS=<flags of our build> -DBLAS=<folder>
#       -P tests/consumer/run.cmake
#
# Installs what is built (find_package) or embeds the tree (subdirectory), then configures, builds
# and runs the consumer's program, and looks which BLAS it loads. WORK is kept, so that the library
# is compiled for the subdirectory consumer once.
cmake_minimum_required(VERSION 3.25)

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE status OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT status EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "consumer: expected exit code 0, got ${status}: ${command}\n${out}")
  endif()
  set(output "${out}" PARENT_SCOPE)
endfunction()

set(options -G Ninja -DCMAKE_CXX_COMPILER=${COMPILER})
if(WAY STREQUAL "find_package")
  file(REMOVE_RECURSE ${WORK})
  run(${CMAKE_COMMAND} --install ${BUILD} --prefix ${WORK}/prefix)
  list(APPEND options -DCMAKE_PREFIX_PATH=${WORK}/prefix "-DCMAKE_CXX_FLAGS=${FLAGS}")
else()
  # Without optimisation, which takes a third of the time.
  list(APPEND options -DISOTAPE_SOURCE=${SOURCE} -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0
       -DCMAKE_CXX_COMPILER_LAUNCHER=${LAUNCHER})
endif()
run(${CMAKE_COMMAND} -S ${SOURCE}/tests/consumer/${WAY} -B ${WORK}/build ${options})
run(${CMAKE_COMMAND} --build ${WORK}/build)
run(${WORK}/build/consumer)
if(NOT output MATCHES "isotape [0-9.]+: 4 singular values in \\[1, 1\\], OpenMP BLAS 1\n")
  message(FATAL_ERROR "consumer: expected singular values of 1, got: ${output}")
endif()
run(${CMAKE_COMMAND} -DPROGRAM=${WORK}/build/consumer -DBLAS=${BLAS} -P
    ${SOURCE}/tests/one_blas.cmake)
