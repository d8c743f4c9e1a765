// Integer layers on NEON. Both operands of its multiplications are signed, so inputs are shifted by
// 128, which the shifted bias makes up for. RLC_DOT says whether there are dot products.

// Sums of four rows x four columns, kept as whatever is cheapest to add to.
struct Sums {
#if RLC_DOT
  int32x4_t rows;
  static RLC_INLINE Sums start(const std::int32_t* bias) { return {vld1q_s32(bias)}; }
  RLC_INLINE void add(int8x16_t w, int8x16_t x) { rows = vdotq_s32(rows, w, x); }
  RLC_INLINE int32x4_t finish() const { return rows; }
#else
  int32x4_t bias, low, high;  // two partial sums for each of two rows
  static RLC_INLINE Sums start(const std::int32_t* bias) {
    return {vld1q_s32(bias), vdupq_n_s32(0), vdupq_n_s32(0)};
  }
  RLC_INLINE void add(int8x16_t w, int8x16_t x) {
    low = vpadalq_s16(low, vmull_s8(vget_low_s8(w), vget_low_s8(x)));
    high = vpadalq_s16(high, vmull_s8(vget_high_s8(w), vget_high_s8(x)));
  }
  RLC_INLINE int32x4_t finish() const { return vaddq_s32(bias, vpaddq_s32(low, high)); }
#endif
};

// Sixteen rows.
struct TileSums {
  Sums part[4];

  explicit TileSums(const std::int32_t* bias) {
    repeat<4>([&](auto i) RLC_INLINE_LAMBDA { part[i] = Sums::start(bias + 4 * i); });
  }

  RLC_INLINE void finish(const Epilogue& e, std::size_t row, void* out, std::size_t at) const {
    std::int32_t acc[16];
    repeat<4>([&](auto i) RLC_INLINE_LAMBDA { vst1q_s32(acc + 4 * i, part[i].finish()); });
    finish_integers(e, acc, row, out, at + row);
  }
};

RLC_INLINE int8x16_t shifted(uint8x16_t x) {
  return vreinterpretq_s8_u8(veorq_u8(x, vdupq_n_u8(0x80)));
}

void blocks(const BlocksLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
            SpotList spots, std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    const std::int8_t* w = layer.weight;
    for (std::uint32_t tile = 0; tile < layer.tiles; ++tile) {
      TileSums sums(e.shifted_bias + tile * 16);
      for (std::uint32_t block = 0; block < layer.blocks; ++block, w += 64) {
        std::uint32_t word;
        std::memcpy(&word, in + spots[s].in + layer.offset[block], sizeof word);
        const int8x16_t x = shifted(vreinterpretq_u8_u32(vdupq_n_u32(word)));
        repeat<4>([&](auto i) RLC_INLINE_LAMBDA { sums.part[i].add(vld1q_s8(w + 16 * i), x); });
      }
      sums.finish(e, tile * 16, out, spots[s].out);
    }
  }
}

void sweep_integer(const SweepLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
                   SpotList spots, std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    const std::uint8_t* index = layer.index;
    for (std::uint32_t tile = 0; tile < layer.tiles; ++tile) {
      TileSums sums(e.shifted_bias + tile * 16);
      const std::uint32_t end = layer.begin[tile + 1];
      for (std::uint32_t step = layer.begin[tile]; step < end; ++step) {
        const uint8x16x4_t table = vld1q_u8_x4(in + spots[s].in + layer.offset[step]);
        repeat<4>([&](auto i) RLC_INLINE_LAMBDA {
          const uint8x16_t found = vqtbl4q_u8(table, vld1q_u8(index + 16 * i));
          const int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(index + 64 + 16 * i));
          sums.part[i].add(w, shifted(found));
        });
        index += 128;
      }
      sums.finish(e, tile * 16, out, spots[s].out);
    }
  }
}

void fill_neon(KernelTable& t) {
  fill_generic(t);
  t.planes_for_bytes = true;
  t.costs = {1.5F, 8.0F, 8.0F, 8.0F};
  t.byte_tables[0] = {16, 4, 64, 16, false, 12.0F, 12.0F};
  t.blocks = blocks;
  t.sweep_integer = sweep_integer;
}
