from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int32]

def find_runs(
    frames: npt.NDArray[np.uint8], shapes: list[list[int]], limit: int
) -> tuple[int, list[tuple[Ints, Ints, Ints, Ints]]]: ...
def gather(values: Any, numbers: Any, out: Any) -> None: ...
def scatter_add(rows: Any, numbers: Any, values: Any) -> None: ...
def dense_forward(
    positions: Any, begins: Any, ends: Any, weight: Any, values: Any, steps: Any
) -> None: ...
def dense_backward(
    positions: Any,
    begins: Any,
    ends: Any,
    weight: Any,
    values: Any,
    sums: Any,
    grad_values: Any,
    grad_weight: Any,
) -> None: ...
