# Finds OpenBLAS, preferring the build on OpenMP: oneDNN uses libgomp, and a second (pthread) pool in
# one process costs more than it brings. Debian's alternatives prefer the pthread build, so the
# folder of the found library is pinned by RUNPATH through OpenBLAS_RUNPATH.
#
# Result: OpenBLAS_FOUND, OpenBLAS_RUNPATH, target OpenBLAS::OpenBLAS.
find_library(OpenBLAS_LIBRARY openblas PATH_SUFFIXES openblas-openmp)
find_path(OpenBLAS_INCLUDE_DIR cblas.h PATH_SUFFIXES openblas-openmp openblas)
mark_as_advanced(OpenBLAS_LIBRARY OpenBLAS_INCLUDE_DIR)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(OpenBLAS REQUIRED_VARS OpenBLAS_LIBRARY OpenBLAS_INCLUDE_DIR)

if(OpenBLAS_FOUND)
  get_filename_component(OpenBLAS_RUNPATH ${OpenBLAS_LIBRARY} DIRECTORY)
  if(NOT TARGET OpenBLAS::OpenBLAS)
    add_library(OpenBLAS::OpenBLAS UNKNOWN IMPORTED)
    set_target_properties(OpenBLAS::OpenBLAS PROPERTIES
      IMPORTED_LOCATION ${OpenBLAS_LIBRARY}
      INTERFACE_INCLUDE_DIRECTORIES ${OpenBLAS_INCLUDE_DIR}
      INTERFACE_LINK_OPTIONS "LINKER:-rpath,${OpenBLAS_RUNPATH}")
  endif()
endif()
