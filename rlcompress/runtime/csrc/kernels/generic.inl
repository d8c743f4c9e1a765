// Kernels that are written once for any vector type V; each kernel file includes and compiles them
// for its instruction set and replaces in its table those it does better.

void rows_integer(const RowsLayer& layer, const Epilogue& e, const std::uint8_t* in, void* out,
                  SpotList spots, std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    const std::uint8_t* x = in + spots[s].in;
    for (std::uint32_t row = 0; row < layer.rows; row += 16) {
      std::int32_t acc[16];
      for (std::uint32_t i = 0; i < 16; ++i) {
        // Unsigned, because the shift by 128 may wrap around on the way to a sum that fits.
        std::uint32_t sum = static_cast<std::uint32_t>(e.integer_bias[row + i]);
        for (std::uint32_t k = layer.begin[row + i]; k < layer.begin[row + i + 1]; ++k) {
          sum += static_cast<std::uint32_t>(x[layer.offset[k]] * layer.integer_weight[k]);
        }
        acc[i] = static_cast<std::int32_t>(sum);
      }
      finish_integers(e, acc, row, out, spots[s].out + row);
    }
  }
}

void rows_float(const RowsLayer& layer, const Epilogue& e, const float* in, void* out,
                SpotList spots, std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    const float* x = in + spots[s].in;
    for (std::uint32_t row = 0; row < layer.rows; row += 16) {
      float acc[16];
      for (std::uint32_t i = 0; i < 16; ++i) {
        float sum = 0;
        for (std::uint32_t k = layer.begin[row + i]; k < layer.begin[row + i + 1]; ++k) {
          sum += x[layer.offset[k]] * layer.weight[k];
        }
        acc[i] = sum;
      }
      finish_floats(e, acc, row, out, spots[s].out + row);
    }
  }
}

// `vectors` vectors of rows at a time; each sum stays in its lane.
template <int vectors>
inline void column_strip(const ColumnsLayer& layer, const Epilogue& e, const float* x, void* out,
                         std::size_t at, std::uint32_t row) {
  V acc[vectors];
  for (int i = 0; i < vectors; ++i) acc[i] = V::set(0.0F);
  const float* w = layer.weight + row;
  for (std::uint32_t c = 0; c < layer.columns; ++c, w += layer.rows) {
    const V value = V::set(x[layer.offset[c]]);
    for (int i = 0; i < vectors; ++i) acc[i] = add(acc[i], mul(value, V::load(w + i * V::lanes)));
  }
  for (int i = 0; i < vectors; ++i) {
    finish(e, scale(e, acc[i], row + i * V::lanes), out, at + row + i * V::lanes);
  }
}

void columns(const ColumnsLayer& layer, const Epilogue& e, const float* in, void* out,
             SpotList spots, std::size_t count) {
  constexpr int narrow = 16 / V::lanes;
  constexpr int wide = narrow < 8 ? 8 : narrow;
  for (std::size_t s = 0; s < count; ++s) {
    const float* x = in + spots[s].in;
    std::uint32_t row = 0;
    for (; row + wide * V::lanes <= layer.rows; row += wide * V::lanes) {
      column_strip<wide>(layer, e, x, out, spots[s].out, row);
    }
    for (; row < layer.rows; row += 16) column_strip<narrow>(layer, e, x, out, spots[s].out, row);
  }
}

// The largest of a window of rows x columns vectors; both are known where windows lie inside.
template <class Vector, class Element>
RLC_INLINE Vector window_maximum(const Element* x, const PoolLayer& layer, std::uint32_t rows,
                                 std::uint32_t columns) {
  Vector largest = Vector::lowest();
  for (std::uint32_t y = 0; y < rows; ++y, x += layer.row) {
    for (std::uint32_t column = 0; column < columns; ++column) {
      largest = larger(Vector::load(x + column * layer.pixel), largest);
    }
  }
  return largest;
}

