"""Writes golden observations as a C header with which a device can check itself."""

from __future__ import annotations

from string import Template

import numpy as np

from rlcompress.artifact import CompressedPolicy
from rlcompress.export.c_tables import Tables

_MOST = 16
_MOST_ELEMENTS = 2**16

_HEADER = Template("""\
/* Observations with what the reference computed of them. Made, not written: do not edit. */
#ifndef RLC_POLICY_${P}_GOLDEN_H
#define RLC_POLICY_${P}_GOLDEN_H

#include <string.h>

#include "${p}.h"

#define ${P}_GOLDEN_COUNT $count

$definitions

/* Whether one observation's outputs and action are the reference's, to the bit. */
static inline int ${p}_golden(uint32_t index, ${p}_scratch *scratch) {
  const ${p}_observation_element *observation =
      ${p}_golden_observations + index * ${P}_OBSERVATION_SIZE;
  const float *expected = ${p}_golden_outputs + index * ${P}_OUTPUT_SIZE;
  ${p}_action_element action[${P}_ACTION_SIZE];
  int32_t status;
  const float *outputs = rlc_run(&${p}_policy, observation, scratch, &status);
  if (status != RLC_OK || memcmp(outputs, expected, ${P}_OUTPUT_SIZE * sizeof *outputs) != 0) {
    return 0;
  }
  ${p}_act(observation, action, scratch);
  return memcmp(action, ${p}_golden_actions + index * ${P}_ACTION_SIZE, sizeof action) == 0;
}

/* How many golden observations come out wrong: 0, or the compiler broke the arithmetic. */
static inline int ${p}_check(${p}_scratch *scratch) {
  int wrong = 0;
  for (uint32_t i = 0; i < ${P}_GOLDEN_COUNT; ++i) wrong += !${p}_golden(i, scratch);
  return wrong;
}

#endif
""")


def golden_header(prefix: str, policy: CompressedPolicy) -> str | None:
    """A header with up to 16 golden observations, fewer if they are large; None without any."""
    golden = policy.golden
    if golden is None:
        return None
    count = min(_MOST, len(golden.outputs), max(1, _MOST_ELEMENTS // policy.observation.value.size))
    actions = golden.actions[:count]
    tables = Tables(prefix)
    tables.array("golden_observations", golden.observations[:count])
    tables.array("golden_outputs", golden.outputs[:count])
    discrete = policy.action.discrete
    tables.array("golden_actions", actions.astype(np.int32) if discrete else actions)
    return _HEADER.substitute(
        p=prefix,
        P=prefix.upper(),
        count=count,
        definitions="\n".join(tables.lines),
    )
