// Python's view of plans. Frames and outputs are addresses, which rlcompress/reuse/native.py takes
// from tensors that it has checked: a call is a matter of microseconds.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "../dispatch.h"
#include "plan.h"

namespace nb = nanobind;

namespace rlcompress::stack {
namespace {

using Numbers = std::vector<std::size_t>;

// kind, function, in (3), out (3), then kernel, stride, padding and dilation by axes.
StageSpec stage_of(const Numbers& n) {
  if (n.size() != 16 || n[0] > 3 || n[1] > 2) throw nb::value_error("a stage is 16 numbers");
  StageSpec stage = {};
  stage.kind = static_cast<Kind>(n[0]);
  stage.function = static_cast<Function>(n[1]);
  stage.in = {n[2], n[3], n[4]};
  stage.out = {n[5], n[6], n[7]};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    stage.window.kernel[axis] = n[8 + axis];
    stage.window.stride[axis] = n[10 + axis];
    stage.window.padding[axis] = n[12 + axis];
    stage.window.dilation[axis] = n[14 + axis];
  }
  return stage;
}

// What a slot remembered, with the one load of parameters that it is of.
struct Snapshot {
  Slot slot;
  std::uint64_t load;
};

// No two loads have the same number, whatever plan they are of.
std::uint64_t next_load() {
  static std::atomic<std::uint64_t> loads{0};
  return ++loads;
}

class NativePlan {
 public:
  NativePlan(const std::vector<Numbers>& stages, const Numbers& frame, const Numbers& options,
             float divisor, std::vector<float> thresholds, const std::string& isa) {
    if (stages.empty() || frame.size() != 3 || options.size() != 5) {
      throw nb::value_error("a plan needs stages, a frame of 3 sizes and 5 options");
    }
    PlanSpec spec = {};
    for (const Numbers& numbers : stages) spec.stages.push_back(stage_of(numbers));
    spec.frame = {frame[0], frame[1], frame[2]};
    spec.slots = options[0];
    spec.reuse = options[1] != 0;
    spec.bytes = options[2] != 0;
    spec.lags = options[3];
    spec.repeat = options[4] != 0;
    spec.divisor = divisor;
    spec.thresholds = std::move(thresholds);
    spec.isa = isa;
    plan_ = std::make_unique<Plan>(std::move(spec));
  }

  // Two addresses per stage, weight and bias; 0 where there is none.
  void load(const Numbers& addresses) {
    std::vector<Parameters> parameters;
    for (std::size_t i = 0; i + 1 < addresses.size(); i += 2) {
      parameters.push_back({reinterpret_cast<const float*>(addresses[i]),
                            reinterpret_cast<const float*>(addresses[i + 1])});
    }
    if (parameters.size() != plan_->spec().stages.size()) {
      throw nb::value_error("load needs two addresses per stage");
    }
    plan_->load(parameters);
    load_ = next_load();
  }

  void run_one(std::size_t frame, std::size_t slot, std::size_t out) {
    plan_->run(reinterpret_cast<const void*>(frame), &slot, 1, nullptr, reinterpret_cast<float*>(out));
  }

  void run(std::size_t frames, const Numbers& slots, std::size_t changed, std::size_t out) {
    plan_->run(reinterpret_cast<const void*>(frames), slots.data(), slots.size(),
               reinterpret_cast<const std::uint8_t*>(changed), reinterpret_cast<float*>(out));
  }

  void reset(const Numbers& slots) {
    for (const std::size_t slot : slots) plan_->reset(slot);
  }

  nb::bytes mask(std::size_t stage, std::size_t slot) const {
    const std::vector<std::uint8_t> bytes = plan_->mask(stage, slot);
    return nb::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }

  void activation(std::size_t stage, std::size_t slot, std::size_t out) const {
    plan_->activation(stage, slot, reinterpret_cast<float*>(out));
  }

  bool known(std::size_t slot) { return plan_->slot(slot).known; }
  Snapshot save(std::size_t slot) { return {plan_->slot(slot), load_}; }
  bool restore(std::size_t slot, const Snapshot& snapshot) {
    if (snapshot.load != load_) return false;
    plan_->slot(slot) = snapshot.slot;
    return true;
  }

  Numbers counts() const { return plan_->counts(); }
  std::string isa() const { return plan_->isa(); }

 private:
  std::unique_ptr<Plan> plan_;
  std::uint64_t load_ = 0;
};

}  // namespace

NB_MODULE(_stack, module) {
  module.def("available_isas", &rlcompress::available_isas);
  nb::class_<Snapshot>(module, "Snapshot");
  nb::class_<NativePlan>(module, "NativePlan")
      .def(nb::init<const std::vector<Numbers>&, const Numbers&, const Numbers&, float,
                    std::vector<float>, const std::string&>(),
           nb::arg("stages"), nb::arg("frame"), nb::arg("options"), nb::arg("divisor"),
           nb::arg("thresholds"), nb::arg("isa"))
      .def("load", &NativePlan::load, nb::arg("addresses"))
      .def("run_one", &NativePlan::run_one, nb::arg("frame"), nb::arg("slot"), nb::arg("out"))
      .def("run", &NativePlan::run, nb::arg("frames"), nb::arg("slots"), nb::arg("changed"),
           nb::arg("out"))
      .def("reset", &NativePlan::reset, nb::arg("slots"))
      .def("mask", &NativePlan::mask, nb::arg("stage"), nb::arg("slot"))
      .def("activation", &NativePlan::activation, nb::arg("stage"), nb::arg("slot"), nb::arg("out"))
      .def("known", &NativePlan::known, nb::arg("slot"))
      .def("save", &NativePlan::save, nb::arg("slot"))
      .def("restore", &NativePlan::restore, nb::arg("slot"), nb::arg("snapshot"))
      .def_prop_ro("counts", &NativePlan::counts)
      .def_prop_ro("isa", &NativePlan::isa);
}

}  // namespace rlcompress::stack
