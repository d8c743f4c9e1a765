// Python's view of runs and of the rows of numbers that belong to them: numpy arrays in and out.
// The caller (run_rows.py) checks shapes; types and contiguity are checked here.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/vector.h>

#include "rows.h"
#include "runs.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace rlcompress::stack_training {
namespace {

template <class T, std::size_t D>
using Array = nb::ndarray<T, nb::ndim<D>, nb::c_contig, nb::device::cpu>;
using Numbers = Array<const std::int32_t, 1>;

nb::object array(std::vector<std::int32_t>&& from, std::size_t width) {
  auto* kept = new std::vector<std::int32_t>(std::move(from));
  nb::capsule owner(kept, [](void* p) noexcept {
    delete static_cast<std::vector<std::int32_t>*>(p);
  });
  const std::size_t rows = kept->size() / width;
  // A pointer to nothing is no array; numpy has its own idea of an empty one.
  static std::int32_t none = 0;
  std::int32_t* data = kept->empty() ? &none : kept->data();
  return nb::cast(nb::ndarray<nb::numpy, std::int32_t, nb::ndim<2>>(data, {rows, width}, owner));
}

std::vector<Window> windows_of(const std::vector<std::vector<int>>& shapes, std::size_t height,
                               std::size_t width) {
  std::vector<Window> found;
  for (const std::vector<int>& s : shapes) {
    if (s.size() != 10) throw nb::value_error("a window has 10 numbers");
    Window w{s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], 0, 0, s[8], s[9]};
    w.in_h = found.empty() ? static_cast<int>(height) : found.back().out_h;
    w.in_w = found.empty() ? static_cast<int>(width) : found.back().out_w;
    for (std::size_t k = 0; k < s.size(); ++k)
      if (s[k] < (k == 4 || k == 5 ? 0 : 1)) throw nb::value_error("a window is out of range");
    found.push_back(w);
  }
  if (found.empty()) throw nb::value_error("at least one window is needed");
  return found;
}

nb::tuple find_runs_py(Array<const std::uint8_t, 4> frames,
                       const std::vector<std::vector<int>>& shapes, std::size_t limit) {
  if (!frames.shape(0) || !frames.shape(3)) throw nb::value_error("frames must not be empty");
  const std::vector<Window> windows = windows_of(shapes, frames.shape(1), frames.shape(2));
  std::vector<Runs> runs;
  std::size_t taken;
  {
    nb::gil_scoped_release free_others;
    taken = find_runs(frames.data(), frames.shape(0), frames.shape(3), windows, limit, runs);
  }
  nb::list maps;
  for (std::size_t k = 0; k < runs.size(); ++k) {
    const std::size_t taps = k ? windows[k - 1].kernel_h * windows[k - 1].kernel_w : 1;
    maps.append(nb::make_tuple(array(std::move(runs[k].positions), 1),
                               array(std::move(runs[k].begins), 1),
                               array(std::move(runs[k].ends), 1),
                               array(std::move(runs[k].inputs), taps)));
  }
  return nb::make_tuple(taken, maps);
}

void check(bool right, const char* message) {
  if (!right) throw nb::value_error(message);
}

void check_numbers(const Numbers& numbers, std::size_t below, const char* message) {
  for (std::size_t k = 0; k < numbers.shape(0); ++k)
    check(numbers.data()[k] >= 0 && static_cast<std::size_t>(numbers.data()[k]) < below, message);
}

template <class T>
void gather_py(Array<const T, 2> values, Numbers numbers, Array<T, 2> out) {
  check(out.shape(0) == numbers.shape(0) && out.shape(1) == values.shape(1), "out has a wrong shape");
  check_numbers(numbers, values.shape(0), "numbers must be rows of values");
  gather(values.data(), numbers.data(), numbers.shape(0), values.shape(1), out.data());
}

template <class T>
void scatter_py(Array<const T, 2> rows, Numbers numbers, Array<T, 2> values) {
  check(rows.shape(0) == numbers.shape(0) && rows.shape(1) == values.shape(1), "rows have a wrong shape");
  check_numbers(numbers, values.shape(0), "numbers must be rows of values");
  scatter_add(rows.data(), numbers.data(), numbers.shape(0), values.shape(1), values.data());
}

template <class T>
DenseRuns dense_runs(const Numbers& positions, const Numbers& begins, const Numbers& ends,
                     const Array<const T, 3>& weight, const Array<const T, 2>& values,
                     std::size_t steps) {
  const std::size_t count = positions.shape(0);
  check(begins.shape(0) == count && ends.shape(0) == count && values.shape(0) == count &&
            values.shape(1) == weight.shape(2),
        "runs, weight and values do not belong together");
  check_numbers(positions, weight.shape(0), "positions must be of the weight's");
  check_numbers(begins, steps, "begins must be steps");
  check_numbers(ends, steps, "ends must be steps");
  return {positions.data(), begins.data(), ends.data(), count, weight.shape(2), weight.shape(1)};
}

template <class T>
void forward_py(Numbers positions, Numbers begins, Numbers ends, Array<const T, 3> weight,
                Array<const T, 2> values, Array<double, 2> steps) {
  const DenseRuns runs = dense_runs<T>(positions, begins, ends, weight, values, steps.shape(0));
  check(steps.shape(1) == runs.outputs, "steps have a wrong shape");
  dense_forward(runs, weight.data(), values.data(), steps.data());
}

template <class T>
void backward_py(Numbers positions, Numbers begins, Numbers ends, Array<const T, 3> weight,
                 Array<const T, 2> values, Array<const double, 2> sums, Array<T, 2> grad_values,
                 Array<T, 3> grad_weight) {
  const DenseRuns runs = dense_runs<T>(positions, begins, ends, weight, values, sums.shape(0));
  check(sums.shape(1) == runs.outputs && grad_values.shape(0) == runs.count &&
            grad_values.shape(1) == runs.width && grad_weight.size() == weight.size(),
        "sums or gradients have a wrong shape");
  dense_backward(runs, weight.data(), values.data(), sums.data(), grad_values.data(),
                 grad_weight.data());
}

template <class T>
void bind(nb::module_& module) {
  module.def("gather", gather_py<T>, nb::call_guard<nb::gil_scoped_release>());
  module.def("scatter_add", scatter_py<T>, nb::call_guard<nb::gil_scoped_release>());
  module.def("dense_forward", forward_py<T>, nb::call_guard<nb::gil_scoped_release>());
  module.def("dense_backward", backward_py<T>, nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace

NB_MODULE(_runs, module) {
  module.def("find_runs", find_runs_py, "frames"_a, "shapes"_a, "limit"_a);
  bind<float>(module);
  bind<double>(module);
}

}  // namespace rlcompress::stack_training
