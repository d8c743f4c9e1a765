/* A policy's edges, its order of events, and all ops without weights. */
#include "rlc_internal.h"

/* ---- functions ---- */

float rlc_relu(float x, float bound) {
  (void)bound;
  return x > 0.0F ? x : 0.0F;
}

float rlc_hard_tanh(float x, float bound) { return clamp(x, -bound, bound); }

/* w = 2 tanh(x / 2) as a rational function, then tanh(x) = w / (1 + w^2 / 4); the second form keeps
 * what 1 + k would round away when k is small. */
float rlc_tanh(float x, float bound) {
  (void)bound;
  const float c = clamp(x, -9.02F, 9.02F);
  const float s = c * c;
  const float p = (2.799306e-06F * s + 0.0012514247F) * s + 0.083333336F;
  const float q = ((2.8936931e-06F * s + 0.0014162578F) * s + 0.11501708F) * s + 1.0F;
  const float w = c - c * (s * (p / q));
  const float k = 0.25F * (w * w);
  if (s < 1.0F) return w - (w * k) / (k + 1.0F);
  return w / (k + 1.0F);
}

/* ---- ops without weights ---- */

/* The largest element of a window, whatever lies outside of the input left out. */
static float largest(const rlc_pool *pool, const void *input, uint32_t y, uint32_t x,
                     uint32_t channel) {
  const rlc_window *w = &pool->window;
  float best = minus_infinity();
  for (uint32_t ky = 0; ky < w->kernel_height; ++ky) {
    for (uint32_t kx = 0; kx < w->kernel_width; ++kx) {
      /* What lies before the input wraps around and so lies behind it. */
      const uint32_t in_y = y * w->stride_y + ky - w->padding_y;
      const uint32_t in_x = x * w->stride_x + kx - w->padding_x;
      if (in_y >= w->height || in_x >= w->width) continue;
      const float candidate =
          real_at(input, pool->store.kind, (in_y * w->width + in_x) * w->channels + channel);
      if (candidate > best) best = candidate;
    }
  }
  return best;
}

void rlc_run_pool(const void *about, const void *input, void *output, const rlc_memory *memory) {
  const rlc_pool *pool = (const rlc_pool *)about;
  const rlc_window *w = &pool->window;
  uint32_t to = 0;
  (void)memory;
  for (uint32_t y = 0; y < w->out_height; ++y) {
    for (uint32_t x = 0; x < w->out_width; ++x) {
      for (uint32_t channel = 0; channel < w->channels; ++channel, ++to) {
        store(&pool->store, largest(pool, input, y, x, channel), output, to);
      }
    }
  }
}

void rlc_run_sum(const void *about, const void *input, void *output, const rlc_memory *memory) {
  const rlc_sum *sum = (const rlc_sum *)about;
  const void *other = read_at(memory, sum->other);
  for (uint32_t i = 0; i < sum->size; ++i) {
    const float first = real_at(input, sum->kind, i) * sum->multiplier;
    const float second = real_at(other, sum->other_kind, i) * sum->other_multiplier;
    store(&sum->store, first + second, output, i);
  }
}

void rlc_run_activation(const void *about, const void *input, void *output,
                        const rlc_memory *memory) {
  const rlc_activation *activation = (const rlc_activation *)about;
  (void)memory;
  for (uint32_t i = 0; i < activation->size; ++i) {
    const float x = real_at(input, activation->kind, i) * activation->scale;
    store(&activation->store, activation->function(x, activation->bound), output, i);
  }
}

/* ---- observations ---- */

static int is_finite(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return (bits & 0x7F800000UL) != 0x7F800000UL;
}

static uint32_t observation_size(const rlc_policy *policy) {
  return policy->height * policy->width * policy->channels;
}

int32_t rlc_check_finite(const rlc_policy *policy, const void *observation, void *value) {
  const uint32_t size = observation_size(policy);
  (void)value;
  for (uint32_t i = 0; i < size; ++i) {
    if (!is_finite(((const float *)observation)[i])) return (int32_t)i;
  }
  return RLC_OK;
}

static float normalised(const rlc_policy *policy, float x, uint32_t i) {
  if (!policy->mean) return x;
  return clamp((x - policy->mean[i]) * policy->inverse_std[i], -policy->clip, policy->clip);
}

