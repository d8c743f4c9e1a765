/* Layers with weights: dense ones in three encodings, convolutions. */
#include "rlc_internal.h"

/* ---- dense layers that find their weights in arrays ---- */

static int32_t bias_at(const void *biases, uint32_t bytes, uint32_t i) {
  if (bytes == 1) return ((const int8_t *)biases)[i];
  return bytes == 2 ? ((const int16_t *)biases)[i] : ((const int32_t *)biases)[i];
}

/* A column or a count. */
RLC_INLINE uint32_t index_at(const void *indices, uint32_t bytes, uint32_t i) {
  return bytes == 1 ? ((const uint8_t *)indices)[i] : ((const uint16_t *)indices)[i];
}

/* What follows the sum of a row. The bias of integers is part of the sum. */
static void finish(const rlc_layer *layer, uint32_t row, float sum, float bias, void *output,
                   uint32_t i) {
  float x = sum * layer->multiplier[layer->per_row ? row : 0];
  if (!layer->integer) x += bias;
  if (layer->function) x = layer->function(x, layer->bound);
  store(&layer->store, x, output, i);
}

RLC_INLINE int32_t plain_integer(const rlc_layer *layer, const void *input, uint32_t kind,
                                 const int8_t *weights) {
  int32_t sum = 0;
  for (uint32_t i = 0; i < layer->columns; ++i) sum += integer_at(input, kind, i) * weights[i];
  return sum;
}

/* A weight of zero takes no part, lest 0 * infinity does. */
RLC_INLINE float plain_real(const rlc_plain *plain, const void *input, uint32_t kind,
                            uint32_t weight_kind, uint32_t at) {
  float sum = 0.0F;
  for (uint32_t i = 0; i < plain->layer.columns; ++i) {
    const float weight = real_at(plain->weights, weight_kind, at + i);
    if (weight != 0.0F) sum += real_at(input, kind, i) * weight;
  }
  return sum;
}

void rlc_run_plain(const void *about, const void *input, void *output, const rlc_memory *memory) {
  const rlc_plain *plain = (const rlc_plain *)about;
  const rlc_layer *layer = &plain->layer;
  (void)memory;
  for (uint32_t row = 0, at = 0; row < layer->rows; ++row, at += layer->columns) {
    if (layer->integer) {
      const int8_t *weights = (const int8_t *)plain->weights + at;
      int32_t sum = bias_at(plain->bias, plain->bias_bytes, row);
      sum += layer->kind == RLC_SIGNED ? plain_integer(layer, input, RLC_SIGNED, weights)
                                       : plain_integer(layer, input, RLC_UNSIGNED, weights);
      finish(layer, row, (float)sum, 0.0F, output, row);
    } else {
      const float sum = layer->weight_kind == RLC_SIGNED && layer->kind == RLC_FLOAT
                            ? plain_real(plain, input, RLC_FLOAT, RLC_SIGNED, at)
                            : plain_real(plain, input, layer->kind, layer->weight_kind, at);
      finish(layer, row, sum, ((const float *)plain->bias)[row], output, row);
    }
  }
}

RLC_INLINE int32_t indexed_integer(const rlc_indexed *indexed, const void *input, uint32_t kind,
                                   uint32_t bytes, uint32_t from, uint32_t to) {
  const int8_t *weights = (const int8_t *)indexed->weights;
  int32_t sum = 0;
  for (uint32_t at = from; at < to; ++at) {
    sum += integer_at(input, kind, index_at(indexed->columns, bytes, at)) * weights[at];
  }
  return sum;
}

RLC_INLINE float indexed_real(const rlc_indexed *indexed, const void *input, uint32_t kind,
                              uint32_t weight_kind, uint32_t bytes, uint32_t from, uint32_t to) {
  float sum = 0.0F;
  for (uint32_t at = from; at < to; ++at) {
    sum += real_at(input, kind, index_at(indexed->columns, bytes, at)) *
           real_at(indexed->weights, weight_kind, at);
  }
  return sum;
}

