#include <cstring>
#include <exception>
#include <new>
#include <string>

#include "engine.h"
#include "rlcompress.h"

struct rlc_engine {
  rlcompress::Engine engine;
};

namespace {

void say(const char* what, char* error, size_t size) {
  if (error == nullptr || size == 0) return;
  const size_t length = std::strlen(what) < size - 1 ? std::strlen(what) : size - 1;
  std::memcpy(error, what, length);
  error[length] = 0;
}

rlcompress::Options read_options(const rlc_options* options) {
  rlcompress::Options result;
  if (options == nullptr) return result;
  if (options->threads > 1) result.threads = options->threads;
  if (options->isa != nullptr) result.isa = options->isa;
  result.reuse = options->reuse != 0;
  return result;
}

const rlcompress::Program& program_of(const rlc_engine* engine) { return engine->engine.program(); }

}  // namespace

rlc_engine* rlc_load(const void* image, size_t size, const rlc_options* options, char* error,
                     size_t error_size) {
  try {
    if (image == nullptr) {
      say("image is null", error, error_size);
      return nullptr;
    }
    const auto* bytes = static_cast<const std::uint8_t*>(image);
    return new rlc_engine{{bytes, size, read_options(options)}};
  } catch (const std::bad_alloc&) {
    say("out of memory", error, error_size);
  } catch (const std::exception& problem) {
    say(problem.what(), error, error_size);
  }
  return nullptr;
}

void rlc_free(rlc_engine* engine) { delete engine; }

rlc_status rlc_run(rlc_engine* engine, const void* observations, rlc_type type, size_t count,
                   float* outputs, void* actions, size_t* index) {
  if (engine == nullptr || (observations == nullptr && count > 0)) return RLC_BAD_ARGUMENT;
  if (type != RLC_UINT8 && type != RLC_FLOAT32 && type != RLC_FLOAT64) return RLC_BAD_ARGUMENT;
  if ((type == RLC_UINT8) != program_of(engine).observation.image) return RLC_BAD_ARGUMENT;
  try {
    rlcompress::Batch batch;
    batch.observations = observations;
    batch.type = static_cast<rlcompress::ElementType>(type);
    batch.count = count;
    batch.outputs = outputs;
    batch.actions = actions;
    const size_t checked = engine->engine.run(batch);
    if (checked == count * program_of(engine).observation.size) return RLC_OK;
    if (index != nullptr) *index = checked;
    return RLC_NOT_FINITE;
  } catch (const std::exception&) {
    return RLC_NO_MEMORY;
  }
}

size_t rlc_observation_size(const rlc_engine* engine) {
  return program_of(engine).observation.size;
}

int rlc_observation_is_image(const rlc_engine* engine) {
  return program_of(engine).observation.image ? 1 : 0;
}

size_t rlc_output_size(const rlc_engine* engine) { return program_of(engine).outputs(); }

size_t rlc_action_size(const rlc_engine* engine) { return program_of(engine).action.size; }

int rlc_action_is_discrete(const rlc_engine* engine) {
  return program_of(engine).action.discrete() ? 1 : 0;
}

const char* rlc_isa(const rlc_engine* engine) { return engine->engine.isa(); }
