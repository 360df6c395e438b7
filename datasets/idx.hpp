#pragma once

#include <filesystem>

#include <isotape/datasets/dataset.hpp>

namespace isotape {

/// Reads an image file (magic 0x803: count, rows, columns, one byte per pixel) and its label file
/// (magic 0x801: count, one byte per label) in the IDX format of MNIST, each raw or gzipped. All of
/// both files is checked: magic, counts, length, label range, the gzip checksum.
///
/// @param classes  labels are in 0..classes-1
/// @return images [N, rows, columns, 1], u8
/// @throws DataError  `load_idx: PATH: offset N: expected ..., found ...`; offsets count unpacked
///                    bytes
Split load_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
               int classes);

}  // namespace isotape
