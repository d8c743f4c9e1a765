/* rlcompress: runs compressed policies without Python.
 *
 * An engine image is the flat form of a policy, written by `Engine.image()` in Python:
 *
 *     open("actor.rlci", "wb").write(Engine.load("actor.rlc").image())
 *
 * Images are validated when they are loaded; a damaged or hostile one gives an error, never
 * undefined behaviour. All functions may be called from several threads at once, on the same engine
 * too (with `reuse`, calls on one engine then wait for each other).
 */
#ifndef RLCOMPRESS_H
#define RLCOMPRESS_H

#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32) && defined(RLC_BUILD)
#define RLC_API __declspec(dllexport)
#elif defined(_WIN32) && defined(RLC_DLL)
#define RLC_API __declspec(dllimport)
#elif defined(__GNUC__)
#define RLC_API __attribute__((visibility("default")))
#else
#define RLC_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct rlc_engine rlc_engine;

typedef enum rlc_type { RLC_UINT8 = 0, RLC_FLOAT32 = 1, RLC_FLOAT64 = 2 } rlc_type;

typedef enum rlc_status {
  RLC_OK = 0,
  RLC_NOT_FINITE = 1,   /* an observation has an element that is not finite in float32 */
  RLC_BAD_ARGUMENT = 2, /* a null pointer, or a type that the policy does not take */
  RLC_NO_MEMORY = 3
} rlc_status;

typedef struct rlc_options {
  unsigned threads; /* that share large batches; 0 or 1: the caller's only */
  const char* isa;  /* instruction set, or null for the best one */
  int reuse;        /* remember what each row of a batch computed last, recompute what changed */
} rlc_options;

/* Loads an image; the memory may be freed afterwards. `options` may be null. Returns null on
 * failure and writes why into `error` (if not null, at most `error_size` bytes with the final 0). */
RLC_API rlc_engine* rlc_load(const void* image, size_t size, const rlc_options* options,
                             char* error, size_t error_size);
RLC_API void rlc_free(rlc_engine* engine);

/* Runs `count` observations, stored one after the other as the environment gives them (images as
 * RLC_UINT8, all others as RLC_FLOAT32 or RLC_FLOAT64), aligned for their type. `outputs` (count x
 * rlc_output_size floats) and `actions` (count x rlc_action_size floats, or count int64_t where
 * rlc_action_is_discrete) may be null. On RLC_NOT_FINITE `index`, if not null, says which element
 * of all it was, and outputs and actions hold nothing of use. Allocates nothing after the first
 * call with as large a batch. */
RLC_API rlc_status rlc_run(rlc_engine* engine, const void* observations, rlc_type type,
                           size_t count, float* outputs, void* actions, size_t* index);

RLC_API size_t rlc_observation_size(const rlc_engine* engine); /* elements of one observation */
RLC_API int rlc_observation_is_image(const rlc_engine* engine);
RLC_API size_t rlc_output_size(const rlc_engine* engine);
RLC_API size_t rlc_action_size(const rlc_engine* engine);
RLC_API int rlc_action_is_discrete(const rlc_engine* engine);
RLC_API const char* rlc_isa(const rlc_engine* engine); /* the instruction set in use */

#ifdef __cplusplus
}
#endif

#endif
