// Decides how each layer is packed, by what its kernels are known to cost.
#pragma once

#include "kernels.h"
#include "pack.h"

namespace rlcompress {

// Packs a dense layer or convolution; sets the order of the output's channels where it is free.
PackedLinear pack_linear(const Op& op, const Storage& input, Storage& output,
                         const KernelTable& kernels);

}  // namespace rlcompress
