"""Writes what surrounds a network in ONNX: the observation's way in, the action's way out."""

from __future__ import annotations

import numpy as np

from rlcompress.artifact import Action, Observation
from rlcompress.export.onnx_graph import Graph
from rlcompress.export.onnx_ops import Network


def write_observation(network: Network, observation: Observation, name: str) -> None:
    """Write value 0 from the graph's input ``name``: normalisation and layout.

    Bytes become real numbers before they are moved; the other way round OpenVINO computes the first
    convolution in float.
    """
    graph = network.graph
    if observation.image:
        network.integers[0] = name
        name = network.real(0)
    elif observation.mean is not None:
        name = _normalise(graph, observation, name)
    if len(observation.shape) != 3:
        if len(observation.shape) != 1:
            flat = np.array([-1, observation.value.size], np.int64)
            shape = graph.constant(flat, "flat/shape")
            name = graph.add("Reshape", [name, shape], "flat")
    elif not observation.channels_first:
        name = graph.add("Transpose", [name], "channels_first", perm=[0, 3, 1, 2])
    network.floats[0] = name


def _normalise(graph: Graph, observation: Observation, name: str) -> str:
    assert observation.mean is not None and observation.inv_std is not None
    mean = graph.constant(observation.mean.reshape(observation.shape), "normalise/mean")
    inv_std = graph.constant(observation.inv_std.reshape(observation.shape), "normalise/inv_std")
    limits = [
        graph.constant(np.float32(-observation.clip), "normalise/lowest"),
        graph.constant(np.float32(observation.clip), "normalise/highest"),
    ]
    name = graph.add("Sub", [name, mean], "normalise/centred")
    name = graph.add("Mul", [name, inv_std], "normalise/scaled")
    return graph.add("Clip", [name, *limits], "normalise")


def write_action(graph: Graph, action: Action, outputs: str) -> str:
    """Write the action of the network's raw ``outputs``; returns its name."""
    if action.kind == "argmax":
        return _argmax(graph, action, outputs)
    assert action.low is not None and action.high is not None
    low, high = (np.asarray(limit, np.float32) for limit in (action.low, action.high))
    if action.kind == "squash":
        # low + 0.5 (tanh + 1) (high - low), the constants of which are known.
        half = graph.constant(np.float32(0.5) * (high - low), "head/half_range")
        middle = graph.constant(np.float32(0.5) * (high + low), "head/middle")
        name = graph.add("Tanh", [outputs], "head/tanh")
        name = graph.add("Mul", [name, half], "head/scaled")
        name = graph.add("Add", [name, middle], "head/action")
    else:
        lowest = graph.constant(low, "head/low")
        highest = graph.constant(high, "head/high")
        name = graph.add("Max", [outputs, lowest], "head/above_low")
        name = graph.add("Min", [name, highest], "head/action")
    if len(action.shape) == 1:
        return name
    shape = graph.constant(np.array([-1, *action.shape], np.int64), "head/shape")
    return graph.add("Reshape", [name, shape], "head/shaped")


def _argmax(graph: Graph, action: Action, outputs: str) -> str:
    name = outputs
    if action.quantiles > 1:
        shape = graph.constant(np.array([0, action.quantiles, -1], np.int64), "head/shape")
        name = graph.add("Reshape", [name, shape], "head/quantiles")
        axes = graph.constant(np.array([1], np.int64), "head/axes")
        name = graph.add("ReduceSum", [name, axes], "head/values", keepdims=0)
    name = graph.add("ArgMax", [name], "head/index", axis=1, keepdims=0)
    if action.start == 0:
        return name
    start = graph.constant(np.int64(action.start), "head/start")
    return graph.add("Add", [name, start], "head/action")
