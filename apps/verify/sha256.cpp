#include <isotape/apps/verify/sha256.hpp>

#include <openssl/evp.h>
#include <array>

#include <isotape/apps/verify/failure.hpp>

namespace isotape::verify {

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    throw Failure("sha256: expected a digest of libcrypto, found an error");
  }
  std::string text;
  for (const unsigned char byte : digest) {
    text += "0123456789abcdef"[byte >> 4U];
    text += "0123456789abcdef"[byte & 15U];
  }
  return text;
}

}  // namespace isotape::verify
