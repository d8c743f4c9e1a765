/* Runs a policy exported by rlcompress: C99 or C++, no heap, no libm, no global state.
 *
 * Include the exported header, which includes this one, and add rlc.c and rlc_layers.c to the build.
 * Everything here is what the tables in exported headers are made of; nobody writes them by hand.
 * Code that a policy does not name is dropped by -ffunction-sections and -Wl,--gc-sections. */
#ifndef RLC_H
#define RLC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What running a policy returns, unless it is the index of an element that is not finite. */
#define RLC_OK (-1)
/* The place of a value that lies where the caller's observation does. */
#define RLC_OBSERVATION 0xFFFFFFFFUL
/* gap_bits of a packed layer that stores its zeros. */
#define RLC_NO_GAPS 255U

/* How a value is held: float, 0 .. 255 or -127 .. 127, in four, one and one bytes. */
#define RLC_FLOAT 0U
#define RLC_UNSIGNED 1U
#define RLC_SIGNED 2U

typedef struct {
  const void *observation;
  unsigned char *scratch;
} rlc_memory;

typedef void (*rlc_kernel)(const void *about, const void *input, void *output,
                           const rlc_memory *memory);
typedef float (*rlc_function)(float x, float bound);

/* Places are offsets into the scratch buffer, in bytes. */
typedef struct {
  rlc_kernel run;
  const void *about;
  uint32_t input, output;
} rlc_op;

/* How a real number becomes an element: as it is, or clamp(rint(x * inverse_scale)). */
typedef struct {
  float inverse_scale, low, high;
  uint32_t kind;
} rlc_store;

/* What all layers with weights share. The multiplier is one number, or one for each row. */
typedef struct {
  uint32_t rows, columns;
  const float *multiplier;
  rlc_function function;
  float bound;
  rlc_store store;
  uint8_t kind;        /* of the input */
  uint8_t weight_kind; /* RLC_FLOAT or RLC_SIGNED */
  uint8_t integer;     /* whether sums are of integers */
  uint8_t per_row;     /* whether there is a multiplier for each row */
} rlc_layer;

/* Every weight, row by row, the zeros too. */
typedef struct {
  rlc_layer layer;
  const void *weights, *bias;
  uint32_t bias_bytes; /* 1, 2 or 4 of an integer */
} rlc_plain;

/* Weights that are not zero, with their columns; of each row their count. */
typedef struct {
  rlc_layer layer;
  const void *weights, *bias, *counts, *columns;
  uint8_t bias_bytes, count_bytes, column_bytes, reserved;
} rlc_indexed;

/* A stream of bits, least significant first: the gap before the first weight; then for each row its
 * bias and its weights, each with the gap to the next. Gaps (of zeros, across rows) are Rice codes
 * with gap_bits low bits: so many 0 as the rest says, a 1, the low bits. Others are fields of fixed
 * width to be added to a base; that of a float is its bits, rotated left by one. */
typedef struct {
  rlc_layer layer;
  const uint8_t *stream;
  uint32_t weight_base, bias_base;
  uint8_t gap_bits, weight_bits, bias_bits, reserved;
} rlc_packed;

/* A window moving over (height, width, channels), zeros around it. */
typedef struct {
  uint32_t height, width, channels;
  uint32_t out_height, out_width;
  uint32_t kernel_height, kernel_width, stride_y, stride_x, padding_y, padding_x;
} rlc_window;

typedef struct {
  rlc_packed packed;
  rlc_window window;
  uint32_t sums; /* place of one sum for each position */
} rlc_conv;

typedef struct {
  rlc_window window;
  rlc_store store;
} rlc_pool;

typedef struct {
  uint32_t size, other; /* place of the second input */
  float multiplier, other_multiplier;
  rlc_store store;
  uint8_t kind, other_kind, reserved[2];
} rlc_sum;

typedef struct {
  uint32_t size, kind;
  float scale;
  rlc_function function;
  float bound;
  rlc_store store;
} rlc_activation;

/* A layer of bits after another: rows of weights in whole bytes, then a bias for each row where
 * bias_bytes is 1, 2 or 4. The last layer of a chain gives its sums, others whether they are above 0. */
typedef struct {
  const uint8_t *weights;
  uint32_t place;
  uint16_t outputs;
  uint8_t bias_bytes, reserved;
} rlc_sign_layer;

/* Numbers to bits, the lowest first, and the layers that follow. Edges are `each` for every input, or
 * where `even` the first and the step between them. Codes: 0 thermometer, 1 one-hot, 2 Gray. */
typedef struct {
  const float *edges;
  const rlc_sign_layer *layers;
  uint32_t place;
  uint16_t inputs, each;
  uint8_t code, even, count, reserved;
} rlc_signs;

/* A whole policy. `prepare` turns the observation into value 0, at `place`; NULL: as it is. `act`
 * turns the raw output into the action. */
typedef struct rlc_policy {
  const rlc_op *ops;
  uint32_t op_count;
  int32_t (*prepare)(const struct rlc_policy *policy, const void *observation, void *value);
  uint32_t place;
  uint32_t height, width, channels; /* of the observation */
  const float *mean, *inverse_std;  /* NULL: not normalised */
  float clip;
  uint32_t output, outputs; /* place and number of raw outputs */
  void (*act)(const struct rlc_policy *policy, const float *outputs, void *action);
  const float *low, *high;
  uint32_t quantiles;
  int32_t start;
} rlc_policy;

/* Raw outputs of the network, in the scratch buffer; NULL unless `*status` is RLC_OK. */
const float *rlc_run(const rlc_policy *policy, const void *observation, void *scratch,
                     int32_t *status);
/* RLC_OK, or the index of an element of the observation that is not finite: no action then. */
int32_t rlc_act(const rlc_policy *policy, const void *observation, void *action, void *scratch);

int32_t rlc_check_finite(const rlc_policy *policy, const void *observation, void *value);
int32_t rlc_prepare_float(const rlc_policy *policy, const void *observation, void *value);
int32_t rlc_prepare_planes(const rlc_policy *policy, const void *observation, void *value);
int32_t rlc_prepare_byte_planes(const rlc_policy *policy, const void *observation, void *value);

void rlc_act_squash(const rlc_policy *policy, const float *outputs, void *action);
void rlc_act_clip(const rlc_policy *policy, const float *outputs, void *action);
void rlc_act_argmax(const rlc_policy *policy, const float *outputs, void *action);
void rlc_act_count(const rlc_policy *policy, const float *outputs, void *action);
void rlc_act_levels(const rlc_policy *policy, const float *outputs, void *action);

float rlc_relu(float x, float bound);
float rlc_tanh(float x, float bound);
float rlc_hard_tanh(float x, float bound);

void rlc_run_plain(const void *about, const void *input, void *output, const rlc_memory *memory);
void rlc_run_indexed(const void *about, const void *input, void *output, const rlc_memory *memory);
void rlc_run_packed(const void *about, const void *input, void *output, const rlc_memory *memory);
void rlc_run_signs(const void *about, const void *input, void *output, const rlc_memory *memory);
void rlc_run_conv(const void *about, const void *input, void *output, const rlc_memory *memory);
void rlc_run_pool(const void *about, const void *input, void *output, const rlc_memory *memory);
void rlc_run_sum(const void *about, const void *input, void *output, const rlc_memory *memory);
void rlc_run_activation(const void *about, const void *input, void *output,
                        const rlc_memory *memory);

#ifdef __cplusplus
}
#endif
#endif
