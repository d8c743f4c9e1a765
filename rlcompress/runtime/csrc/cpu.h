// What this machine's processor can do, and the operating system lets it do.
#pragma once

namespace rlcompress {

struct Cpu {
  bool avx2 = false;
  bool fma = false;
  bool popcnt = false;
  bool avx512 = false;  // F, DQ, BW and VL
  bool vbmi = false;
  bool vnni = false;
  bool vpopcntdq = false;
  bool dot_product = false;  // of 64-bit ARM
};

const Cpu& cpu();

}  // namespace rlcompress
