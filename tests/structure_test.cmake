# cmake -DVIOLATION=<name> -DROOT=<repository> -DWORK=<folder> -P tests/structure_test.cmake
#
# Proves that structure.cmake sees what it is there to see: writes a small tree that keeps every
# rule, breaks one of them in one place, and expects the one finding. VIOLATION=none expects none.
# Without VIOLATION it defines `structure_violations`, the list of names, and nothing else.
cmake_minimum_required(VERSION 3.25)

set(structure_violations)
macro(violation name file text finding)
  list(APPEND structure_violations ${name})
  set(file_${name} "${file}")
  set(text_${name} "${text}")
  set(finding_${name} "${finding}")
endmacro()

violation(none "ops/pad.cpp" "#include <vector>\n" "")
violation(upward_angle "ops/pad.cpp" "#include <isotape/layers/module.hpp>\n"
          "ops/pad.cpp: ops/ may not include layers/: isotape/layers/module.hpp")
violation(upward_from_header "core/shape.hpp" "  #  include <isotape/ops/pad.hpp>\n"
          "core/shape.hpp: core/ may not include ops/: isotape/ops/pad.hpp")
violation(upward_quoted "layers/module.cpp" "#include \"isotape/optim/adam.hpp\"\n"
          "layers/module.cpp: layers/ may not include optim/: isotape/optim/adam.hpp")
violation(upward_relative "ops/pad.cpp" "#include \"../layers/module.hpp\"\n"
          "ops/pad.cpp: ops/ may not include layers/: ../layers/module.hpp")
violation(upward_from_root "core/shape.cpp" "#include <ops/pad.hpp>\n"
          "core/shape.cpp: core/ may not include ops/: ops/pad.hpp")
violation(upward_in_subfolder "core/deep/er/x.cpp" "#include <isotape/datasets/idx.hpp>\n"
          "core/deep/er/x.cpp: core/ may not include datasets/: isotape/datasets/idx.hpp")
violation(upward_relative_in_subfolder "core/deep/er/x.hpp" "#include\"../../../apps/main.hpp\"\n"
          "core/deep/er/x.hpp: core/ may not include apps/: ../../../apps/main.hpp")
violation(sideways "datasets/idx.cpp" "#include <isotape/ops/pad.hpp>\n"
          "datasets/idx.cpp: datasets/ may not include ops/: isotape/ops/pad.hpp")
violation(into_the_tests "apps/main.cpp" "#include \"../tests/support.hpp\"\n"
          "apps/main.cpp: apps/ may not include tests/: ../tests/support.hpp")
violation(spelling "ops/pad.cpp" "#include \"pad.hpp\"\n"
          "ops/pad.cpp: spell it <isotape/folder/file.hpp>: \"pad.hpp\"")
violation(mixed_block "ops/pad.cpp" "#include <vector>\n#include <isotape/ops/pad.hpp>\n"
          "ops/pad.cpp: set the project's headers and others apart by an empty line")
violation(mixed_block_in_test "tests/ops/pad_test.cpp" "#include \"pad.hpp\"\n#include <vector>\n"
          "tests/ops/pad_test.cpp: set the project's headers and others apart by an empty line")
violation(onednn "ops/pad.cpp" "#include <dnnl.hpp>\n"
          "ops/pad.cpp: only ops/conv2d_onednn.cpp may include dnnl.hpp")
violation(onednn_in_test "tests/ops/pad_test.cpp" "#include <oneapi/dnnl/dnnl.hpp>\n"
          "tests/ops/pad_test.cpp: only ops/conv2d_onednn.cpp may include oneapi/dnnl/dnnl.hpp")
violation(onednn_in_header "ops/conv2d_onednn.hpp" "#include <dnnl.h>\n"
          "ops/conv2d_onednn.hpp: only ops/conv2d_onednn.cpp may include dnnl.h")
violation(blas "core/shape.cpp" "#include <cblas.h>\n"
          "core/shape.cpp: only core/blas.cpp may include cblas.h")
violation(lapacke "core/blas.cpp" "#include <lapacke.h>\n"
          "core/blas.cpp: LAPACKE brings a second BLAS into the process: lapacke.h")
violation(third_party_in_header "datasets/idx.hpp" "#include <zlib.h>\n"
          "datasets/idx.hpp: a header of the library may not include zlib.h")
violation(uncited "ops/pad.cpp" "// As in [Nobody 1999, section 2].\n"
          "ops/pad.cpp: not in the bibliography: Nobody 1999")
violation(uncited_second "ops/pad.hpp" "/// [Known 2001; cf. Van\n/// Nobody 1999b].\n"
          "ops/pad.hpp: not in the bibliography: Van Nobody 1999b")