/* The commonest cases get loops of their own. */
static int32_t integer_row(const rlc_indexed *indexed, const void *input, uint32_t from,
                           uint32_t to) {
  const uint32_t kind = indexed->layer.kind, bytes = indexed->column_bytes;
  if (kind == RLC_SIGNED) return indexed_integer(indexed, input, RLC_SIGNED, bytes, from, to);
  if (bytes == 1) return indexed_integer(indexed, input, RLC_UNSIGNED, 1, from, to);
  return indexed_integer(indexed, input, RLC_UNSIGNED, 2, from, to);
}

static float real_row(const rlc_indexed *indexed, const void *input, uint32_t from, uint32_t to) {
  const uint32_t kind = indexed->layer.kind, weight_kind = indexed->layer.weight_kind;
  const uint32_t bytes = indexed->column_bytes;
  if (kind == RLC_FLOAT && weight_kind == RLC_SIGNED && bytes == 1) {
    return indexed_real(indexed, input, RLC_FLOAT, RLC_SIGNED, 1, from, to);
  }
  return indexed_real(indexed, input, kind, weight_kind, bytes, from, to);
}

void rlc_run_indexed(const void *about, const void *input, void *output,
                     const rlc_memory *memory) {
  const rlc_indexed *indexed = (const rlc_indexed *)about;
  const rlc_layer *layer = &indexed->layer;
  (void)memory;
  for (uint32_t row = 0, at = 0; row < layer->rows; ++row) {
    const uint32_t end = at + index_at(indexed->counts, indexed->count_bytes, row);
    if (layer->integer) {
      const int32_t bias = bias_at(indexed->bias, indexed->bias_bytes, row);
      finish(layer, row, (float)(bias + integer_row(indexed, input, at, end)), 0.0F, output, row);
    } else {
      const float bias = ((const float *)indexed->bias)[row];
      finish(layer, row, real_row(indexed, input, at, end), bias, output, row);
    }
    at = end;
  }
}

/* ---- packed weights ---- */

typedef struct {
  const uint8_t *next;
  uint32_t window, filled;
} rlc_bits;

/* The next `count` bits, at most 24. */
static uint32_t take(rlc_bits *bits, uint32_t count) {
  while (bits->filled < count) {
    bits->window |= (uint32_t)*bits->next++ << bits->filled;
    bits->filled += 8;
  }
  const uint32_t value = bits->window & (((uint32_t)1 << count) - 1);
  bits->window >>= count;
  bits->filled -= count;
  return value;
}

/* A field of at most 32 bits, added to its base. */
RLC_INLINE uint32_t field(rlc_bits *bits, uint32_t base, uint32_t width) {
  if (width <= 24) return base + take(bits, width);
  const uint32_t low = take(bits, 16);
  return base + (low | take(bits, width - 16) << 16);
}

static float float_of_rotated(uint32_t bits) { return float_of(bits >> 1 | bits << 31); }

static uint32_t gap(rlc_bits *bits, uint32_t low_bits) {
  if (low_bits == RLC_NO_GAPS) return 0;
  uint32_t high = 0;
  while (!(bits->window & 1)) {
    if (bits->filled == 0) {
      bits->window = *bits->next++;
      bits->filled = 8;
    } else {
      bits->window >>= 1;
      --bits->filled;
      ++high;
    }
  }
  return high << low_bits | take(bits, low_bits + 1) >> 1;
}

static float real_weight(const rlc_packed *packed, uint32_t bits) {
  return packed->layer.weight_kind == RLC_FLOAT ? float_of_rotated(bits) : (float)(int32_t)bits;
}

void rlc_run_packed(const void *about, const void *input, void *output, const rlc_memory *memory) {
  const rlc_packed *packed = (const rlc_packed *)about;
  const rlc_layer *layer = &packed->layer;
  rlc_bits bits = {packed->stream, 0, 0};
  uint32_t next = gap(&bits, packed->gap_bits); /* where the next weight is, from this row's start */
  (void)memory;
  for (uint32_t row = 0; row < layer->rows; ++row, next -= layer->columns) {
    const uint32_t bias = field(&bits, packed->bias_base, packed->bias_bits);
    int32_t integer = (int32_t)bias;
    float real = 0.0F;
    for (; next < layer->columns; next += 1 + gap(&bits, packed->gap_bits)) {
      const uint32_t weight = field(&bits, packed->weight_base, packed->weight_bits);
      if (layer->integer) {
        integer += integer_at(input, layer->kind, next) * (int32_t)weight;
      } else if (weight != 0) {
        real += real_at(input, layer->kind, next) * real_weight(packed, weight);
      }
    }
    if (layer->integer) real = (float)integer;
    finish(layer, row, real, float_of_rotated(bias), output, row);
  }
}

