# cmake -DCOMMAND=<isotape> -DMODEL=<file.toml> -DWORK=<folder> -DEXTRA=<flags> [-DEXPECT=<text>]
#   [-DBF16=ON] -P resume.cmake
# A run that is stopped twice, in the middle of an epoch too, and resumed ends with the bytes of the
# straight run; so does a second straight run. Its metrics hold the text EXPECT.
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

function(isotape)
  execute_process(COMMAND ${COMMAND} ${ARGN} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE code
                  OUTPUT_VARIABLE out ERROR_VARIABLE err)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "isotape ${ARGN}: expected exit code 0, got ${code}\n${out}${err}")
  endif()
endfunction()

function(expect_equal a b)
  foreach(file model.safetensors state.safetensors config.toml)
    file(SHA256 ${WORK}/${a}/${file} sum_a)
    file(SHA256 ${WORK}/${b}/${file} sum_b)
    if(NOT sum_a STREQUAL sum_b)
      message(SEND_ERROR "${file}: expected equal bytes in ${a} and ${b}")
    endif()
  endforeach()
  foreach(run ${a} ${b})
    file(READ ${WORK}/${run}/metrics.jsonl text)
    string(REGEX REPLACE ",\"time_[a-z_]+\":[0-9.e+-]+" "" metrics_${run} "${text}")
  endforeach()
  if(NOT metrics_${a} STREQUAL metrics_${b})
    message(SEND_ERROR "metrics.jsonl: expected equal lines in ${a} and ${b}, got\n"
                       "${metrics_${a}}\n${metrics_${b}}")
  endif()
endfunction()

# What the CPU does not have is refused.
if(BF16)
  execute_process(COMMAND ${COMMAND} doctor --json OUTPUT_VARIABLE doctor)
  string(JSON has_bf16 GET "${doctor}" bf16)
  if(NOT has_bf16)
    execute_process(COMMAND ${COMMAND} train ${EXTRA} RESULT_VARIABLE code ERROR_QUIET)
    if(NOT code EQUAL 2)
      message(FATAL_ERROR "expected exit code 2 without bf16, got ${code}")
    endif()
    return()
  endif()
endif()

set(flags --model ${MODEL} --dataset moons --epochs 3 --batch 100 --seed 7 --threads 1 --quiet
          ${EXTRA})
isotape(train ${flags} --out straight)
isotape(train ${flags} --out again)
expect_equal(straight again)
isotape(train ${flags} --out stopped --max-steps 3)
isotape(train --resume stopped --max-steps 27 --quiet)
isotape(train --resume stopped --quiet)
expect_equal(straight stopped)
file(READ ${WORK}/straight/metrics.jsonl metrics)
string(FIND "${metrics}" "${EXPECT}" position)
if(position EQUAL -1)
  message(SEND_ERROR "metrics.jsonl: expected '${EXPECT}', got\n${metrics}")
endif()