violation(entry_twice "README.md" "- [Known 2001] A.\n- [Known 2001] B.\n"
          "README.md: two entries of the bibliography for Known 2001")
violation(checker_of_core "apps/verify/radii.cpp" "#include <isotape/core/error.hpp>\n"
          "apps/verify/radii.cpp: the checker stands alone: isotape/core/error.hpp")
violation(checker_of_apps "apps/verify/radii.cpp" "#include <isotape/apps/errors.hpp>\n"
          "apps/verify/radii.cpp: the checker stands alone: isotape/apps/errors.hpp")
violation(checker_relative "apps/verify/radii.cpp" "#include \"../errors.hpp\"\n"
          "apps/verify/radii.cpp: the checker stands alone: ../errors.hpp")
violation(checker_threads "apps/verify/radii.cpp" "#include <omp.h>\n"
          "apps/verify/radii.cpp: the checker stands alone: omp.h")
violation(untested_op "ops/roll.hpp" "#pragma once\n"
          "ops/roll.hpp: expected its test, tests/ops/roll_test.cpp")
string(REPEAT "\n" 401 lines)
violation(long_source "optim/adam.cpp" "${lines}"
          "optim/adam.cpp: 401 lines, the budget is 400")
violation(long_test "tests/optim/adam_test.cpp" "${lines}"
          "tests/optim/adam_test.cpp: 401 lines, the budget is 400")
string(ASCII 195 169 accented)
violation(not_ascii "ops/pad.cpp" "// Bj${accented}rck\n" "ops/pad.cpp: a byte that is not ASCII")
string(CONCAT mark "TO" "DO")
violation(unfinished "apps/main.cpp" "// ${mark}: the rest\n" "apps/main.cpp: unfinished work: ${mark}")

if(NOT DEFINED VIOLATION)
  return()
endif()

# A tree that keeps every rule.
set(tree ${WORK}/${VIOLATION})
file(REMOVE_RECURSE ${tree})
file(WRITE ${tree}/core/shape.hpp "#pragma once\n#include <cstdint>\n")
file(WRITE ${tree}/core/shape.cpp "#include <isotape/core/shape.hpp>\n")
file(WRITE ${tree}/core/blas.cpp "#include <cblas.h>\n\n#include <isotape/core/shape.hpp>\n")
file(WRITE ${tree}/ops/pad.hpp "#pragma once\n#include <isotape/core/shape.hpp>\n")
file(WRITE ${tree}/ops/pad.cpp "#include <isotape/ops/pad.hpp>\n")
file(WRITE ${tree}/ops/conv2d_onednn.cpp "#include <dnnl.hpp>\n")
file(WRITE ${tree}/README.md "- [Known 2001] A. Known. Of tests.\n")
file(WRITE ${tree}/layers/module.cpp "// Of [Known 2001, equation 1].\n#include <isotape/ops/pad.hpp>\n")
file(WRITE ${tree}/optim/adam.cpp "#include <isotape/layers/module.hpp>\n")
file(WRITE ${tree}/datasets/idx.cpp "#include <zlib.h>\n\n#include <isotape/core/shape.hpp>\n")
file(WRITE ${tree}/apps/main.cpp "#include <CLI/CLI.hpp>\n\n#include <isotape/optim/adam.hpp>\n")
file(WRITE ${tree}/apps/verify/verify.cpp
     "#include <vector>\n\n#include <isotape/apps/verify/radii.hpp>\n")
file(WRITE ${tree}/tests/core/shape_test.cpp "#include \"../support.hpp\"\n")
file(WRITE ${tree}/tests/ops/pad_test.cpp "#include <isotape/ops/pad.hpp>\n")
if(file_${VIOLATION} STREQUAL "ops/conv2d_onednn.hpp")
  file(WRITE ${tree}/tests/ops/conv2d_onednn_test.cpp "")
endif()
file(WRITE ${tree}/${file_${VIOLATION}} "${text_${VIOLATION}}")

execute_process(COMMAND ${CMAKE_COMMAND} -DROOT=${tree} -P ${ROOT}/tests/structure.cmake
                RESULT_VARIABLE status ERROR_VARIABLE output)
string(REGEX MATCHALL "CMake Error" findings "${output}")
list(LENGTH findings count)
# CMake wraps and indents its messages.
string(REGEX REPLACE "[ \n]+" " " output "${output}")
string(REGEX REPLACE "[ \n]+" " " finding "${finding_${VIOLATION}}")
if(VIOLATION STREQUAL "none")
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "expected no finding in a tree that keeps the rules, got: ${output}")
  endif()
  return()
endif()
string(FIND "${output}" "${finding}" position)
if(status EQUAL 0 OR NOT count EQUAL 1 OR position EQUAL -1)
  message(FATAL_ERROR "expected one finding, '${finding}', got ${count}: ${output}")
endif()
