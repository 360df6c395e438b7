# `cmake --install`: headers, library, command and package configuration.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/isotape)

install(TARGETS isotape EXPORT isotapeTargets)
if(TARGET isotape_cli)
  install(TARGETS isotape_cli)
  file(RELATIVE_PATH to_library /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
  set_target_properties(isotape_cli PROPERTIES INSTALL_RPATH "$ORIGIN/${to_library}")
endif()

install(DIRECTORY ${isotape_folders} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/isotape
        FILES_MATCHING PATTERN "*.hpp")
install(FILES ${PROJECT_BINARY_DIR}/include/isotape/version.hpp
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/isotape)

install(EXPORT isotapeTargets NAMESPACE isotape:: DESTINATION ${package_dir})
configure_package_config_file(cmake/isotapeConfig.cmake.in isotapeConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(isotapeConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/isotapeConfig.cmake
              ${PROJECT_BINARY_DIR}/isotapeConfigVersion.cmake
              cmake/FindOpenBLAS.cmake cmake/FindoneDNN.cmake DESTINATION ${package_dir})