/* ---- convolutions ---- */

/* The positions along one axis at which a window's element `offset` lies within the input. */
typedef struct {
  uint32_t begin, end;
} rlc_span;

static rlc_span inside(uint32_t offset, uint32_t padding, uint32_t stride, uint32_t length,
                       uint32_t positions) {
  rlc_span span = {0, 0};
  if (offset < padding) span.begin = (padding - offset + stride - 1) / stride;
  if (offset < length + padding) span.end = (length + padding - offset - 1) / stride + 1;
  if (span.end > positions) span.end = positions;
  return span;
}

/* One weight, what it is multiplied with along a line, and the sums of that line. */
RLC_INLINE void line_integer(const void *input, uint32_t kind, uint32_t from, uint32_t step,
                             int32_t weight, int32_t *sums, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) sums[i] += integer_at(input, kind, from + i * step) * weight;
}

RLC_INLINE void line_real(const void *input, uint32_t kind, uint32_t from, uint32_t step,
                          float weight, float *sums, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) sums[i] += real_at(input, kind, from + i * step) * weight;
}

static void line(const rlc_packed *packed, const void *input, uint32_t from, uint32_t step,
                 uint32_t weight, void *sums, uint32_t count) {
  const uint32_t kind = packed->layer.kind;
  if (!packed->layer.integer) {
    line_real(input, kind, from, step, real_weight(packed, weight), (float *)sums, count);
  } else if (kind == RLC_UNSIGNED) {
    line_integer(input, RLC_UNSIGNED, from, step, (int32_t)weight, (int32_t *)sums, count);
  } else {
    line_integer(input, RLC_SIGNED, from, step, (int32_t)weight, (int32_t *)sums, count);
  }
}

/* Adds a weight's products to the sums of all positions whose windows have it inside the input. */
static void spread(const rlc_conv *conv, uint32_t column, uint32_t weight, const void *input,
                   unsigned char *sums) {
  const rlc_window *w = &conv->window;
  const uint32_t channel = column % w->channels, pixel = column / w->channels;
  const uint32_t kx = pixel % w->kernel_width, ky = pixel / w->kernel_width;
  const rlc_span xs = inside(kx, w->padding_x, w->stride_x, w->width, w->out_width);
  const rlc_span ys = inside(ky, w->padding_y, w->stride_y, w->height, w->out_height);
  if (xs.begin >= xs.end) return;
  for (uint32_t y = ys.begin; y < ys.end; ++y) {
    const uint32_t in_y = y * w->stride_y + ky - w->padding_y;
    const uint32_t in_x = xs.begin * w->stride_x + kx - w->padding_x;
    const uint32_t from = (in_y * w->width + in_x) * w->channels + channel;
    const uint32_t to = y * w->out_width + xs.begin;
    line(&conv->packed, input, from, w->stride_x * w->channels, weight,
         sums + to * sizeof(float), xs.end - xs.begin);
  }
}

/* Channel by channel: each of its weights is read once and applied at every position. */
void rlc_run_conv(const void *about, const void *input, void *output, const rlc_memory *memory) {
  const rlc_conv *conv = (const rlc_conv *)about;
  const rlc_packed *packed = &conv->packed;
  const rlc_layer *layer = &packed->layer;
  const uint32_t positions = conv->window.out_height * conv->window.out_width;
  unsigned char *sums = memory->scratch + conv->sums;
  rlc_bits bits = {packed->stream, 0, 0};
  uint32_t next = gap(&bits, packed->gap_bits);
  for (uint32_t row = 0; row < layer->rows; ++row, next -= layer->columns) {
    const uint32_t bias = field(&bits, packed->bias_base, packed->bias_bits);
    memset(sums, 0, positions * sizeof(float));
    for (; next < layer->columns; next += 1 + gap(&bits, packed->gap_bits)) {
      const uint32_t weight = field(&bits, packed->weight_base, packed->weight_bits);
      if (weight != 0) spread(conv, next, weight, input, sums);
    }
    for (uint32_t i = 0; i < positions; ++i) {
      const void *sum = sums + i * sizeof(float);
      const float real = layer->integer ? (float)(*(const int32_t *)sum + (int32_t)bias)
                                        : *(const float *)sum;
      finish(layer, row, real, float_of_rotated(bias), output, i * layer->rows + row);
    }
  }
}

