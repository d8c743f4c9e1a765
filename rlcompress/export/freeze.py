"""Makes a compressed policy of an SB3 model: the one way from training into the artifact."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from rlcompress.artifact import CompressedPolicy
from rlcompress.export.dead_units import remove_dead_units
from rlcompress.export.freeze_edges import action_record, golden_observations, observation_record
from rlcompress.export.freeze_ops import lower
from rlcompress.quantization.graph import LINEAR, Node, trace
from rlcompress.quantization.state import spec_of
from rlcompress.runtime.reference import with_golden
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.observations import as_prepared

_PACKAGES = ("rlcompress", "torch", "stable_baselines3", "numpy")


def freeze(
    model: BaseAlgorithm,
    observations: NDArray[Any] | None = None,
    *,
    masks: Mapping[str, Any] | None = None,
    vec_normalize: VecNormalize | None = None,
    remove_dead: bool = True,
    meta: Mapping[str, Any] | None = None,
) -> CompressedPolicy:
    """The deterministic actor of ``model`` as a compressed policy; the model is left as it is.

    What was quantised becomes integers, bit for bit those that the fake-quantised layers compute
    with; what was not stays float32.

    Args:
        model: any supported SB3 model, trained by whatever means.
        observations: a batch as the environment gives them, from which golden data are taken;
            without them the model's buffers or its observation space serve.
        masks: True where a weight was kept, by layer name. Without them a weight counts as kept
            where it is not zero.
        vec_normalize: the statistics that the model was trained with, where its environment (which
            a loaded model may not have) does not hold them.
        remove_dead: drop units that no output depends on, which changes no output.
        meta: more entries for the artifact's metadata.

    Raises:
        ValueError: where the model, a module or a number cannot be frozen.
    """
    actor = actor_of(model)
    vec_normalize = vec_normalize or model.get_vec_normalize_env()
    observation = observation_record(model, observations, vec_normalize)
    nodes = trace_model(model)
    ops = tuple(lowered.op for lowered in lower(nodes, observation.value))
    policy = CompressedPolicy(ops, observation, action_record(model, actor))
    about = {**_origin(model, actor.algorithm, actor.root), **_counts(policy, nodes, masks or {})}
    policy = CompressedPolicy(ops, observation, policy.action, None, {**about, **(meta or {})})
    if remove_dead:
        policy = remove_dead_units(policy)
    golden = golden_observations(model, observation, observations, vec_normalize)
    policy = with_golden(policy, golden)
    policy.validate()
    return policy


def trace_model(model: BaseAlgorithm) -> tuple[Node, ...]:
    """The modules that the deterministic actor of ``model`` runs."""
    actor, space = actor_of(model), model.observation_space
    example = as_prepared(model, np.zeros((1, *(space.shape or ())), space.dtype))
    return trace(actor.forward, actor.root, example)


def _origin(model: BaseAlgorithm, algorithm: str, root: nn.Module) -> dict[str, Any]:
    spec = spec_of(root)
    return {
        "algorithm": algorithm,
        "env_id": _env_id(model),
        "num_timesteps": model.num_timesteps,
        "quantization": None if spec is None else {**asdict(spec), "skip": list(spec.skip)},
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def _counts(
    policy: CompressedPolicy, nodes: tuple[Node, ...], masks: Mapping[str, Any]
) -> dict[str, Any]:
    """Weights before and after rounding; those of dead units are still there."""
    layers = {node.name: node.module for node in nodes if isinstance(node.module, LINEAR)}
    weights = {name: layer.weight.detach().cpu().numpy() for name, layer in layers.items()}
    for name in layers:
        if name in masks and tuple(masks[name].shape) != weights[name].shape:
            raise ValueError(
                f"the mask of {name!r} must have its weight's shape {weights[name].shape}, "
                f"got {tuple(masks[name].shape)}"
            )
    kept = sum(
        int((masks[name] != 0).sum()) if name in masks else int(np.count_nonzero(weight))
        for name, weight in weights.items()
    )
    stored = sum(int(np.count_nonzero(op.weight)) for op in policy.linears)
    total = sum(weight.size for weight in weights.values())
    biases = sum(op.bias.size for op in policy.linears)
    return {
        "dense": {"weights": total, "kept": kept, "biases": biases},
        "weights_kept": kept,
        "weights_rounded_to_zero": kept - stored,
    }


def _env_id(model: BaseAlgorithm) -> str | None:
    env = model.get_env()
    if env is None:
        return None
    try:
        spec = env.get_attr("spec")[0]
    except AttributeError:
        return None
    return None if spec is None else str(spec.id)


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
