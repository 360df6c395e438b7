#pragma once

namespace isotape {

/// From here on the first SIGINT or SIGTERM (Ctrl-C) only raises a flag, which a loop asks for
/// where it can stop and save. The second ends the process at once, with code 130.
void catch_interrupts();

/// Whether a signal has arrived.
bool is_interrupted();

}  // namespace isotape
