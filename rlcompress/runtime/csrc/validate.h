// Checks that ops fit the values they read and write; reads no bytes itself.
#pragma once

#include "image.h"

namespace rlcompress {

// Op `index` against the values before it. Throws ImageError.
void validate_op(const Program& program, std::size_t index);

// What only the whole program shows: output, action, memory. Throws ImageError.
void validate_program(const Program& program);

}  // namespace rlcompress
