#include "layout.h"

#include <algorithm>
#include <numeric>

#include "aligned.h"
#include "image.h"

namespace rlcompress {
namespace {

constexpr std::size_t kMaxElements = std::size_t{1} << 27;

// Values whose channels must lie in one order: what an element-wise op reads and writes.
class OrderGroups {
 public:
  explicit OrderGroups(std::size_t count) : parent_(count), fixed_(count, false) {
    std::iota(parent_.begin(), parent_.end(), std::size_t{0});
  }
  void join(std::size_t a, std::size_t b) {
    a = root(a);
    b = root(b);
    parent_[a] = b;
    fixed_[b] = fixed_[b] || fixed_[a];
  }
  void fix(std::size_t a) { fixed_[root(a)] = true; }
  bool fixed(std::size_t a) { return fixed_[root(a)]; }
  std::size_t root(std::size_t a) {
    while (parent_[a] != a) a = parent_[a];
    return a;
  }

 private:
  std::vector<std::size_t> parent_;
  std::vector<bool> fixed_;
};

void widen_borders(const Program& program, Layout& layout) {
  for (const Op& op : program.ops) {
    if (op.tag != OpTag::Conv) continue;
    Storage& storage = layout.of(op.inputs[0]);
    for (int axis = 0; axis < 2; ++axis) {
      storage.border[axis] = std::max(storage.border[axis], op.window.padding[axis]);
    }
  }
}

void check_size(std::size_t elements) {
  if (elements > kMaxElements) throw ImageError("the values are too large");
}

// Dense layers find the elements of an image that was flattened; all else reads a true vector.
bool shares(const Program& program, const Layout& layout, std::size_t index) {
  if (layout.of(program.ops[index].inputs[0]).shape.vector) return true;
  return std::all_of(program.ops.begin(), program.ops.end(), [&](const Op& reader) {
    const bool reads = reader.inputs[0] == index + 1 ||
                       (reader.tag == OpTag::Add && reader.inputs[1] == index + 1);
    return !reads || reader.tag == OpTag::Dense || reader.tag == OpTag::Flatten;
  });
}

// Cells for values that only one convolution reads.
void find_cells(const Program& program, Layout& layout) {
  std::vector<std::size_t> readers(layout.storages.size(), 0);
  for (std::size_t k = 0; k < program.ops.size(); ++k) {
    const Op& op = program.ops[k];
    if (layout.is_alias(op, k)) continue;
    ++readers[layout.storage_of[op.inputs[0]]];
    if (op.tag == OpTag::Add) ++readers[layout.storage_of[op.inputs[1]]];
  }
  ++readers[layout.storage_of[program.ops.size()]];
  for (const Op& op : program.ops) {
    if (op.tag != OpTag::Conv || !op.linear.integer) continue;
    Storage& storage = layout.of(op.inputs[0]);
    if (readers[layout.storage_of[op.inputs[0]]] != 1) continue;
    const Window& window = op.window;
    if (window.stride[0] > window.kernel[0] || window.stride[1] > window.kernel[1]) continue;
    std::copy_n(op.window.stride, 2, storage.cell);
  }
}

void place(Storage& storage, bool observation, std::size_t& bytes) {
  const Shape& shape = storage.shape;
  const std::size_t channels = shape.channels;
  const bool natural = observation && !shape.vector;  // images come in with few channels
  const auto cells = [&](std::size_t size, int axis) {
    return round_up(size + 2 * std::size_t{storage.border[axis]}, storage.cell[axis]) /
           storage.cell[axis];
  };
  storage.pixel = static_cast<std::uint32_t>(natural ? channels : round_up(channels, kChannelStep));
  const std::size_t step = std::size_t{storage.cell[0]} * storage.cell[1] * storage.pixel;
  check_size(step);
  const std::size_t row = cells(shape.width, 1) * step;
  check_size(row);
  storage.elements = cells(shape.height, 0) * row;
  check_size(storage.elements);
  storage.step = static_cast<std::uint32_t>(step);
  storage.row = static_cast<std::uint32_t>(row);
  storage.offset = bytes;
  bytes += round_up(storage.elements * storage.element_size() + kOverread, kAlignment);
  check_size(bytes / 4);
  storage.order.resize(storage.shape.channels);
  std::iota(storage.order.begin(), storage.order.end(), 0U);
}

// A layer may order its channels freely if no other layer writes into the same group of values and
// nobody outside sees them.
void find_free_orders(const Program& program, Layout& layout) {
  OrderGroups groups(layout.storages.size());
  std::vector<std::size_t> writers(layout.storages.size(), 0);
  groups.fix(layout.storage_of[0]);
  groups.fix(layout.storage_of[program.ops.size()]);
  for (std::size_t k = 0; k < program.ops.size(); ++k) {
    const Op& op = program.ops[k];
    const std::size_t output = layout.storage_of[k + 1];
    if (op.tag == OpTag::Dense || op.tag == OpTag::Conv) {
      ++writers[output];
      // Float sums go through the columns in the order of the policy, and so should addresses.
      if (!op.linear.integer) groups.fix(layout.storage_of[op.inputs[0]]);
      continue;
    }
    if (op.tag == OpTag::Flatten) {
      // A copy brings the elements into their own order.
      if (!layout.is_alias(op, k)) groups.fix(output);
      continue;
    }
    if (op.on_bits()) {  // packed, in their own order
      groups.fix(layout.storage_of[op.inputs[0]]);
      groups.fix(output);
      continue;
    }
    groups.join(layout.storage_of[op.inputs[0]], output);
    if (op.tag == OpTag::Add) groups.join(layout.storage_of[op.inputs[1]], output);
  }
  std::vector<std::size_t> group_writers(layout.storages.size(), 0);
  for (std::size_t s = 0; s < writers.size(); ++s) group_writers[groups.root(s)] += writers[s];
  for (std::size_t s = 0; s < writers.size(); ++s) {
    layout.storages[s].free_order =
        writers[s] == 1 && group_writers[groups.root(s)] == 1 && !groups.fixed(s);
  }
}

}  // namespace

std::size_t Storage::flat(std::size_t index) const {
  const std::size_t channel = index % shape.channels;
  const std::size_t at = index / shape.channels;
  return position(at / shape.width, at % shape.width) + order[channel];
}

Layout make_layout(const Program& program, bool cells) {
  Layout layout;
  for (std::size_t value = 0; value <= program.ops.size(); ++value) {
    if (value > 0 && program.ops[value - 1].tag == OpTag::Flatten &&
        shares(program, layout, value - 1)) {
      layout.storage_of.push_back(layout.storage_of[program.ops[value - 1].inputs[0]]);
      continue;
    }
    const TensorType& type = program.value(value);
    Storage storage;
    storage.shape = type.shape;
    storage.quantised = type.quantised();
    storage.zero = type.zero_byte();
    layout.storage_of.push_back(layout.storages.size());
    layout.storages.push_back(storage);
  }
  widen_borders(program, layout);
  if (cells) find_cells(program, layout);
  for (std::size_t s = 0; s < layout.storages.size(); ++s) {
    place(layout.storages[s], s == layout.storage_of[0], layout.bytes);
  }
  find_free_orders(program, layout);
  return layout;
}

}  // namespace rlcompress
