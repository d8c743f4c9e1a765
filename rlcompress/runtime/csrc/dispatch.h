// Which instruction sets this build has and this machine can run.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace rlcompress {

// Names, best first; "portable" is always the last.
std::vector<std::string> available_isas();

// The kernels of an instruction set, or of the best one for "auto". Throws std::invalid_argument.
const KernelTable& kernels_for(const std::string& isa);

}  // namespace rlcompress
