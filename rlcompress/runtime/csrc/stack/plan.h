// A stack of layers, the slots that remember what each environment's frames came to, and the run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bits.h"
#include "pack.h"

namespace rlcompress::stack {

struct PlanSpec {
  std::vector<StageSpec> stages;
  Shape frame;
  std::size_t slots;
  bool reuse;
  bool bytes;  // frames are uint8, else float32
  std::size_t lags;
  bool repeat;  // what lies before the first frame is that frame, else zeros
  float divisor;
  std::vector<float> thresholds;  // of the pixels and of every stage, or none
  std::string isa;
};

// What an environment's last frame came to. Copies are snapshots.
struct Slot {
  bool known = false;
  bool full = false;                      // whether the stage that runs computes everything
  std::size_t newest = 0;                 // in `frames` and `changes`
  std::vector<std::uint8_t> raw;          // the last frame as it came, where it was taken over
  std::vector<Aligned<float>> frames;     // one per lag
  std::vector<Bits> changes;              // of each against the one before
  Aligned<float> planes;                  // the first layer's sums, lag by lag
  std::vector<Aligned<float>> maps;       // of every stage
  std::vector<Bits> todo;                 // what the last frame made dirty
  std::vector<Bits> moved;                // and what came out otherwise
  std::vector<Aligned<float>> shares;     // of linear stages
  std::vector<Aligned<float>> block_sums;
};

// Where the parameters of a stage lie, as torch keeps them; null where there is none.
struct Parameters {
  const float* weight;
  const float* bias;
};

class Plan {
 public:
  explicit Plan(PlanSpec spec);

  void load(const std::vector<Parameters>& parameters);  // one per stage; forgets everything
  void reset(std::size_t slot) { slots_[slot].known = false; }
  // Frames [count][channels][rows][columns]; `changed` [count][rows][columns] bytes, or null.
  void run(const void* frames, const std::size_t* slots, std::size_t count,
           const std::uint8_t* changed, float* out);

  const PlanSpec& spec() const { return spec_; }
  const char* isa() const { return kernels_.isa; }
  std::size_t outputs() const;
  const std::vector<std::size_t>& counts() const { return counts_; }
  Slot& slot(std::size_t index) { return slots_[index]; }
  // What was dirty, as bytes: of the pixels (stage 0), then of every stage.
  std::vector<std::uint8_t> mask(std::size_t stage, std::size_t slot) const;
  void activation(std::size_t stage, std::size_t slot, float* out) const;  // [channel][row][column]

 private:
  struct Tables {
    std::vector<std::uint32_t> in;  // of every output position, in floats
    std::vector<std::uint32_t> out;
  };

  Slot empty_slot() const;
  void take_frame(Slot& slot, const std::uint8_t* frame, const std::uint8_t* changed);
  void first_frame(Slot& slot, const std::uint8_t* frame);
  void find_changes(const Slot& slot, const std::uint8_t* frame, const std::uint8_t* changed,
                    Bits& found);
  void copy_pixels(Slot& slot, const std::uint8_t* frame, const Bits& where);
  void copy_rows(Slot& slot, const std::uint8_t* frame, const Bits& where);
  void copy_row(const std::uint8_t* frame, std::size_t y, float* to) const;
  float pixel(const std::uint8_t* frame, std::size_t index) const;

  const Bits& dirty(const Slot& slot, std::size_t stage) const;
  void mark(std::size_t stage, Slot& slot);
  void find_dirty(std::size_t stage, Slot& slot);
  void run_map(std::size_t stage, const std::size_t* slots, std::size_t count);
  void run_lags(const std::size_t* slots, std::size_t count);
  void run_linear(std::size_t stage, const std::size_t* slots, std::size_t count);
  void list_spots(const Bits& todo, const Tables& tables, const float* in, float* out);
  void list_stage(std::size_t stage, Slot& slot);
  void compute(std::size_t stage, std::uint8_t* moved);
  void compute_above(std::size_t stage, float threshold, std::uint8_t* moved);
  void settle(std::size_t stage, const std::size_t* slots, std::size_t count);
  void finish_linear(std::size_t stage, Slot& slot);
  void emit(const Slot& slot, float* out) const;
  bool approximate(std::size_t stage) const { return !spec_.thresholds.empty() && spec_.thresholds[stage] > 0; }

  PlanSpec spec_;
  const Kernels& kernels_;
  std::vector<Map> maps_;  // of the frame, then of every stage
  std::vector<Tables> tables_;
  std::vector<PackedConv> convs_;  // per stage
  std::vector<PackedConv> lags_;   // of the first stage, newest frame first
  std::vector<PackedLinear> linears_;
  std::vector<PackedPool> pools_;
  SumLayer sum_ = {};
  Aligned<float> sum_bias_;
  std::vector<Slot> slots_;
  std::vector<std::size_t> counts_;
  std::vector<float> values_;  // of every byte

  // Reused from run to run.
  std::vector<Spot> spots_;
  std::vector<Share> shares_;
  std::vector<std::uint8_t> moved_;
  std::vector<std::uint32_t> blocks_;
  std::vector<std::uint32_t> which_;
  std::vector<std::uint64_t> bits_;
  std::vector<std::uint8_t> zeros_;
  Aligned<float> aside_;
};

}  // namespace rlcompress::stack
