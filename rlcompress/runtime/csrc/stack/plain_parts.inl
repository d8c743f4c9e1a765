// What kernels.inl asks of an instruction set, in plain C++ for vectors of at most 8 floats.

struct Spread {
  explicit Spread(std::size_t rest) : rest_(rest) {}
  V operator()(const float* p) const {
    float values[V::lanes];
    for (std::size_t i = 0; i < V::lanes; ++i) values[i] = p[i / rest_];
    return V::load(values);
  }

 private:
  std::size_t rest_;
};

inline bool differ(V value, const float* old) {
  float values[V::lanes];
  value.store(values);
  bool moved = false;
  for (std::size_t i = 0; i < V::lanes; ++i) moved |= !(values[i] == old[i]);
  return moved;
}
inline bool differ_half(V, const float*) { return false; }  // vectors have no halves here
inline void store_half(V, float*) {}

void differ_bytes(const std::uint8_t* a, const std::uint8_t* b, std::size_t size,
                  std::uint64_t* bits) {
  for (std::size_t i = 0; i < size; i += 8) {
    const std::size_t part = size - i < 8 ? size - i : 8;
    if (std::memcmp(a + i, b + i, part) == 0) continue;
    for (std::size_t j = i; j < i + part; ++j) {
      bits[j / 64] |= static_cast<std::uint64_t>(a[j] != b[j]) << j % 64;
    }
  }
}

// Those of `lanes` consecutive taps from `first` on that are used; `used` has room for all.
template <std::size_t R>
inline std::size_t append_used(const char* const* in, std::ptrdiff_t at, std::size_t lanes,
                               std::uint32_t first, std::uint32_t* used) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < lanes; ++i) {
    bool any = false;
    for (std::size_t r = 0; r < R; ++r) any |= reinterpret_cast<const float*>(in[r] + at)[i] != 0;
    used[count] = first + static_cast<std::uint32_t>(i);
    count += any ? 1 : 0;
  }
  return count;
}
