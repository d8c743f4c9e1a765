#include "workspace.h"

#include <cstring>

namespace rlcompress {

Workspace::Workspace(const Plan& plan, std::size_t samples)
    : samples_(samples),
      stride_(plan.layout.bytes),
      values_(samples * plan.layout.bytes + kOverread, 0),
      scratch_(plan.scratch, 0.0F),
      outputs_(samples * plan.output_at.size(), 0.0F) {
  // Borders stand for 0; nothing ever writes to them.
  for (std::size_t s = 0; s < samples; ++s) {
    for (const Storage& storage : plan.layout.storages) {
      if (storage.quantised) {
        std::memset(sample(s) + storage.offset, storage.zero, storage.elements);
      }
    }
  }
}

}  // namespace rlcompress
