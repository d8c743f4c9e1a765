#include "rows.h"

#include <cstring>
#include <vector>

// Compiled for several instruction sets, chosen when the library is loaded.
#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__) && defined(__linux__)
#define RLC_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define RLC_CLONES
#endif

namespace rlcompress::stack_training {
namespace {

template <class T>
inline void add(const T* __restrict from, std::size_t width, T* __restrict to) {
  for (std::size_t c = 0; c < width; ++c) to[c] += from[c];
}

template <class T>
inline void forward(const DenseRuns& runs, const T* weight, const T* values, double* steps) {
  for (std::size_t k = 0; k < runs.count; ++k) {
    const T* block = weight + static_cast<std::size_t>(runs.positions[k]) * runs.outputs * runs.width;
    const T* value = values + k * runs.width;
    double* on = steps + static_cast<std::size_t>(runs.begins[k]) * runs.outputs;
    double* off = steps + static_cast<std::size_t>(runs.ends[k]) * runs.outputs;
    for (std::size_t j = 0; j < runs.outputs; ++j) {
      constexpr std::size_t lanes = 64 / sizeof(T);
      const T* row = block + j * runs.width;
      T sums[lanes] = {};
      std::size_t c = 0;
      for (; c + lanes <= runs.width; c += lanes)
        for (std::size_t i = 0; i < lanes; ++i) sums[i] += row[c + i] * value[c + i];
      double sum = 0;
      for (; c < runs.width; ++c) sum += static_cast<double>(row[c]) * value[c];
      for (std::size_t i = 0; i < lanes; ++i) sum += sums[i];
      on[j] += sum;
      off[j] -= sum;
    }
  }
}

template <class T>
inline void backward(const DenseRuns& runs, const T* weight, const T* values, const double* sums,
                     T* grad_values, T* grad_weight) {
  for (std::size_t k = 0; k < runs.count; ++k) {
    const std::size_t at = static_cast<std::size_t>(runs.positions[k]) * runs.outputs * runs.width;
    const T* value = values + k * runs.width;
    const double* before = sums + static_cast<std::size_t>(runs.begins[k]) * runs.outputs;
    const double* after = sums + static_cast<std::size_t>(runs.ends[k]) * runs.outputs;
    T* __restrict gradient = grad_values + k * runs.width;
    std::memset(gradient, 0, runs.width * sizeof(T));
    for (std::size_t j = 0; j < runs.outputs; ++j) {
      const T g = static_cast<T>(after[j] - before[j]);
      if (g == 0) continue;
      const T* __restrict row = weight + at + j * runs.width;
      T* __restrict grad_row = grad_weight + at + j * runs.width;
      for (std::size_t c = 0; c < runs.width; ++c) {
        gradient[c] += g * row[c];
        grad_row[c] += g * value[c];
      }
    }
  }
}

template <class T>
inline void take(const T* values, const std::int32_t* numbers, std::size_t count,
                 std::size_t width, T* out) {
  if (width == 1) {
    for (std::size_t k = 0; k < count; ++k) out[k] = values[numbers[k]];
    return;
  }
  for (std::size_t k = 0; k < count; ++k)
    std::memcpy(out + k * width, values + static_cast<std::size_t>(numbers[k]) * width,
                width * sizeof(T));
}

template <class T>
inline void put(const T* rows, const std::int32_t* numbers, std::size_t count, std::size_t width,
                T* values) {
  for (std::size_t k = 0; k < count; ++k)
    add(rows + k * width, width, values + static_cast<std::size_t>(numbers[k]) * width);
}

}  // namespace

#define RLC_ROWS(T)                                                                              \
  template <>                                                                                    \
  RLC_CLONES void gather(const T* values, const std::int32_t* numbers, std::size_t count,        \
                         std::size_t width, T* out) {                                            \
    take(values, numbers, count, width, out);                                                    \
  }                                                                                              \
  template <>                                                                                    \
  RLC_CLONES void scatter_add(const T* rows, const std::int32_t* numbers, std::size_t count,     \
                              std::size_t width, T* values) {                                    \
    put(rows, numbers, count, width, values);                                                    \
  }                                                                                              \
  template <>                                                                                    \
  RLC_CLONES void dense_forward(const DenseRuns& runs, const T* weight, const T* values,         \
                                double* steps) {                                                 \
    forward(runs, weight, values, steps);                                                        \
  }                                                                                              \
  template <>                                                                                    \
  RLC_CLONES void dense_backward(const DenseRuns& runs, const T* weight, const T* values,        \
                                 const double* sums, T* grad_values, T* grad_weight) {           \
    backward(runs, weight, values, sums, grad_values, grad_weight);                              \
  }

RLC_ROWS(float)
RLC_ROWS(double)

}  // namespace rlcompress::stack_training
