// Python's view of bit networks: arrays in and out; evaluator.py checks what they hold.
//
// One sample through one network is a matter of nanoseconds, so `__call__` is the type's own slot
// and reads its array through numpy's C API.
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <numpy/arrayobject.h>

#include "bits.h"
#include "rollout.h"

namespace nb = nanobind;

namespace rlcompress::bits {
namespace {

template <class T>
struct NumpyType;
template <>
struct NumpyType<std::uint8_t> {
  static constexpr int value = NPY_UINT8;
};
template <>
struct NumpyType<std::uint64_t> {
  static constexpr int value = NPY_UINT64;
};
template <>
struct NumpyType<std::int32_t> {
  static constexpr int value = NPY_INT32;
};
template <>
struct NumpyType<std::int64_t> {
  static constexpr int value = NPY_INT64;
};
template <>
struct NumpyType<float> {
  static constexpr int value = NPY_FLOAT32;
};
template <>
struct NumpyType<double> {
  static constexpr int value = NPY_FLOAT64;
};

// The elements of a C-contiguous array of the right type and number of elements.
template <class T>
T* elements(nb::handle object, std::size_t count, const char* name) {
  auto* array = reinterpret_cast<PyArrayObject*>(object.ptr());
  if (!PyArray_Check(object.ptr()) || !PyArray_ISCARRAY_RO(array) ||
      PyArray_TYPE(array) != NumpyType<std::remove_const_t<T>>::value ||
      static_cast<std::size_t>(PyArray_SIZE(array)) != count ||
      (!std::is_const_v<T> && !PyArray_ISWRITEABLE(array))) {
    throw nb::value_error((std::string(name) + " must be a C-contiguous array of " +
                           std::to_string(count) + " elements of the right type").c_str());
  }
  return static_cast<T*>(PyArray_DATA(array));
}

std::size_t size_of(nb::handle object) {
  return PyArray_Check(object.ptr())
             ? static_cast<std::size_t>(PyArray_SIZE(reinterpret_cast<PyArrayObject*>(object.ptr())))
             : 0;
}

class BoundEncoder {
 public:
  BoundEncoder(std::size_t code, std::size_t inputs, std::size_t edges_each, nb::handle edges) {
    if (code > 2 || inputs < 1 || edges_each < 1 || inputs > kMaxWidth ||
        inputs * (edges_each + 1) > kMaxWidth) {
      throw nb::value_error("an encoder is out of range");
    }
    encoder_ = make_encoder(static_cast<Code>(code), inputs, edges_each,
                            elements<const float>(edges, inputs * edges_each, "edges"));
  }
  const Encoder& get() const { return encoder_; }

  void encode(nb::handle numbers, nb::handle out, const std::string& isa) const {
    const std::size_t words = words_of(encoder_.bits());
    const std::size_t count = size_of(numbers) / encoder_.inputs;
    const float* from = elements<const float>(numbers, count * encoder_.inputs, "numbers");
    std::uint64_t* to = elements<std::uint64_t>(out, count * words, "out");
    const Kernels& kernels = kernels_for(isa);
    for (std::size_t s = 0; s < count; ++s) {
      kernels.encode(encoder_, from + s * encoder_.inputs, to + s * words);
    }
  }

 private:
  Encoder encoder_;
};

class BoundNetworks {
 public:
  BoundNetworks(const std::vector<std::size_t>& widths, std::size_t count, const std::string& isa)
      : networks_(widths, count), kernels_(&kernels_for(isa)), scratch_(networks_.scratch_words()) {
    if (count < 1) throw nb::value_error("count must be at least 1");
  }

  const char* isa() const { return kernels_->isa; }

  void set(nb::handle weights, nb::handle biases) {
    const std::size_t count = networks_.count();
    const auto* w = elements<const std::uint8_t>(weights, count * networks_.weights(), "weights");
    const auto* b = elements<const std::int32_t>(biases, count * networks_.biases(), "biases");
    for (std::size_t i = 0; i < count; ++i) {
      networks_.set(i, w + i * networks_.weights(), b + i * networks_.biases());
    }
  }

  // Samples (n, words) through every network: out is (networks, n, outputs).
  void forward(nb::handle x, nb::handle out) const {
    const std::size_t samples = size_of(x) / networks_.input_words();
    const auto* from =
        elements<const std::uint64_t>(x, samples * networks_.input_words(), "x");
    const std::size_t each = samples * networks_.outputs();
    auto* to = elements<std::int32_t>(out, networks_.count() * each, "out");
    const nb::gil_scoped_release released;
    for (std::size_t i = 0; i < networks_.count(); ++i) {
      networks_.run_batch(*kernels_, i, from, to + i * each, samples);
    }
  }

  // Samples (n, words), each through the network that `which` names: out is (n, outputs).
  void forward_at(nb::handle which, nb::handle x, nb::handle out) const {
    const std::size_t words = networks_.input_words();
    const std::size_t samples = size_of(which);
    const auto* index = elements<const std::int64_t>(which, samples, "which");
    const auto* from = elements<const std::uint64_t>(x, samples * words, "x");
    auto* to = elements<std::int32_t>(out, samples * networks_.outputs(), "out");
    for (std::size_t i = 0; i < samples; ++i) {
      if (index[i] < 0 || static_cast<std::size_t>(index[i]) >= networks_.count()) {
        throw nb::index_error("there is no such network");
      }
    }
    Aligned<std::uint64_t> scratch(networks_.scratch_words());
    for (std::size_t i = 0; i < samples; ++i) {
      networks_.run(*kernels_, static_cast<std::size_t>(index[i]), from + i * words,
                    to + i * networks_.outputs(), scratch.data());
    }
  }

