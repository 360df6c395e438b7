#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include <isotape/apps/bench/interleaved.hpp>

namespace isotape {

/// What the machine can do, measured: rates on one thread (CPU time), and on all asked for (time
/// that passed; equal to the former if that is one).
struct Roof {
  struct Rates {
    double sgemm_gflops = 0;  ///< product of two f32 matrices of order 1024, best of 10
    double dgemm_gflops = 0;  ///< the same in f64, best of 5
    double convolution_gflops =
        0;  ///< forward 3x3 convolution, 64 to 64 channels, [32, 32, 32, 64]
    /// product of two bf16 matrices of order 1024, best of 10; 0 on a CPU without bf16
    double bf16_gflops = 0;
    /// Copies of arrays of 256 KiB, 4 MiB and 64 MiB: bytes read and written, best of 10.
    double copy_256k_gb_s = 0;
    double copy_4m_gb_s = 0;
    double copy_64m_gb_s = 0;

    /// The rate of the copy that moves about as many bytes.
    double copy_gb_s(double bytes) const;
  };
  int threads = 1;
  Rates one;
  Rates all;
};

/// Measures it, in about a second; leaves `threads` set. Releases the memory it took.
Roof measure_roof(int threads);

/// The larger figures of two measurements, before and after the work they are the roof of.
Roof highest(const Roof& before, const Roof& after);

/// The part of the time measured that the counted flops would take at the roof, in [0, 1) or
/// thereabouts: f32, f64 and convolutions each at its own rate.
double share_of_roof(const Measured& measured, const Roof& roof);

/// "sgemm_gflops", ... as JSON, and as lines of text.
nlohmann::ordered_json to_json(const Roof& before, const Roof& after);
std::string to_text(const Roof& roof);

}  // namespace isotape
