"""Rows of numbers of runs: fetched, added up, and summed by the dense layer over all positions.

Native code where there is some and the tensors lie on the processor, else torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from rlcompress.reuse.runs import MapRuns, has_native

if has_native():
    from rlcompress.reuse import _runs

_CHUNK = 4096


def gather(values: torch.Tensor, numbers: torch.Tensor, *, native: bool) -> torch.Tensor:
    """The rows of ``values`` [rows, width] at ``numbers`` [n, taps], as [n, taps * width]."""
    count, taps = numbers.shape
    width = values.shape[1]
    if native and has_native() and values.device.type == "cpu":
        out = values.new_empty(count * taps, width)
        _runs.gather(values.detach().numpy(), numbers.view(-1).numpy(), out.numpy())
        return out.view(count, taps * width)
    return values.index_select(0, numbers.reshape(-1)).view(count, taps * width)


def scatter_add_(
    values: torch.Tensor, numbers: torch.Tensor, rows: torch.Tensor, *, native: bool
) -> None:
    """Add rows [n, taps * width] to the rows of ``values`` at ``numbers`` [n, taps]."""
    rows = rows.view(-1, values.shape[1])
    if native and has_native() and values.device.type == "cpu":
        _runs.scatter_add(rows.numpy(), numbers.view(-1).numpy(), values.numpy())
    else:
        values.index_add_(0, numbers.reshape(-1), rows)


@dataclass(frozen=True)
class DenseRuns:
    """A dense layer over the last map's runs, position by position.

    ``weight`` is [positions, outputs, width], ``values`` [runs, width].
    """

    positions: torch.Tensor
    begins: torch.Tensor
    ends: torch.Tensor
    weight: torch.Tensor
    values: torch.Tensor
    native: bool

    @staticmethod
    def of(runs: MapRuns, weight: torch.Tensor, values: torch.Tensor, *, native: bool) -> DenseRuns:
        """The layer over ``runs``, on the device that ``values`` lie on."""
        positions, begins, ends = (
            torch.from_numpy(np.ascontiguousarray(one)).to(values.device)
            for one in (runs.positions, runs.begins, runs.ends)
        )
        native = native and has_native() and values.device.type == "cpu"
        return DenseRuns(positions, begins, ends, weight.detach().contiguous(), values, native)

    def outputs(self, steps: int) -> torch.Tensor:
        """The layer's outputs without bias, [steps, outputs]; summed in double precision."""
        changes = torch.zeros(
            steps + 1, self.weight.shape[1], dtype=torch.float64, device=self.values.device
        )
        if self.native:
            _runs.dense_forward(
                *self._indices(), self.weight.numpy(), self.values.numpy(), changes.numpy()
            )
        else:
            for k in range(0, len(self.values), _CHUNK):
                part = slice(k, k + _CHUNK)
                weight = self.weight.index_select(0, self.positions[part])
                sums = torch.einsum("nmc,nc->nm", weight, self.values[part]).double()
                changes.index_add_(0, self.begins[part], sums)
                changes.index_add_(0, self.ends[part], sums, alpha=-1)
        return changes[:-1].cumsum(0).to(self.values.dtype)

    def gradients(self, gradient: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of the values and of the weight, given that of the outputs [steps, outputs]."""
        sums = torch.zeros(
            len(gradient) + 1, gradient.shape[1], dtype=torch.float64, device=gradient.device
        )
        # Differences of running sums: single precision would lose what happened late.
        torch.cumsum(gradient.double(), 0, out=sums[1:])
        grad_values, grad_weight = torch.empty_like(self.values), torch.zeros_like(self.weight)
        if self.native:
            _runs.dense_backward(
                *self._indices(), self.weight.numpy(), self.values.numpy(), sums.numpy(),
                grad_values.numpy(), grad_weight.numpy(),
            )  # fmt: skip
            return grad_values, grad_weight
        for k in range(0, len(self.values), _CHUNK):
            part = slice(k, k + _CHUNK)
            during = (sums[self.ends[part]] - sums[self.begins[part]]).to(self.values.dtype)
            weight = self.weight.index_select(0, self.positions[part])
            grad_values[part] = torch.einsum("nmc,nm->nc", weight, during)
            outer = during[:, :, None] * self.values[part][:, None, :]
            grad_weight.index_add_(0, self.positions[part], outer)
        return grad_values, grad_weight

    def _indices(self) -> tuple[object, object, object]:
        return self.positions.numpy(), self.begins.numpy(), self.ends.numpy()