template <class Vector, class Element>
inline void max_pool(const PoolLayer& layer, const Element* in, Element* out,
                     const PoolSpot* spots, std::size_t count) {
  constexpr std::uint32_t lanes = sizeof(Vector) / sizeof(Element);
  for (std::size_t s = 0; s < count; ++s) {
    const PoolSpot spot = spots[s];
    for (std::uint32_t channel = 0; channel < layer.channels; channel += lanes) {
      const Element* x = in + spot.in + channel;
      Element* y = out + spot.out + channel;
      if (spot.rows == 3 && spot.columns == 3) {
        window_maximum<Vector>(x, layer, 3, 3).store(y);
      } else if (spot.rows == 2 && spot.columns == 2) {
        window_maximum<Vector>(x, layer, 2, 2).store(y);
      } else {
        window_maximum<Vector>(x, layer, spot.rows, spot.columns).store(y);
      }
    }
  }
}

void max_pool_bytes(const PoolLayer& layer, const std::uint8_t* in, std::uint8_t* out,
                    const PoolSpot* spots, std::size_t count) {
  max_pool<Bytes>(layer, in, out, spots, count);
}

void max_pool_floats(const PoolLayer& layer, const float* in, float* out, const PoolSpot* spots,
                     std::size_t count) {
  max_pool<V>(layer, in, out, spots, count);
}

void add_bytes(const AddLayer& layer, const Epilogue& e, const std::uint8_t* a,
               const std::uint8_t* b, std::uint8_t* out, const AddSpot* spots, std::size_t count) {
  const V zero_a = V::set(layer.zero[0]);
  const V zero_b = V::set(layer.zero[1]);
  const V scale_a = V::set(layer.multiplier[0]);
  const V scale_b = V::set(layer.multiplier[1]);
  for (std::size_t s = 0; s < count; ++s) {
    for (std::uint32_t i = 0; i < layer.run; i += V::lanes) {
      const V first = mul(sub(V::from_bytes(a + spots[s].a + i), zero_a), scale_a);
      const V second = mul(sub(V::from_bytes(b + spots[s].b + i), zero_b), scale_b);
      store_bytes(limit(e, add(first, second)), e.zero, out + spots[s].out + i);
    }
  }
}

void add_floats(const AddLayer& layer, const float* a, const float* b, float* out,
                const AddSpot* spots, std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    for (std::uint32_t i = 0; i < layer.run; i += V::lanes) {
      add(V::load(a + spots[s].a + i), V::load(b + spots[s].b + i)).store(out + spots[s].out + i);
    }
  }
}

void map_bytes(const MapLayer& layer, const std::uint8_t* in, void* out, SpotList spots,
               std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    const std::uint8_t* x = in + spots[s].in;
    if (layer.relu && layer.run % 16 == 0) {
      std::uint8_t* y = static_cast<std::uint8_t*>(out) + spots[s].out;
      for (std::uint32_t i = 0; i < layer.run; i += 16) {
        rectified(Bytes::load(x + i), layer.zero_in, layer.zero_out).store(y + i);
      }
    } else if (layer.bytes != nullptr) {
      std::uint8_t* y = static_cast<std::uint8_t*>(out) + spots[s].out;
      for (std::uint32_t i = 0; i < layer.run; ++i) y[i] = layer.bytes[x[i]];
    } else {
      float* y = static_cast<float*>(out) + spots[s].out;
      for (std::uint32_t i = 0; i < layer.run; ++i) y[i] = layer.floats[x[i]];
    }
  }
}

void map_floats(const MapLayer& layer, const Epilogue& e, const float* in, void* out,
                SpotList spots, std::size_t count) {
  for (std::size_t s = 0; s < count; ++s) {
    for (std::uint32_t i = 0; i < layer.run; i += V::lanes) {
      finish(e, V::load(in + spots[s].in + i), out, spots[s].out + i);
    }
  }
}