  // Episodes from `starts`: states that all networks share, or as many again for each network.
  void rollout(const std::string& name, const BoundEncoder& encoder, bool count, nb::handle starts,
               std::size_t most_steps, nb::handle returns, nb::handle lengths) const {
    const Task& found = task(name);
    Rollout rollout;
    rollout.kernels = kernels_;
    rollout.networks = &networks_;
    rollout.encoder = &encoder.get();
    rollout.choice = count ? Choice::Count : Choice::Argmax;
    rollout.episodes = size_of(returns) / networks_.count();
    rollout.shared = size_of(starts) == rollout.episodes * found.state;
    rollout.most_steps = most_steps;
    const std::size_t size = networks_.count() * rollout.episodes;
    rollout.starts = elements<const double>(
        starts, (rollout.shared ? rollout.episodes : size) * found.state, "starts");
    rollout.returns = elements<double>(returns, size, "returns");
    rollout.lengths = elements<std::int64_t>(lengths, size, "lengths");
    const std::size_t actions = networks_.outputs() + (count ? 1 : 0);
    if (encoder.get().inputs != found.numbers || encoder.get().bits() != networks_.inputs() ||
        actions != found.actions) {
      throw nb::value_error("encoder, network and task do not fit together");
    }
    const nb::gil_scoped_release released;
    found.episodes(rollout, 0, networks_.count());
  }

  // One sample through the first network: a new int32 array of outputs, or an int for an int.
  PyObject* call(PyObject* sample) {
    if (PyLong_CheckExact(sample) && networks_.input_words() == 1 && networks_.outputs() == 1) {
      const std::uint64_t word = PyLong_AsUnsignedLongLong(sample);
      if (PyErr_Occurred() != nullptr) return nullptr;
      std::int32_t z = 0;
      networks_.run(*kernels_, 0, &word, &z, scratch_.data());
      return PyLong_FromLong(z);
    }
    auto* array = reinterpret_cast<PyArrayObject*>(sample);
    if (!PyArray_Check(sample) || !PyArray_ISCARRAY_RO(array) || PyArray_TYPE(array) != NPY_UINT64 ||
        static_cast<std::size_t>(PyArray_SIZE(array)) != networks_.input_words()) {
      PyErr_Format(PyExc_ValueError, "x must be a C-contiguous uint64 array of %zu words, got %R",
                   networks_.input_words(), sample);
      return nullptr;
    }
    npy_intp shape[] = {static_cast<npy_intp>(networks_.outputs())};
    PyObject* out = PyArray_SimpleNew(1, shape, NPY_INT32);
    if (out == nullptr) return nullptr;
    networks_.run(*kernels_, 0, static_cast<const std::uint64_t*>(PyArray_DATA(array)),
                  static_cast<std::int32_t*>(
                      PyArray_DATA(reinterpret_cast<PyArrayObject*>(out))),
                  scratch_.data());
    return out;
  }

 private:
  Networks networks_;
  const Kernels* kernels_;
  Aligned<std::uint64_t> scratch_;
};

PyObject* call(PyObject* self, PyObject* args, PyObject* keywords) {
  if (!nb::isinstance<BoundNetworks>(self) || !nb::inst_ready(self)) {
    PyErr_SetString(PyExc_TypeError, "this needs networks whose __init__ has been called");
    return nullptr;
  }
  if (PyTuple_GET_SIZE(args) != 1 || (keywords != nullptr && PyDict_GET_SIZE(keywords) != 0)) {
    PyErr_SetString(PyExc_TypeError, "one argument is expected: the words of one sample");
    return nullptr;
  }
  return nb::inst_ptr<BoundNetworks>(self)->call(PyTuple_GET_ITEM(args, 0));
}

// One step of a task from `state`, in place; the reward and whether the episode ended.
nb::tuple step(const std::string& name, nb::handle state, std::size_t action) {
  const Task& found = task(name);
  if (action >= found.actions) throw nb::value_error("there is no such action");
  double reward = 0;
  bool done = false;
  found.step(elements<double>(state, found.state, "state"), action, &reward, &done);
  return nb::make_tuple(reward, done);
}

PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(call)}, {0, nullptr}};

}  // namespace
}  // namespace rlcompress::bits

NB_MODULE(_bits, module) {
  using namespace rlcompress::bits;
  if (_import_array() < 0) throw nb::python_error();
  module.def("available_isas", &available_isas);
  module.def("tasks", &tasks);
  module.def("step_", &step, nb::arg("task"), nb::arg("state"), nb::arg("action"));
  nb::class_<BoundEncoder>(module, "NativeEncoder")
      .def(nb::init<std::size_t, std::size_t, std::size_t, nb::handle>(), nb::arg("code"),
           nb::arg("inputs"), nb::arg("edges_each"), nb::arg("edges"))
      .def("encode", &BoundEncoder::encode, nb::arg("numbers"), nb::arg("out"), nb::arg("isa"));
  nb::class_<BoundNetworks>(module, "NativeNetworks", nb::type_slots(slots))
      .def(nb::init<const std::vector<std::size_t>&, std::size_t, const std::string&>(),
           nb::arg("widths"), nb::arg("count"), nb::arg("isa"))
      .def("set_", &BoundNetworks::set, nb::arg("weights"), nb::arg("biases"))
      .def("forward", &BoundNetworks::forward, nb::arg("x"), nb::arg("out"))
      .def("forward_at", &BoundNetworks::forward_at, nb::arg("which"), nb::arg("x"), nb::arg("out"))
      .def("rollout", &BoundNetworks::rollout, nb::arg("task"), nb::arg("encoder"),
           nb::arg("count"), nb::arg("starts"), nb::arg("most_steps"), nb::arg("returns"),
           nb::arg("lengths"))
      .def_prop_ro("isa", &BoundNetworks::isa);
}
