#include "runs.h"

#include <algorithm>
#include <cstring>

namespace rlcompress::stack_training {
namespace {

using Positions = std::vector<std::int32_t>;

// What changed in one map at one step, and which run each position is in.
struct Map {
  std::vector<std::int32_t> current;
  std::vector<std::uint8_t> dirty;
  Positions changed;
};

void all(Map& map, std::size_t size) {
  map.changed.resize(size);
  for (std::size_t k = 0; k < size; ++k) map.changed[k] = static_cast<std::int32_t>(k);
}

void compare(const std::uint8_t* now, const std::uint8_t* last, std::size_t size,
             std::size_t channels, Positions& changed) {
  constexpr std::size_t block = 64;
  changed.clear();
  for (std::size_t begin = 0; begin < size; begin += block) {
    const std::size_t end = std::min(begin + block, size);
    if (!std::memcmp(now + begin * channels, last + begin * channels, (end - begin) * channels))
      continue;
    for (std::size_t k = begin; k < end; ++k)
      if (std::memcmp(now + k * channels, last + k * channels, channels))
        changed.push_back(static_cast<std::int32_t>(k));
  }
}

// First and last output whose window reaches over input `at`; last < first where none does.
void readers(int at, int extent, int stride, int padding, int outputs, int& first, int& last) {
  const int low = at + padding - extent + 1;
  first = low <= 0 ? 0 : (low + stride - 1) / stride;
  last = std::min(outputs - 1, (at + padding) / stride);
}

void spread(const Window& w, const Positions& below, Map& map) {
  const int extent_h = w.dilation_h * (w.kernel_h - 1) + 1;
  const int extent_w = w.dilation_w * (w.kernel_w - 1) + 1;
  map.changed.clear();
  for (const std::int32_t at : below) {
    int top, bottom, left, right;
    readers(at / w.in_w, extent_h, w.stride_h, w.padding_h, w.out_h, top, bottom);
    readers(at % w.in_w, extent_w, w.stride_w, w.padding_w, w.out_w, left, right);
    for (int y = top; y <= bottom; ++y) {
      if ((at / w.in_w + w.padding_h - y * w.stride_h) % w.dilation_h) continue;
      for (int x = left; x <= right; ++x) {
        if ((at % w.in_w + w.padding_w - x * w.stride_w) % w.dilation_w) continue;
        const std::int32_t u = y * w.out_w + x;
        if (map.dirty[u]) continue;
        map.dirty[u] = 1;
        map.changed.push_back(u);
      }
    }
  }
  // In the order of positions, whatever order the changes came in: neighbours share what they read.
  if (map.changed.size() * 8 < map.dirty.size()) {
    std::sort(map.changed.begin(), map.changed.end());
  } else {
    map.changed.clear();
    for (std::size_t k = 0; k < map.dirty.size(); ++k)
      if (map.dirty[k]) map.changed.push_back(static_cast<std::int32_t>(k));
  }
  for (const std::int32_t u : map.changed) map.dirty[u] = 0;
}

void begin_runs(std::int32_t step, Map& map, Runs& runs) {
  for (const std::int32_t u : map.changed) {
    if (map.current[u]) runs.ends[map.current[u] - 1] = step;
    runs.positions.push_back(u);
    runs.begins.push_back(step);
    runs.ends.push_back(-1);
    map.current[u] = static_cast<std::int32_t>(runs.positions.size());
  }
}

void read_inputs(const Window& w, const Map& below, const Map& map, Runs& runs) {
  for (const std::int32_t u : map.changed) {
    const int top = u / w.out_w * w.stride_h - w.padding_h;
    const int left = u % w.out_w * w.stride_w - w.padding_w;
    for (int i = 0; i < w.kernel_h; ++i)
      for (int j = 0; j < w.kernel_w; ++j) {
        const int y = top + i * w.dilation_h, x = left + j * w.dilation_w;
        const bool inside = y >= 0 && y < w.in_h && x >= 0 && x < w.in_w;
        runs.inputs.push_back(inside ? below.current[y * w.in_w + x] : 0);
      }
  }
}

}  // namespace

std::size_t find_runs(const std::uint8_t* frames, std::size_t count, std::size_t channels,
                      const std::vector<Window>& windows, std::size_t limit,
                      std::vector<Runs>& runs) {
  const std::size_t pixels = static_cast<std::size_t>(windows[0].in_h) * windows[0].in_w;
  runs.assign(windows.size() + 1, {});
  std::vector<Map> maps(windows.size() + 1);
  maps[0].current.assign(pixels, 0);
  for (std::size_t k = 0; k < windows.size(); ++k) {
    const std::size_t size = static_cast<std::size_t>(windows[k].out_h) * windows[k].out_w;
    maps[k + 1].current.assign(size, 0);
    maps[k + 1].dirty.assign(size, 0);
  }
  std::size_t total = 0, step = 0;
  for (; step < count; ++step) {
    const std::uint8_t* now = frames + step * pixels * channels;
    if (step) compare(now, now - pixels * channels, pixels, channels, maps[0].changed);
    else for (Map& map : maps) all(map, map.current.size());
    std::size_t more = maps[0].changed.size();
    for (std::size_t k = 0; k < windows.size(); ++k) {
      if (step) spread(windows[k], maps[k].changed, maps[k + 1]);
      more += maps[k + 1].changed.size();
    }
    if (step && total + more > limit) break;
    total += more;
    for (std::size_t k = 0; k < maps.size(); ++k) {
      begin_runs(static_cast<std::int32_t>(step), maps[k], runs[k]);
      if (k) read_inputs(windows[k - 1], maps[k - 1], maps[k], runs[k]);
    }
  }
  for (Runs& one : runs)
    for (std::int32_t& end : one.ends)
      if (end < 0) end = static_cast<std::int32_t>(step);
  return step;
}

}  // namespace rlcompress::stack_training