void differing(const std::uint8_t* a, const std::uint8_t* b, std::size_t pixel, std::size_t count,
               std::uint64_t* bits) {
  if (std::memcmp(a, b, pixel * count) == 0) return;
  for (std::size_t i = 0; i < count; ++i) {
    unsigned other = 0;
    for (std::size_t k = 0; k < pixel; ++k) {
      other |= static_cast<unsigned>(a[i * pixel + k] ^ b[i * pixel + k]);
    }
    bits[i / 64] |= std::uint64_t{other != 0} << (i % 64);
  }
}

void gather(const std::uint8_t* values, std::size_t scale, SpotList spots, std::size_t count,
            std::size_t bytes, std::uint8_t* copy) {
  for (std::size_t s = 0; s < count; ++s) {
    const std::uint8_t* from = values + spots[s].out * scale;
    for (std::size_t i = 0; i < bytes; i += 16, copy += 16) Bytes::load(from + i).store(copy);
  }
}

void compare(const std::uint8_t* values, std::size_t scale, SpotList spots, std::size_t count,
             std::size_t bytes, const std::uint8_t* copy, std::uint8_t* changed) {
  for (std::size_t s = 0; s < count; ++s) {
    const std::uint8_t* from = values + spots[s].out * scale;
    bool other = false;
    for (std::size_t i = 0; i < bytes; i += 16, copy += 16) {
      other |= differ(Bytes::load(from + i), Bytes::load(copy));
    }
    changed[s] = other ? 1 : 0;
  }
}

template <class Element>
inline void interleave(const Element* in, std::size_t plane, std::size_t channels, Element* line,
                       std::size_t width) {
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t x = 0; x < width; ++x) line[x * channels + c] = in[c * plane + x];
  }
}

void interleave_bytes(const std::uint8_t* in, std::size_t plane, std::size_t channels,
                      std::uint8_t* line, std::size_t width) {
  if (channels != 4) return interleave(in, plane, channels, line, width);
  // Four stacked frames, which is what most images are: one word per position.
  for (std::size_t x = 0; x < width; ++x) {
    const std::uint8_t position[4] = {in[x], in[plane + x], in[2 * plane + x], in[3 * plane + x]};
    std::memcpy(line + 4 * x, position, 4);
  }
}

void interleave_floats(const float* in, std::size_t plane, std::size_t channels, float* line,
                       std::size_t width) {
  interleave(in, plane, channels, line, width);
}

bool all_finite(const float* values, std::size_t size) {
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < size; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    bad |= (bits & 0x7F800000U) == 0x7F800000U ? 1U : 0U;
  }
  return bad == 0;
}

std::size_t first_infinite(const float* values, std::size_t size) {
  if (all_finite(values, size)) return size;
  std::size_t i = 0;
  while (values[i] - values[i] == 0) ++i;
  return i;
}

void normalise(const Normalise& n, float* values, std::size_t size) {
  if (n.mean == nullptr) return;
  for (std::size_t i = 0; i < size; ++i) {
    float x = (values[i] - n.mean[i]) * n.inverse_std[i];
    x = x > -n.clip ? x : -n.clip;
    values[i] = x < n.clip ? x : n.clip;
  }
}

std::size_t prepare_f32(const Normalise& n, const float* in, float* out, std::size_t size) {
  std::memcpy(out, in, size * sizeof(float));
  const std::size_t bad = first_infinite(out, size);
  normalise(n, out, size);
  return bad;
}

std::size_t prepare_f64(const Normalise& n, const double* in, float* out, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<float>(in[i]);
  const std::size_t bad = first_infinite(out, size);
  normalise(n, out, size);
  return bad;
}

void tanh_all(const float* in, float* out, std::size_t size) {
  std::size_t i = 0;
  for (; i + V::lanes <= size; i += V::lanes) tanh_of(V::load(in + i)).store(out + i);
  float rest[V::lanes] = {};
  if (i == size) return;
  std::memcpy(rest, in + i, (size - i) * sizeof(float));
  tanh_of(V::load(rest)).store(rest);
  std::memcpy(out + i, rest, (size - i) * sizeof(float));
}
