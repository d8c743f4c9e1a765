"""Collects the nodes and constants of an ONNX graph under unique names; knows no operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rlcompress.artifact import AnyArray

if TYPE_CHECKING:
    import onnx


class Graph:
    """An ONNX graph that grows node by node; tensors are referred to by name."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._taken: set[str] = set()

    def unique(self, name: str) -> str:
        """``name``, or ``name`` with a number where it is taken."""
        candidate, number = name, 1
        while candidate in self._taken:
            number += 1
            candidate = f"{name}.{number}"
        self._taken.add(candidate)
        return candidate

    def add(self, operator: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Append a node; returns the name of its only output."""
        from onnx import helper

        output = self.unique(name)
        self.nodes.append(
            helper.make_node(operator, inputs, [output], name=f"{output}/{operator}", **attributes)
        )
        return output

    def constant(self, value: AnyArray, name: str) -> str:
        """Append an initializer; returns its name."""
        from onnx import numpy_helper

        name = self.unique(name)
        # Not ascontiguousarray, which makes vectors of scalars.
        self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name
