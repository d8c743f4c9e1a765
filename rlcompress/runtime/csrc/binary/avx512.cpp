// Kernels for AVX-512 with VPOPCNTDQ: eight neurons at a time, their bits straight from a compare.
#include <immintrin.h>

#include <cstring>
#include <utility>

#include "../kernels/repeat.h"
#include "bits.h"

namespace rlcompress::bits {
namespace {

inline std::int64_t count_bits(std::uint64_t word) {
  return static_cast<std::int64_t>(_mm_popcnt_u64(word));
}

#include "generic.inl"

inline __m512i load(const void* at) { return _mm512_loadu_si512(at); }

inline __mmask8 fire_block(const std::uint64_t* weights, const std::int64_t* thresholds,
                           const std::uint64_t* x, std::size_t words) {
  __m512i counts = _mm512_setzero_si512();
  for (std::size_t w = 0; w < words; ++w, weights += kLanes) {
    const __m512i word = _mm512_set1_epi64(static_cast<long long>(x[w]));
    const __m512i differ = _mm512_xor_si512(word, load(weights));
    counts = _mm512_add_epi64(counts, _mm512_popcnt_epi64(differ));
  }
  return _mm512_cmplt_epi64_mask(counts, load(thresholds));
}

inline std::uint64_t fire_word(const std::uint64_t* weights, const std::int64_t* thresholds,
                               const std::uint64_t* x, std::size_t words) {
  __mmask8 m[8];
  for (std::size_t k = 0; k < 8; ++k) {
    m[k] = fire_block(weights + k * words * kLanes, thresholds + k * kLanes, x, words);
  }
  const __mmask32 low = _mm512_kunpackw(_mm512_kunpackb(m[3], m[2]), _mm512_kunpackb(m[1], m[0]));
  const __mmask32 high = _mm512_kunpackw(_mm512_kunpackb(m[7], m[6]), _mm512_kunpackb(m[5], m[4]));
  return _cvtmask64_u64(_mm512_kunpackd(high, low));
}

void fire(const Layer& layer, const std::uint64_t* x, std::uint64_t* out) {
  if (layer.words == 1 && layer.blocks == 8) {
    out[0] = fire_word(layer.weights, layer.thresholds, x, 1);
    return;
  }
  const std::uint64_t* weights = layer.weights;
  std::uint64_t bits = 0;
  for (std::size_t block = 0; block < layer.blocks; ++block, weights += layer.words * kLanes) {
    const std::uint64_t fired =
        fire_block(weights, layer.thresholds + block * kLanes, x, layer.words);
    bits |= fired << (block % 8 * kLanes);
    if (block % 8 == 7 || block + 1 == layer.blocks) {
      out[block / 8] = bits;
      bits = 0;
    }
  }
}

#include "avx512_slices.inl"

void fire_each(const Layer& layer, const void* prepared, const std::uint64_t* x, std::uint64_t* out,
               std::size_t count) {
  const std::size_t out_words = words_of(layer.outputs);
  if (count == kBatch && sliced_bytes(layer) != 0) return fire_slices(layer, prepared, x, out);
  if (layer.words == 1 && layer.blocks == 8) {
    for (std::size_t s = 0; s < count; ++s) {
      out[s] = fire_word(layer.weights, layer.thresholds, x + s, 1);
    }
    return;
  }
  for (std::size_t s = 0; s < count; ++s) fire(layer, x + s * layer.words, out + s * out_words);
}

void encode(const Encoder& encoder, const float* numbers, std::uint64_t* out) {
  if (encoder.code != Code::Thermometer || encoder.edges_each != 16 || encoder.inputs % 4 != 0) {
    return encode_numbers(encoder, numbers, out);
  }
  const float* edges = encoder.edges.data();
  for (std::size_t i = 0; i < encoder.inputs; i += 4, edges += 64) {
    std::uint64_t bits = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const __m512 number = _mm512_set1_ps(numbers[i + k]);
      const __mmask16 above =
          _mm512_cmp_ps_mask(number, _mm512_loadu_ps(edges + 16 * k), _CMP_GT_OQ);
      bits |= std::uint64_t{above} << (16 * k);
    }
    out[i / 4] = bits;
  }
}

}  // namespace

const Kernels& avx512_kernels() {
  static const Kernels kernels = {"avx512",  fire,    sums_words, fire_each,
                                  sums_each, sliced_bytes, prepare_slices, encode};
  return kernels;
}

}  // namespace rlcompress::bits
