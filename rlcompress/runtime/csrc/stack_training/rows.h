// Moving rows of numbers between runs, and the dense layer over runs; the matrix products lie with
// the caller. T is float or double.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rlcompress::stack_training {

// out[k] = values[numbers[k]] for rows of `width` numbers.
template <class T>
void gather(const T* values, const std::int32_t* numbers, std::size_t count, std::size_t width,
            T* out);

// values[numbers[k]] += rows[k], in this order.
template <class T>
void scatter_add(const T* rows, const std::int32_t* numbers, std::size_t count, std::size_t width,
                 T* values);

// A dense layer over the last map. Row k of `values` is the run at positions[k], from step
// begins[k] to step ends[k]; `weight` is [positions, outputs, width].
struct DenseRuns {
  const std::int32_t *positions, *begins, *ends;
  std::size_t count, width, outputs;
};

// steps[begin] += and steps[end] -= weight x values for every run: running sums of the rows of
// `steps` ([steps + 1, outputs]) are the layer's outputs without bias.
template <class T>
void dense_forward(const DenseRuns& runs, const T* weight, const T* values, double* steps);

// With sums[t] the sum of the gradients of the outputs before step t: grad_values[k] = weight^T g
// and grad_weight += g x values[k], for g = sums[end] - sums[begin].
template <class T>
void dense_backward(const DenseRuns& runs, const T* weight, const T* values, const double* sums,
                    T* grad_values, T* grad_weight);

}  // namespace rlcompress::stack_training
