"""Writes what surrounds a network in C: observation, action, and the function a program calls."""

from __future__ import annotations

from string import Template

from rlcompress.artifact import Action, CompressedPolicy, Observation
from rlcompress.export.c_layers import place
from rlcompress.export.c_memory import as_given
from rlcompress.export.c_tables import Tables, real

_WEIGHT_LIMIT = 2**24
_INT32 = 2**31


def check_limits(policy: CompressedPolicy) -> None:
    """Raise ValueError where a policy is beyond what the runtime's 32-bit numbers hold."""
    weights = sum(op.weight.size for op in policy.linears)
    if weights > _WEIGHT_LIMIT:
        raise ValueError(
            f"a C export may have {_WEIGHT_LIMIT} weights, zeros included, got {weights}; "
            "use format=onnx"
        )
    action = policy.action
    # Counting outputs that are on tells one more action apart than there are outputs.
    actions = policy.values[-1].size // action.quantiles + (action.kind == "count")
    last = action.start + actions
    if not (-_INT32 <= action.start and last < _INT32):
        raise ValueError(f"actions must fit int32_t, got a start of {action.start}")


def observation_members(
    tables: Tables, observation: Observation, where: int | None
) -> list[object]:
    """Members of ``rlc_policy`` that say how value 0 comes about."""
    shape = observation.value.shape
    height, width, channels = shape if len(shape) == 3 else (1, 1, shape[0])
    mean = inverse_std = "NULL"
    if observation.mean is not None and observation.inv_std is not None:
        mean = tables.array("mean", observation.mean)
        inverse_std = tables.array("inverse_std", observation.inv_std)
    sizes = [place(where if where is not None else 0), height, width, channels]
    return [_prepare(observation), *sizes, mean, inverse_std, real(observation.clip)]


def _prepare(observation: Observation) -> str:
    if as_given(observation):
        return "NULL" if observation.image else "rlc_check_finite"
    if not observation.channels_first:
        return "rlc_prepare_float"
    return "rlc_prepare_byte_planes" if observation.image else "rlc_prepare_planes"


def action_members(tables: Tables, action: Action, outputs: int) -> list[object]:
    """Members of ``rlc_policy`` that say how the raw output becomes an action."""
    low = high = "NULL"
    if action.low is not None and action.high is not None:
        low = tables.array("low", action.low)
        high = tables.array("high", action.high)
    if action.kind == "count" and action.low is not None:
        return ["rlc_act_levels", low, high, outputs // action.low.size, 0]
    return [f"rlc_act_{action.kind}", low, high, action.quantiles, action.start]


_HEADER = Template("""\
/* A policy exported by rlcompress: ${p}_act() computes its actions. Made, not written: do not edit.
 * Include it in one source file; rlc.c and rlc_layers.c belong to the program.
 * Observation: $element $observation_shape, as the environment gives it.
 * Action: $action_element $action_shape. */
#ifndef RLC_POLICY_${P}_H
#define RLC_POLICY_${P}_H

$math#include "rlc.h"

#define ${P}_OBSERVATION_SIZE $observation_size
#define ${P}_OUTPUT_SIZE $output_size
#define ${P}_ACTION_SIZE $action_size
#define ${P}_SCRATCH_BYTES $scratch_bytes

typedef $element ${p}_observation_element;
typedef $action_element ${p}_action_element;

/* Working memory, the caller's; nothing in it matters between calls. */
typedef union {
  float alignment;
  unsigned char bytes[${P}_SCRATCH_BYTES];
} ${p}_scratch;
$definitions

/* Returns RLC_OK, or the index of an element of the observation that is not finite: then there is
 * no action. */
static inline int32_t ${p}_act(const ${p}_observation_element observation[$observation_size],
                               ${p}_action_element action[$action_size], ${p}_scratch *scratch) {
  return rlc_act(&${p}_policy, observation, action, scratch);
}

#endif
""")


def header(prefix: str, policy: CompressedPolicy, definitions: str, scratch_bytes: int) -> str:
    """The header around the ``definitions`` of a policy's tables."""
    observation, action = policy.observation, policy.action
    outputs = policy.values[-1].size
    discrete = action.discrete
    return _HEADER.substitute(
        p=prefix,
        P=prefix.upper(),
        math="#include <math.h> /* INFINITY */\n\n" if "INFINITY" in definitions else "",
        definitions=definitions,
        element="uint8_t" if observation.image else "float",
        observation_shape=list(observation.shape),
        observation_size=observation.value.size,
        output_size=outputs,
        action_element="int32_t" if discrete else "float",
        action_shape=list(action.shape),
        action_size=1 if action.low is None else action.low.size,
        scratch_bytes=scratch_bytes,
    )