int32_t rlc_prepare_float(const rlc_policy *policy, const void *observation, void *value) {
  const uint32_t size = observation_size(policy);
  for (uint32_t i = 0; i < size; ++i) {
    const float x = ((const float *)observation)[i];
    if (!is_finite(x)) return (int32_t)i;
    ((float *)value)[i] = normalised(policy, x, i);
  }
  return RLC_OK;
}

/* Where element i of (channels, height, width) goes in (height, width, channels). */
static uint32_t interleaved(const rlc_policy *policy, uint32_t i) {
  const uint32_t pixels = policy->height * policy->width;
  return i % pixels * policy->channels + i / pixels;
}

int32_t rlc_prepare_planes(const rlc_policy *policy, const void *observation, void *value) {
  const uint32_t size = observation_size(policy);
  for (uint32_t i = 0; i < size; ++i) {
    const float x = ((const float *)observation)[i];
    if (!is_finite(x)) return (int32_t)i;
    ((float *)value)[interleaved(policy, i)] = normalised(policy, x, i);
  }
  return RLC_OK;
}

int32_t rlc_prepare_byte_planes(const rlc_policy *policy, const void *observation, void *value) {
  const uint32_t size = observation_size(policy);
  for (uint32_t i = 0; i < size; ++i) {
    ((uint8_t *)value)[interleaved(policy, i)] = ((const uint8_t *)observation)[i];
  }
  return RLC_OK;
}

/* ---- actions ---- */

void rlc_act_squash(const rlc_policy *policy, const float *outputs, void *action) {
  for (uint32_t i = 0; i < policy->outputs; ++i) {
    const float low = policy->low[i];
    const float unit = 0.5F * (rlc_tanh(outputs[i], 0.0F) + 1.0F);
    ((float *)action)[i] = low + unit * (policy->high[i] - low);
  }
}

void rlc_act_clip(const rlc_policy *policy, const float *outputs, void *action) {
  for (uint32_t i = 0; i < policy->outputs; ++i) {
    ((float *)action)[i] = clamp(outputs[i], policy->low[i], policy->high[i]);
  }
}

void rlc_act_argmax(const rlc_policy *policy, const float *outputs, void *action) {
  const uint32_t actions = policy->outputs / policy->quantiles;
  uint32_t index = 0;
  float best = minus_infinity();
  for (uint32_t i = 0; i < actions; ++i) {
    float total = outputs[i];
    for (uint32_t q = 1; q < policy->quantiles; ++q) total += outputs[q * actions + i];
    if (total > best) {
      best = total;
      index = i;
    }
  }
  *(int32_t *)action = policy->start + (int32_t)index;
}

static uint32_t positive(const float *outputs, uint32_t size) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < size; ++i) count += outputs[i] > 0.0F;
  return count;
}

void rlc_act_count(const rlc_policy *policy, const float *outputs, void *action) {
  *(int32_t *)action = policy->start + (int32_t)positive(outputs, policy->outputs);
}

/* Here `quantiles` is the number of outputs for each element. */
void rlc_act_levels(const rlc_policy *policy, const float *outputs, void *action) {
  const uint32_t levels = policy->quantiles;
  for (uint32_t i = 0; i < policy->outputs / levels; ++i) {
    const float step = (policy->high[i] - policy->low[i]) / (float)levels;
    ((float *)action)[i] = policy->low[i] + (float)positive(outputs + i * levels, levels) * step;
  }
}

/* ---- all of it ---- */

const float *rlc_run(const rlc_policy *policy, const void *observation, void *scratch,
                     int32_t *status) {
  const rlc_memory memory = {observation, (unsigned char *)scratch};
  *status = RLC_OK;
  if (policy->prepare) *status = policy->prepare(policy, observation, memory.scratch + policy->place);
  if (*status != RLC_OK) return NULL;
  for (uint32_t i = 0; i < policy->op_count; ++i) {
    const rlc_op *op = &policy->ops[i];
    op->run(op->about, read_at(&memory, op->input), memory.scratch + op->output, &memory);
  }
  return (const float *)read_at(&memory, policy->output);
}

int32_t rlc_act(const rlc_policy *policy, const void *observation, void *action, void *scratch) {
  int32_t status;
  const float *outputs = rlc_run(policy, observation, scratch, &status);
  if (outputs) policy->act(policy, outputs, action);
  return status;
}
