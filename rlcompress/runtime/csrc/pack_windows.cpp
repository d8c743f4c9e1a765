#include <algorithm>
#include <utility>

#include "pack.h"

namespace rlcompress {
namespace {

constexpr std::uint32_t kPiece = 16;
constexpr std::uint32_t kSlots = 4;
constexpr std::uint32_t kLanes = 16;

ChunkLoad load_of(const Chunk& chunk) {
  const auto follows = [&](int quarter) {
    return chunk.piece[quarter] == chunk.piece[0] + static_cast<std::uint32_t>(quarter) * kPiece;
  };
  if (follows(1) && follows(2)) return follows(3) ? ChunkLoad::Whole : ChunkLoad::LastQuarter;
  if (!follows(1)) return ChunkLoad::Quarters;
  return chunk.piece[3] == chunk.piece[2] + kPiece ? ChunkLoad::Halves : ChunkLoad::LastQuarters;
}

// The window's pieces four by four, in ascending order.
Aligned<Chunk> make_chunks(const std::vector<Segment>& segments) {
  std::vector<std::uint32_t> pieces;
  for (const Segment& segment : segments) {
    for (std::uint32_t i = 0; i < segment.size; i += kPiece) pieces.push_back(segment.offset + i);
  }
  while (pieces.size() % 4 != 0) pieces.push_back(pieces.back() + kPiece);
  Aligned<Chunk> chunks(pieces.size() / 4);
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    std::copy_n(pieces.begin() + static_cast<std::ptrdiff_t>(4 * c), 4, chunks[c].piece);
    chunks[c].load = load_of(chunks[c]);
  }
  return chunks;
}

// A tap's place among the chunks: 64 * chunk + byte.
std::uint32_t place_of(std::uint32_t offset, const std::vector<Segment>& segments) {
  std::uint32_t first = 0;
  for (const Segment& segment : segments) {
    if (offset - segment.offset < segment.size) {
      const std::uint32_t within = offset - segment.offset;
      return (first + within / kPiece) * kPiece + within % kPiece;
    }
    first += (segment.size + kPiece - 1) / kPiece;
  }
  return kNowhere;
}

struct Placed {
  std::uint32_t place;
  std::int8_t weight;
};

}  // namespace

void pack_windows(PackedLinear& packed, const Taps& taps) {
  WindowsLayer& layer = packed.windows;
  Aligned<Chunk> chunks = make_chunks(taps.segments);
  layer.tiles = taps.rows / kLanes;
  layer.chunks = static_cast<std::uint32_t>(chunks.size());
  std::vector<std::vector<Placed>> rows(taps.rows);
  for (std::uint32_t r = 0; r < taps.rows; ++r) {
    for (const Tap& tap : taps.row[r]) {
      rows[r].push_back({place_of(tap.offset, taps.segments), static_cast<std::int8_t>(tap.weight)});
    }
  }
  const std::uint32_t pairs = std::max(layer.chunks, 2U) - 1;
  std::vector<std::size_t> next(taps.rows, 0);
  Aligned<std::uint8_t> count;
  Aligned<std::uint8_t> step;
  Aligned<std::uint32_t> begin;
  for (std::uint32_t group = 0; group < layer.tiles; group += kTileGroup) {
    begin.push_back(static_cast<std::uint32_t>(step.size() / 128));
    const std::uint32_t end = std::min(group + kTileGroup, layer.tiles);
    for (std::uint32_t pair = 0; pair < pairs; ++pair) {
      for (std::uint32_t tile = group; tile < end; ++tile) {
        // Chunk `pair` is looked up here for the last time: as many steps as it takes to use all
        // of it up. Slots that are left go to the next chunk.
        const std::uint32_t last = pair + 1 == pairs ? kNowhere : (pair + 1) * 64;
        std::uint8_t steps = 0;
        const auto row_of = [&](std::uint32_t lane) { return tile * kLanes + lane; };
        const auto pending = [&](std::uint32_t r) {
          return next[r] < rows[r].size() && rows[r][next[r]].place < last;
        };
        const auto any_pending = [&] {
          for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
            if (pending(row_of(lane))) return true;
          }
          return false;
        };
        while (any_pending()) {
          const std::size_t at = step.size();
          step.resize(at + 128, 0);
          for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
            const std::uint32_t r = row_of(lane);
            for (std::uint32_t slot = 0; slot < kSlots && next[r] < rows[r].size(); ++slot) {
              const Placed placed = rows[r][next[r]];
              if (placed.place / 64 > pair + 1) break;
              step[at + lane * kSlots + slot] = static_cast<std::uint8_t>(placed.place % 128);
              step[at + 64 + lane * kSlots + slot] = static_cast<std::uint8_t>(placed.weight);
              ++next[r];
            }
          }
          ++steps;
        }
        count.push_back(steps);
      }
    }
  }
  layer.chunk = packed.keep(std::move(chunks));
  layer.count = packed.keep(std::move(count));
  layer.step = packed.keep(std::move(step));
  layer.begin = packed.keep(std::move(begin));
}

}  // namespace rlcompress
