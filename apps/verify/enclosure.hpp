#pragma once

namespace isotape::verify {

/// lower <= every singular value of the smaller side <= upper, proved.
struct Enclosure {
  double lower = 0;
  double upper = 0;
};

}  // namespace isotape::verify
