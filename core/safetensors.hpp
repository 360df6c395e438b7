#pragma once

#include <filesystem>
#include <map>
#include <string>

#include <isotape/core/tensor.hpp>

namespace isotape {

/// Named tensors and named texts: the content of a safetensors file, the exchange format of PyTorch
/// users [https://github.com/huggingface/safetensors].
struct SafeTensors {
  std::map<std::string, Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Writes F32, F64 and U8 tensors, wider elements first, then by name, and the metadata under
/// `__metadata__`. Equal content gives equal bytes. The file is replaced whole or not at all.
///
/// @throws ValueError  for an absent tensor, the tensor name `__metadata__`, or text not in UTF-8
/// @throws IoError     if the file cannot be written; the earlier file is kept
void save_safetensors(const std::filesystem::path& path, const SafeTensors& content);

/// Reads what save_safetensors() or another writer of the format wrote. The header is not trusted:
/// its length, JSON, names (no duplicates), element types, shapes and offsets (in range, without
/// overlap, gap or rest) are checked before a tensor is allocated.
///
/// @throws DataError  `load_safetensors: PATH: offset N: expected ..., found ...`
SafeTensors load_safetensors(const std::filesystem::path& path);

}  // namespace isotape
