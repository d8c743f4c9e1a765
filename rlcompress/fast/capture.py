"""An update as one CUDA graph: recorded once, replayed on every call; no other device has them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

_WARM_UP = 3  # Calls before recording, as torch.cuda.graph asks for.


class Captured:
    """A function of tensors whose first ``lasting`` arguments always are the same memory.

    The others are copied into memory of the graph's own before each replay. What the warm-up
    writes into the lasting tensors is undone.
    """

    def __init__(
        self,
        function: Callable[..., list[torch.Tensor]],
        arguments: Sequence[torch.Tensor],
        *,
        lasting: int,
    ) -> None:
        self._function = function
        self._lasting = list(arguments[:lasting])
        self._fresh = [argument.clone() for argument in arguments[lasting:]]
        self._record()

    def __call__(self, *arguments: torch.Tensor) -> list[torch.Tensor]:
        """Replay on new arguments; the results are overwritten by the next call."""
        lasting = len(self._lasting)
        if any(a is not b for a, b in zip(arguments[:lasting], self._lasting, strict=True)):
            self._lasting = list(arguments[:lasting])
            self._record()
        for own, given in zip(self._fresh, arguments[lasting:], strict=True):
            own.copy_(given, non_blocking=True)
        self._graph.replay()
        return [result.clone() for result in self._results]

    def _record(self) -> None:
        saved = [tensor.clone() for tensor in self._lasting]
        try:
            self._warm_up()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph), torch.no_grad():
                self._results = self._function(*self._lasting, *self._fresh)
        finally:
            for tensor, before in zip(self._lasting, saved, strict=True):
                tensor.copy_(before)

    def _warm_up(self) -> None:
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream), torch.no_grad():
            for _ in range(_WARM_UP):
                self._function(*self._lasting, *self._fresh)
        torch.cuda.current_stream().wait_stream(stream)
