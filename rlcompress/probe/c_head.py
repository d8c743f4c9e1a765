"""The action head of the dense C baseline; see ``c_dense``."""

from __future__ import annotations

import math

import numpy as np

from rlcompress.artifact import Action, CompressedPolicy


def head(policy: CompressedPolicy, outputs: str, batch: int) -> str:
    """C function ``act(n)``, which writes observation n's action from the array ``outputs``."""
    action, size = policy.action, policy.values[-1].size
    if action.kind == "argmax":
        return _argmax(action, outputs, size, batch)
    assert action.low is not None and action.high is not None
    if action.kind == "squash":
        value = f"low[i] + 0.5f * (tanhf({outputs}[i]) + 1.0f) * (high[i] - low[i])"
    else:
        value = f"fminf(fmaxf({outputs}[i], low[i]), high[i])"
    return "\n".join(
        [
            f"float action[{batch * size}];",
            f"static const float low[] = {{{_numbers(action.low)}}};",
            f"static const float high[] = {{{_numbers(action.high)}}};",
            "static void act(long n) {",
            f"  for (long i = 0; i < {size}; i++) action[n * {size} + i] = {value};",
            "}",
        ]
    )


def _argmax(action: Action, outputs: str, size: int, batch: int) -> str:
    actions = size // action.quantiles
    return "\n".join(
        [
            f"int64_t action[{batch}];",
            "static void act(long n) {",
            "  int64_t best = 0; float most = -INFINITY;",
            f"  for (long i = 0; i < {actions}; i++) {{",
            f"    float value = 0; for (long q = 0; q < {action.quantiles}; q++)",
            f"      value += {outputs}[q * {actions} + i];",
            "    if (value > most) { most = value; best = i; }",
            "  }",
            f"  action[n] = best + {action.start};",
            "}",
        ]
    )


def _numbers(values: np.ndarray) -> str:
    return ", ".join(_number(float(value)) for value in values.reshape(-1))


def _number(value: float) -> str:
    if math.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return f"{value!r}f"
