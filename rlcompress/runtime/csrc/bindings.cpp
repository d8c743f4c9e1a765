// Python's view of the engine: arrays in and out without a copy, everything unusual left to
// engine.py (which converts and tries again, or raises the error the reference would).
//
// A call on a small network takes less time than a generic argument parser, so arrays are read
// through numpy's C API and `__call__` is the type's own slot.
#define NPY_NO_DEPRECATED_API NPY_1_7_API_VERSION
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <numpy/arrayobject.h>

#include <chrono>
#include <cstring>
#include <new>

#include "dispatch.h"
#include "engine.h"

namespace nb = nanobind;

namespace rlcompress {
namespace {

enum class Wanted { Actions, Outputs };

// What a call needs to know of its arrays, worked out once.
class BoundEngine {
 public:
  BoundEngine(nb::bytes image, std::size_t threads, const std::string& isa, bool reuse)
      : engine_(static_cast<const std::uint8_t*>(image.data()), image.size(),
                Options{threads, isa, reuse}),
        type_(engine_.program().observation.image ? NPY_UINT8 : NPY_FLOAT32),
        discrete_(engine_.program().action.discrete()) {
    for (const std::uint32_t axis : engine_.program().observation.shape) shape_.push_back(axis);
    for (const std::uint32_t axis : engine_.program().action.shape) action_.push_back(axis);
  }

  Engine& engine() { return engine_; }

  // New reference, or null with an error set.
  PyObject* run(PyObject* self, PyObject* observation, PyObject* out, Wanted wanted);

  // Nanoseconds of each of `taken.size()` runs on `rows` observations of a batch, going round.
  void time_runs(PyObject* observations, std::size_t rows, std::vector<std::int64_t>& taken);

 private:
  // Fills in the batch if the array can be read as it is; whether it is a batch goes to `batched`.
  bool accept(PyObject* observation, Batch& batch, bool& batched) const;
  PyArrayObject* result(PyObject* out, std::size_t count, bool batched, Wanted wanted) const;

  Engine engine_;
  int type_;
  bool discrete_;
  std::vector<npy_intp> shape_, action_;
};

bool BoundEngine::accept(PyObject* observation, Batch& batch, bool& batched) const {
  if (!PyArray_Check(observation)) return false;
  auto* array = reinterpret_cast<PyArrayObject*>(observation);
  const int type = PyArray_TYPE(array);
  if (type == type_) {
    batch.type = type == NPY_UINT8 ? ElementType::Uint8 : ElementType::Float32;
  } else if (type == NPY_FLOAT64 && type_ == NPY_FLOAT32) {
    batch.type = ElementType::Float64;
  } else {
    return false;
  }
  if (!PyArray_ISCARRAY_RO(array)) return false;
  const auto axes = static_cast<std::size_t>(PyArray_NDIM(array));
  const npy_intp* shape = PyArray_DIMS(array);
  batched = axes != shape_.size();
  if (batched && axes != shape_.size() + 1) return false;
  for (std::size_t i = 0; i < shape_.size(); ++i) {
    if (shape[i + (batched ? 1 : 0)] != shape_[i]) return false;
  }
  batch.observations = PyArray_DATA(array);
  batch.count = batched ? static_cast<std::size_t>(shape[0]) : 1;
  return true;
}

PyArrayObject* BoundEngine::result(PyObject* out, std::size_t count, bool batched,
                                   Wanted wanted) const {
  npy_intp shape[NPY_MAXDIMS];
  int axes = 0;
  int type = NPY_FLOAT32;
  if (wanted == Wanted::Outputs) {
    shape[axes++] = static_cast<npy_intp>(count);
    shape[axes++] = static_cast<npy_intp>(engine_.program().outputs());
  } else {
    if (batched) shape[axes++] = static_cast<npy_intp>(count);
    for (const npy_intp axis : action_) shape[axes++] = axis;
    if (discrete_) type = NPY_INT64;
  }
  if (out == nullptr) {
    return reinterpret_cast<PyArrayObject*>(PyArray_SimpleNew(axes, shape, type));
  }
  auto* array = reinterpret_cast<PyArrayObject*>(out);
  if (!PyArray_Check(out) || !PyArray_ISCARRAY(array) || PyArray_TYPE(array) != type ||
      PyArray_NDIM(array) != axes ||
      !PyArray_CompareLists(PyArray_DIMS(array), shape, axes)) {
    std::string wants = "(";
    for (int i = 0; i < axes; ++i) wants += std::to_string(shape[i]) + (i + 1 < axes ? ", " : "");
    PyErr_Format(PyExc_ValueError,
                 "out must be a writable C-contiguous %s array of shape %s%s), got %R",
                 type == NPY_INT64 ? "int64" : "float32", wants.c_str(), axes == 1 ? "," : "", out);
    return nullptr;
  }
  Py_INCREF(out);
  return array;
}

PyObject* BoundEngine::run(PyObject* self, PyObject* observation, PyObject* out, Wanted wanted) {
  Batch batch;
  bool batched = false;
  if (!accept(observation, batch, batched)) {
    return PyObject_CallMethod(self, "_run_converted", "OOi", observation,
                               out == nullptr ? Py_None : out, wanted == Wanted::Outputs);
  }
  PyArrayObject* target = result(out, batch.count, batched, wanted);
  if (target == nullptr) return nullptr;
  void* data = PyArray_DATA(target);
  if (wanted == Wanted::Outputs) {
    batch.outputs = static_cast<float*>(data);
  } else {
    batch.actions = data;
  }
  std::size_t checked = 0;
  try {
    if (batch.count > 1) {
      const nb::gil_scoped_release released;
      checked = engine_.run(batch);
    } else {
      checked = engine_.run(batch);
    }
  } catch (const std::exception& error) {
    Py_DECREF(target);
    PyErr_SetString(PyExc_RuntimeError, error.what());
    return nullptr;
  }
  if (checked != batch.count * engine_.program().observation.size) {
    Py_DECREF(target);
    return PyObject_CallMethod(self, "_raise_not_finite", "O", observation);
  }
  return reinterpret_cast<PyObject*>(target);
}

void BoundEngine::time_runs(PyObject* observations, std::size_t rows,
                            std::vector<std::int64_t>& taken) {
  Batch all;
  bool batched = false;
  if (!accept(observations, all, batched) || rows == 0 || all.count % rows != 0) {
    throw nb::value_error("observations must be a plain batch, a multiple of rows");
  }
  const std::size_t element = all.type == ElementType::Uint8     ? sizeof(std::uint8_t)
                              : all.type == ElementType::Float32 ? sizeof(float)
                                                                 : sizeof(double);
  const std::size_t stride = rows * engine_.program().observation.size * element;
  std::size_t action = 1;
  for (const npy_intp axis : action_) action *= static_cast<std::size_t>(axis);
  std::vector<std::int64_t> actions(rows * action);  // Room for floats as well.
  Batch batch = all;
  batch.count = rows;
  batch.actions = actions.data();
  const auto* first = static_cast<const char*>(all.observations);
  std::size_t next = 0;
  for (std::int64_t& nanoseconds : taken) {
    batch.observations = first + next * stride;
    next = (next + 1) % (all.count / rows);
    const auto start = std::chrono::steady_clock::now();
    engine_.run(batch);
    const auto spent = std::chrono::steady_clock::now() - start;
    nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count();
  }
}

// The arguments (observation, out=None); the usual ways to write them are taken apart by hand.
bool parse(PyObject* args, PyObject* keywords, PyObject*& observation, PyObject*& out) {
  static PyObject* const out_name = PyUnicode_InternFromString("out");
  const Py_ssize_t given = PyTuple_GET_SIZE(args);
  if (keywords == nullptr && (given == 1 || given == 2)) {
    observation = PyTuple_GET_ITEM(args, 0);
    if (given == 2) out = PyTuple_GET_ITEM(args, 1);
  } else if (keywords != nullptr && given == 1 && PyDict_GET_SIZE(keywords) == 1 &&
             (out = PyDict_GetItemWithError(keywords, out_name)) != nullptr) {
    observation = PyTuple_GET_ITEM(args, 0);
  } else {
    static const char* names[] = {"observation", "out", nullptr};
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O|O", const_cast<char**>(names), &observation,
                                     &out)) {
      return false;
    }
  }
  if (out == Py_None) out = nullptr;
  return true;
}

