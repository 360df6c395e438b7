# cmake -DCOMMAND=<isotape> -DMODEL=<file.toml> -DWORK=<folder> -P certify.cmake
# A trained run is certified and verified; other weights, a second certificate over the first and a
# data set that is kept in no file are told apart by their exit codes.
file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})

function(isotape code text)
  execute_process(COMMAND ${COMMAND} ${ARGN} WORKING_DIRECTORY ${WORK} RESULT_VARIABLE found
                  OUTPUT_VARIABLE out ERROR_VARIABLE err)
  string(FIND "${out}${err}" "${text}" position)
  if(NOT found EQUAL code OR position EQUAL -1)
    message(SEND_ERROR "isotape ${ARGN}: expected exit code ${code} with '${text}', got ${found}:\n"
                       "${out}${err}")
  endif()
endfunction()

set(train train --model ${MODEL} --dataset moons --epochs 1 --threads 1 --quiet)
isotape(0 "clean" ${train} --seed 1 --out one)
isotape(0 "clean" ${train} --seed 2 --out two)
isotape(0 "net: L <= 1.0000" certify one --out one.cert --eps 0.1,1/5 --images 100)
isotape(0 "certificate holds: points on moons, 100 images, L <= 1.0000" verify one.cert --weights
        one/model.safetensors)
isotape(0 "\"certified_accuracy\"" certify one --out one.cert --json)
isotape(0 "1000 images" verify one.cert --weights one/model.safetensors)
isotape(3 "weights" verify one.cert --weights two/model.safetensors)
isotape(4 "moons" verify one.cert --weights one/model.safetensors --data ${WORK})
isotape(2 "certify: --images: expected at most 1000 images, got 1001" certify one --out new.cert
        --images 1001)
isotape(1 "write: /none/such/cert: cannot be created" certify one --out /none/such/cert)
isotape(4 "/none/such: expected the folder of a run, found nothing" certify /none/such --out new.cert)
isotape(2 "--out is required" certify one)
if(EXISTS ${WORK}/new.cert)
  message(SEND_ERROR "expected no certificate after an error")
endif()
