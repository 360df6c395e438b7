#pragma once

#include <filesystem>

#include <isotape/datasets/dataset.hpp>

namespace isotape {

/// Reads the folder of CIFAR-10's binary version: every data_batch_N.bin that is there, in the
/// order of N, and test_batch.bin. A file is a sequence of records of 3,073 bytes: a label, then
/// 32 x 32 pixels as a red, a green and a blue plane. Fewer images than the full set's 50,000 and
/// 10,000 are one warning in the result, not an error.
///
/// @return images [N, 32, 32, 3], u8
/// @throws DataError  `load_cifar10: PATH: offset N: expected ..., found ...`
Dataset load_cifar10(const std::filesystem::path& folder);

}  // namespace isotape