PyObject* run(PyObject* self, PyObject* observation, PyObject* out, Wanted wanted) {
  if (!nb::isinstance<BoundEngine>(self) || !nb::inst_ready(self)) {
    PyErr_SetString(PyExc_TypeError, "this needs an engine whose __init__ has been called");
    return nullptr;
  }
  return nb::inst_ptr<BoundEngine>(self)->run(self, observation, out, wanted);
}

PyObject* call(PyObject* self, PyObject* args, PyObject* keywords) {
  PyObject* observation = nullptr;
  PyObject* out = nullptr;
  if (!parse(args, keywords, observation, out)) return nullptr;
  return run(self, observation, out, Wanted::Actions);
}

nb::object forward(nb::handle self, nb::handle observation, nb::handle out) {
  PyObject* target = out.is_none() ? nullptr : out.ptr();
  PyObject* result = run(self.ptr(), observation.ptr(), target, Wanted::Outputs);
  if (result == nullptr) throw nb::python_error();
  return nb::steal(result);
}

std::vector<std::int64_t> time_runs(BoundEngine& engine, nb::handle observations, std::size_t rows,
                                    std::size_t count) {
  std::vector<std::int64_t> taken(count);
  engine.time_runs(observations.ptr(), rows, taken);
  return taken;
}

// The engine's tanh on an instruction set, in place, for tests against numerics.tanh.
void tanh_in_place(nb::handle values, const std::string& isa) {
  auto* array = reinterpret_cast<PyArrayObject*>(values.ptr());
  if (!PyArray_Check(values.ptr()) || !PyArray_ISCARRAY(array) ||
      PyArray_TYPE(array) != NPY_FLOAT32) {
    throw nb::value_error("values must be a writable C-contiguous float32 array");
  }
  auto* data = static_cast<float*>(PyArray_DATA(array));
  kernels_for(isa).tanh(data, data, static_cast<std::size_t>(PyArray_SIZE(array)));
}

PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(call)}, {0, nullptr}};

}  // namespace
}  // namespace rlcompress

NB_MODULE(_engine, module) {
  using rlcompress::BoundEngine;
  if (_import_array() < 0) throw nb::python_error();
  module.def("available_isas", &rlcompress::available_isas);
  module.def("tanh_", &rlcompress::tanh_in_place, nb::arg("values"), nb::arg("isa"));
  nb::class_<BoundEngine>(module, "NativeEngine", nb::type_slots(rlcompress::slots))
      .def(nb::init<nb::bytes, std::size_t, const std::string&, bool>(), nb::arg("image"),
           nb::arg("threads"), nb::arg("isa"), nb::arg("reuse"))
      .def("forward", &rlcompress::forward, nb::arg("observation"), nb::arg("out") = nb::none())
      .def("time_runs", &rlcompress::time_runs, nb::arg("observations"), nb::arg("rows"),
           nb::arg("count"))
      .def_prop_ro("isa", [](BoundEngine& e) { return std::string(e.engine().isa()); })
      .def_prop_ro("break_even", [](BoundEngine& e) { return e.engine().break_even(); });
}
