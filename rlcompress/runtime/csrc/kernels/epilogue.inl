// From accumulators to outputs, for any vector type V. Included by every kernel file, inside its
// own unnamed namespace, so that no function compiled for one instruction set is linked into
// another.

#include "tanh.inl"

inline V activate(const Epilogue& e, V h) {
  switch (e.function) {
    case Function::Relu:
      return larger(h, V::set(0.0F));
    case Function::Tanh:
      return tanh_of(h);
    case Function::HardTanh:
      return smaller(larger(h, V::set(-e.bound)), V::set(e.bound));
    case Function::None:
      break;
  }
  return h;
}

// Limits of a quantised output; rounding comes after, which gives the same integers.
inline V limit(const Epilogue& e, V h) {
  return smaller(larger(h, V::set(e.low)), V::set(e.high));
}

// One vector of scaled values to element `at` of the output.
inline void finish(const Epilogue& e, V h, void* out, std::size_t at) {
  if (!e.direct) {
    h = activate(e, h);
    if (!e.quantised) {
      h.store(static_cast<float*>(out) + at);
      return;
    }
    h = mul(h, V::set(e.inverse_scale));
  }
  store_bytes(limit(e, h), e.zero, static_cast<std::uint8_t*>(out) + at);
}

// kChannelStep accumulators, of the rows from `row` on, to element `at` of the output.
inline void finish_integers(const Epilogue& e, const std::int32_t* acc, std::size_t row, void* out,
                            std::size_t at) {
  for (std::size_t i = 0; i < 16; i += V::lanes) {
    const V h = mul(V::from_ints(acc + i), V::load(e.multiplier + row + i));
    finish(e, h, out, at + i);
  }
}

inline V scale(const Epilogue& e, V acc, std::size_t row) {
  return add(mul(acc, V::load(e.multiplier + row)), V::load(e.bias + row));
}

inline void finish_floats(const Epilogue& e, const float* acc, std::size_t row, void* out,
                          std::size_t at) {
  for (std::size_t i = 0; i < 16; i += V::lanes) {
    finish(e, scale(e, V::load(acc + i), row + i), out, at + i);
  }
}
