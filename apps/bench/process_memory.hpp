#pragma once

namespace isotape {

/// Largest resident memory of the process, in MB (10^6 bytes): since it began, or since the last
/// reset. 0 where the system does not tell.
double peak_resident_mb();
/// Starts the peak anew from what is resident now. Returns whether the system allows it.
bool reset_peak_resident();

}  // namespace isotape
