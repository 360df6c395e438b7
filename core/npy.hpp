#pragma once

#include <filesystem>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// Writes a tensor as NumPy's .npy file, version 1.0, in row-major order: `<f4`, `<f8` or `|u1`.
/// Equal tensors give equal bytes. The file is replaced whole or not at all.
///
/// @throws ValueError  for an absent tensor, or one of bf16, which NumPy does not know
/// @throws IoError     if the file cannot be written; the earlier file is kept
void save_npy(const std::filesystem::path& path, const Tensor& tensor);

/// Reads a .npy file of version 1.0 or 2.0 with these element types, row-major, of up to six axes.
///
/// @throws DataError  `load_npy: PATH: offset N: expected ..., found ...`
Tensor load_npy(const std::filesystem::path& path);

}  // namespace isotape
