// Convolutions with neighbouring output positions in the lanes, for any vector type V.

template <class Element>
inline void fill_planes(const PlanesLayer& layer, const Element* in, float zero, float* planes) {
  const std::size_t plane = std::size_t{layer.plane[0]} * layer.plane[1];
  const std::uint32_t step = layer.stride[1] * layer.pixel;
  for (std::uint32_t y = 0; y < layer.region[0]; ++y) {
    const std::uint32_t phase_y = y % layer.stride[0];
    if (phase_y >= layer.phases[0]) continue;
    const Element* row = in + layer.source + std::size_t{y} * layer.row;
    const std::size_t to_row = std::size_t{y / layer.stride[0]} * layer.plane[1];
    for (std::uint32_t c = 0; c < layer.channels; ++c) {
      const std::size_t first = (std::size_t{c} * layer.phases[0] + phase_y) * layer.phases[1];
      for (std::uint32_t phase = 0; phase < layer.phases[1]; ++phase) {
        const Element* x = row + phase * layer.pixel + layer.place[c];
        float* to = planes + (first + phase) * plane + to_row;
        const std::uint32_t size = (layer.region[1] - phase - 1) / layer.stride[1] + 1;
        for (std::uint32_t i = 0; i < size; ++i) to[i] = static_cast<float>(x[i * step]) - zero;
      }
    }
  }
}

void fill_planes_bytes(const PlanesLayer& layer, const std::uint8_t* in, float* planes) {
  fill_planes(layer, in, layer.zero, planes);
}

void fill_planes_floats(const PlanesLayer& layer, const float* in, float* planes) {
  fill_planes(layer, in, 0.0F, planes);
}

// Sixteen channels of a block of lanes, one vector per (channel, V::lanes lanes).
template <bool exact, int vectors>
inline void plane_sums(const PlanesLayer& layer, const Epilogue& e, const float* const* x,
                       std::uint32_t row, V* h) {
  V acc[vectors];
  for (int i = 0; i < vectors; ++i) acc[i] = V::set(0.0F);
  for (std::uint32_t k = layer.begin[row]; k < layer.begin[row + 1]; ++k) {
    const V w = V::set(layer.weight[k]);
    const std::uint32_t offset = layer.offset[k];
    for (int i = 0; i < vectors; ++i) {
      const V value = V::load(x[i] + offset);
      acc[i] = exact ? multiply_add_exact(value, w, acc[i]) : add(acc[i], mul(value, w));
    }
  }
  const V m = V::set(e.multiplier[row]);
  for (int i = 0; i < vectors; ++i) {
    h[i] = exact ? mul(add_integer(acc[i], e.integer_bias[row]), m)
                 : add(mul(acc[i], m), V::set(e.bias[row]));
  }
}

// Transposes a block from (channel, lane) to (lane, channel) on its way to the output.
template <class Element>
inline void scatter_lanes(const Element* block, std::size_t stride, const std::uint32_t* lane_out,
                          std::size_t lanes, std::uint32_t row, Element* out) {
  for (std::size_t lane = 0; lane < lanes; ++lane) {
    if (lane_out[lane] == kNowhere) continue;
    Element* to = out + lane_out[lane] + row;
    for (std::size_t i = 0; i < 16; ++i) to[i] = block[i * stride + lane];
  }
}

template <bool exact, int groups>
inline void plane_block(const PlanesLayer& layer, const Epilogue& e, const float* planes, void* out,
                        const std::uint32_t* group) {
  constexpr int per_group = kLaneStep / V::lanes;
  constexpr int vectors = groups * per_group;
  constexpr std::size_t lanes = groups * kLaneStep;
  const float* x[vectors];
  for (int i = 0; i < vectors; ++i) {
    x[i] = planes + std::size_t{group[i / per_group]} * kLaneStep + i % per_group * V::lanes;
  }
  union {
    std::uint8_t bytes[16 * lanes];
    float floats[16 * lanes];
  } block;
  for (std::uint32_t row = 0; row < layer.rows; row += 16) {
    for (std::uint32_t r = 0; r < 16; ++r) {
      V h[vectors];
      plane_sums<exact, vectors>(layer, e, x, row + r, h);
      for (int i = 0; i < vectors; ++i) finish(e, h[i], &block, r * lanes + i * V::lanes);
    }
    for (int g = 0; g < groups; ++g) {
      const std::uint32_t* lane_out = layer.lane_out + std::size_t{group[g]} * kLaneStep;
      if (e.quantised) {
        scatter_lanes(block.bytes + g * kLaneStep, lanes, lane_out, kLaneStep, row,
                      static_cast<std::uint8_t*>(out));
      } else {
        scatter_lanes(block.floats + g * kLaneStep, lanes, lane_out, kLaneStep, row,
                      static_cast<float*>(out));
      }
    }
  }
}

template <bool exact>
inline void plane_groups(const PlanesLayer& layer, const Epilogue& e, const float* planes,
                         void* out, const std::uint32_t* groups, std::size_t count) {
  constexpr int wide = V::lanes * 8 / kLaneStep > 1 ? V::lanes * 8 / kLaneStep : 1;
  std::size_t g = 0;
  for (; g + wide <= count; g += wide) plane_block<exact, wide>(layer, e, planes, out, groups + g);
  for (; g < count; ++g) plane_block<exact, 1>(layer, e, planes, out, groups + g);
}

void planes(const PlanesLayer& layer, const Epilogue& e, const float* planes, void* out,
            const std::uint32_t* groups, std::size_t count, bool exact) {
  if (exact) {
    plane_groups<true>(layer, e, planes, out, groups, count);
  } else {
    plane_groups<false>(layer, e, planes, out, groups, count);
  }
}

void fill_generic(KernelTable& t) {
  t.rows_integer = rows_integer;
  t.rows_float = rows_float;
  t.columns = columns;
  t.fill_planes_bytes = fill_planes_bytes;
  t.fill_planes_floats = fill_planes_floats;
  t.planes = planes;
  t.max_pool_bytes = max_pool_bytes;
  t.max_pool_floats = max_pool_floats;
  t.add_bytes = add_bytes;
  t.add_floats = add_floats;
  t.map_bytes = map_bytes;
  t.map_floats = map_floats;
  t.differing = differing;
  t.gather = gather;
  t.compare = compare;
  t.interleave_bytes = interleave_bytes;
  t.interleave_floats = interleave_floats;
  t.prepare_f32 = prepare_f32;
  t.prepare_f64 = prepare_f64;
  t.all_finite = all_finite;
  t.tanh = tanh_all;
}
