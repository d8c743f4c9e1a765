// The memory in which a plan runs a group of samples; one per thread that runs.
#pragma once

#include <cstdint>

#include "aligned.h"
#include "plan.h"

namespace rlcompress {

class Workspace {
 public:
  Workspace(const Plan& plan, std::size_t samples);

  std::size_t samples() const { return samples_; }
  std::uint8_t* sample(std::size_t index) { return values_.data() + index * stride_; }
  float* scratch() { return scratch_.data(); }
  float* outputs() { return outputs_.data(); }  // raw outputs of all samples

  template <class T>
  T* at(const Storage& storage, std::size_t sample_index = 0) {
    return reinterpret_cast<T*>(sample(sample_index) + storage.offset);
  }

 private:
  std::size_t samples_;
  std::size_t stride_;
  Aligned<std::uint8_t> values_;
  Aligned<float> scratch_;
  Aligned<float> outputs_;
};

}  // namespace rlcompress
