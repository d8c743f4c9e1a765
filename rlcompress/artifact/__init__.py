"""The artifact: record types, the compressed policy and its ``.rlc`` file; numpy only."""

from rlcompress.artifact.codec import entropy_bytes
from rlcompress.artifact.policy import CompressedPolicy, LayerSize, SizeReport
from rlcompress.artifact.records import (
    BIAS_LIMIT,
    Action,
    Activation,
    Add,
    AnyArray,
    Conv,
    Dense,
    Flatten,
    FloatArray,
    Function,
    Golden,
    Kind,
    Linear,
    MaxPool,
    Observation,
    Op,
    TensorType,
)

__all__ = [
    "BIAS_LIMIT",
    "Action",
    "Activation",
    "Add",
    "AnyArray",
    "CompressedPolicy",
    "Conv",
    "Dense",
    "Flatten",
    "FloatArray",
    "Function",
    "Golden",
    "Kind",
    "LayerSize",
    "Linear",
    "MaxPool",
    "Observation",
    "Op",
    "SizeReport",
    "TensorType",
    "entropy_bytes",
]
