# Finds oneDNN 2.6 or newer (2.x and 3.x) by its header and library, without its own package
# configuration: on Debian 12 that one demands the OpenCL headers.
#
# Result: oneDNN_FOUND, oneDNN_VERSION, oneDNN_CPU_RUNTIME, target oneDNN::oneDNN.
find_path(oneDNN_INCLUDE_DIR dnnl.hpp)
find_library(oneDNN_LIBRARY dnnl)
mark_as_advanced(oneDNN_INCLUDE_DIR oneDNN_LIBRARY)

function(_onednn_read_define header name result)
  set(${result} "" PARENT_SCOPE)
  # dnnl_version.h forwards to oneapi/dnnl/dnnl_version.h.
  foreach(file ${oneDNN_INCLUDE_DIR}/oneapi/dnnl/${header} ${oneDNN_INCLUDE_DIR}/${header})
    if(EXISTS ${file})
      file(STRINGS ${file} line REGEX "^#define ${name} " LIMIT_COUNT 1)
      if(line MATCHES "^#define ${name} +([A-Za-z0-9_]+)")
        set(${result} ${CMAKE_MATCH_1} PARENT_SCOPE)
        return()
      endif()
    endif()
  endforeach()
endfunction()

if(oneDNN_INCLUDE_DIR)
  _onednn_read_define(dnnl_version.h DNNL_VERSION_MAJOR _major)
  _onednn_read_define(dnnl_version.h DNNL_VERSION_MINOR _minor)
  _onednn_read_define(dnnl_version.h DNNL_VERSION_PATCH _patch)
  _onednn_read_define(dnnl_config.h DNNL_CPU_RUNTIME oneDNN_CPU_RUNTIME)
  set(oneDNN_VERSION ${_major}.${_minor}.${_patch})
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(oneDNN REQUIRED_VARS oneDNN_LIBRARY oneDNN_INCLUDE_DIR
                                  VERSION_VAR oneDNN_VERSION)

if(oneDNN_FOUND AND NOT TARGET oneDNN::oneDNN)
  if(NOT oneDNN_CPU_RUNTIME STREQUAL "DNNL_RUNTIME_OMP")
    message(WARNING "oneDNN was built with ${oneDNN_CPU_RUNTIME}, not with OpenMP: "
                    "its threads will not follow --threads")
  endif()
  add_library(oneDNN::oneDNN UNKNOWN IMPORTED)
  set_target_properties(oneDNN::oneDNN PROPERTIES
    IMPORTED_LOCATION ${oneDNN_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${oneDNN_INCLUDE_DIR})
endif()
