"""QATCallback: when the actor of an SB3 model is quantised; ``quantization`` owns the how."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from rlcompress.quantization import state as quantization_state
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.observations import from_replay, from_rollout, sample_size
from rlcompress.sb3.quantise import calibrate_on_, check, make_quantised_
from rlcompress.spec import QuantSpec

_FILES_ONLY = ("stdout", "log")


class QATCallback(BaseCallback):
    """Train the actor of any supported SB3 model in fake-quantised numbers from ``begin`` on.

    The change happens at the start of the first rollout at or after ``begin`` environment steps, so
    that no rollout mixes two policies. Ranges are calibrated on ``calibration_samples`` recorded
    observations: of the replay buffer, or of the rollout before (on-policy algorithms therefore
    play at least one rollout in float). From then on the actor computes with rounded weights and
    activations wherever it is used, also in ``predict``; its parameters, their optimizer and the
    zip that ``save`` writes stay plain.

    SB3 keeps no modules in a zip: call ``reattach`` with a loaded model to go on, after
    ``load_state_dict`` where the callback is new as well.
    """

    def __init__(
        self,
        spec: QuantSpec | None = None,
        begin: int = 0,
        *,
        calibration_samples: int | None = None,
        log_interval: int = 1000,
        verbose: int = 0,
    ) -> None:
        super().__init__(verbose)
        if begin < 0:
            raise ValueError(f"begin must not be negative, got {begin}")
        for name, value in (
            ("calibration_samples", calibration_samples),
            ("log_interval", log_interval),
        ):
            if value is not None and value < 1:
                raise ValueError(f"{name} must be positive, got {value}")
        self.spec = spec or QuantSpec()
        self.begin = begin
        self.calibration_samples = calibration_samples
        self.log_interval = log_interval
        self._root: nn.Module | None = None
        self._pending: Mapping[str, Any] | None = None
        self._rollout: NDArray[Any] | None = None
        self._next_log = 0

    @property
    def active(self) -> bool:
        """Whether the model is quantised by now."""
        return self._root is not None

    def errors(self) -> dict[str, float]:
        """Relative quantisation errors (root mean square); empty before the actor is quantised.

        ``<layer>.weight`` is that of the live weights, ``<module>.output`` that of an activation
        when its range was last fitted.
        """
        if self._root is None:
            return {}
        weights = quantization_state.weight_errors(self._root)
        outputs = quantization_state.quantizers_of(self._root)
        return {f"{name}.weight": error for name, error in weights.items()} | {
            f"{name}.output": quantizer.error for name, quantizer in outputs.items()
        }

    def reattach(self, model: BaseAlgorithm) -> None:
        """Quantise ``model`` as the callback's state says, after a load.

        Raises:
            ValueError: where it is quantised otherwise, or of another layout.
        """
        state = self.state_dict()["quantizers"]
        root = actor_of(model).root
        if state is not None and root is not self._root:
            if not quantization_state.is_prepared(root):
                make_quantised_(model, self.spec)
            self._check_spec(root)
            quantization_state.load_state_dict_(root, state)
            self._root = root
        self._pending = None

    def state_dict(self) -> dict[str, Any]:
        """Everything that resuming needs beside the model's parameters; JSON-able."""
        quantizers = self._pending
        if self._root is not None:
            quantizers = quantization_state.state_dict(self._root)
        asked = {"spec": asdict(self.spec), "begin": self.begin}
        return {**asked, "quantizers": quantizers, "next_log": self._next_log}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from ``state_dict()`` of a callback with the same settings."""
        spec = QuantSpec(**{**state["spec"], "skip": tuple(state["spec"]["skip"])})
        for name, saved, mine in (
            ("spec", spec, self.spec),
            ("begin", state["begin"], self.begin),
        ):
            if saved != mine:
                raise ValueError(f"{name} was {saved} when the state was saved, now {mine}")
        self._next_log = state["next_log"]
        if self._root is None:
            self._pending = state["quantizers"]
        elif state["quantizers"] is not None:
            quantization_state.load_state_dict_(self._root, state["quantizers"])

    def _init_callback(self) -> None:
        root = actor_of(self.model).root
        if self._root is not None and self._root is not root:
            raise ValueError(
                "this QATCallback belongs to another model; call reattach(model) to go on with its "
                "ranges, or make a new callback"
            )
        if self._pending is not None:
            self.reattach(self.model)
        elif quantization_state.is_prepared(root):
            self._check_spec(root)
            self._root = root
        else:
            check(self.model, self.spec)

    def _on_rollout_start(self) -> None:
        if self._root is not None or self.model.num_timesteps < self.begin:
            return
        count = self.calibration_samples or sample_size(self.model)
        seen = from_replay(self.model, count) if self._rollout is None else self._rollout
        if seen is None:
            return
        make_quantised_(self.model, self.spec)
        calibrate_on_(self.model, seen)
        self._root, self._rollout = actor_of(self.model).root, None
        if self.verbose >= 1:
            print(f"quantised from step {self.model.num_timesteps} on: {self.spec}")

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        step = self.model.num_timesteps
        if self._root is None and step >= self.begin:
            # SB3 empties the buffer before the next rollout starts.
            count = self.calibration_samples or sample_size(self.model)
            self._rollout = from_rollout(self.model, count)
        if self._root is not None and step >= self._next_log:
            self._next_log = step + self.log_interval
            for name, error in self.errors().items():
                self.logger.record(f"quantization_error/{name}", error, exclude=_FILES_ONLY)

    def _on_training_end(self) -> None:
        if self._root is None:
            warnings.warn(
                f"quantisation was due at step {self.begin} but no rollout began after that: "
                f"training ended at step {self.model.num_timesteps}; train for longer",
                stacklevel=2,
            )

    def _check_spec(self, root: nn.Module) -> None:
        found = quantization_state.spec_of(root)
        if found != self.spec:
            raise ValueError(f"the model is quantised otherwise: {found}, asked for {self.spec}")