/* ---- single bits ---- */

static void set_bit(uint8_t *bits, uint32_t i) { bits[i / 8] |= (uint8_t)(1U << (i % 8)); }

/* How many edges of input i lie below x. */
static uint32_t edges_below(const rlc_signs *signs, uint32_t i, float x) {
  const float *edges = signs->edges + (uint32_t)(signs->even ? 2 : signs->each) * i;
  uint32_t below = 0;
  for (uint32_t k = 0; k < signs->each; ++k) {
    const float further = signs->even ? (float)k * edges[1] : 0.0F;
    const float edge = signs->even ? edges[0] + further : edges[k];
    below += x > edge;
  }
  return below;
}

static uint32_t code_bits(const rlc_signs *signs) {
  uint32_t bits = 0;
  if (signs->code == 0) return signs->each;
  if (signs->code == 1) return signs->each + 1U;
  for (uint32_t most = signs->each; most != 0; most >>= 1) ++bits;
  return bits;
}

/* The number of bits of all inputs, which are written to `to`. */
static uint32_t encode(const rlc_signs *signs, const float *numbers, uint8_t *to) {
  const uint32_t each = code_bits(signs);
  memset(to, 0, (each * signs->inputs + 7) / 8);
  for (uint32_t i = 0; i < signs->inputs; ++i) {
    const uint32_t below = edges_below(signs, i, numbers[i]);
    const uint32_t gray = below ^ (below >> 1);
    for (uint32_t k = 0; k < each; ++k) {
      int set = (int)(gray >> k & 1U);
      if (signs->code == 0) set = k < below;
      if (signs->code == 1) set = k == below;
      if (set) set_bit(to, each * i + k);
    }
  }
  return each * signs->inputs;
}

static uint32_t differing(const uint8_t *a, const uint8_t *b, uint32_t bytes) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < bytes; ++i) {
    uint32_t byte = (uint32_t)(a[i] ^ b[i]);
    byte -= byte >> 1 & 0x55;
    byte = (byte & 0x33) + (byte >> 2 & 0x33);
    count += (byte + (byte >> 4)) & 0x0F;
  }
  return count;
}

static int32_t bias_of(const rlc_sign_layer *layer, const uint8_t *biases, uint32_t row) {
  uint32_t bits = 0;
  if (layer->bias_bytes == 0) return 0;
  for (uint32_t k = 0; k < layer->bias_bytes; ++k) {
    bits |= (uint32_t)biases[layer->bias_bytes * row + k] << (8 * k);
  }
  /* Two's complement of so many bits. */
  const uint32_t sign = (uint32_t)1 << (8U * layer->bias_bytes - 1U);
  return (int32_t)((bits ^ sign) - sign);
}

void rlc_run_signs(const void *about, const void *input, void *output, const rlc_memory *memory) {
  const rlc_signs *signs = (const rlc_signs *)about;
  const uint8_t *x = memory->scratch + signs->place;
  uint32_t width = encode(signs, (const float *)input, memory->scratch + signs->place);
  for (uint32_t k = 0; k < signs->count; ++k) {
    const rlc_sign_layer *layer = &signs->layers[k];
    const uint32_t bytes = (width + 7) / 8;
    const uint8_t *biases = layer->weights + bytes * layer->outputs;
    const int last = k + 1 == signs->count;
    uint8_t *to = memory->scratch + layer->place;
    if (!last) memset(to, 0, (layer->outputs + 7U) / 8U);
    for (uint32_t row = 0; row < layer->outputs; ++row) {
      const uint32_t n = differing(x, layer->weights + bytes * row, bytes);
      const int32_t z = (int32_t)width + bias_of(layer, biases, row) - 2 * (int32_t)n;
      if (last) {
        ((float *)output)[row] = (float)z;
      } else if (z > 0) {
        set_bit(to, row);
      }
    }
    width = layer->outputs;
    x = to;
  }
}
