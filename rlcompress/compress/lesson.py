"""One distillation under way: observations, gradient steps, masks and rounding, step by step.

A lesson is a deterministic function of teacher, course and seed, whenever it is stopped and
continued; it knows no files and does not judge what the student has become.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from rlcompress.compress.course import ROUNDS, Course
from rlcompress.compress.gather import Gatherer
from rlcompress.compress.matching import Likeness
from rlcompress.compress.recorded import Recorded
from rlcompress.compress.saliency import RunningSaliency
from rlcompress.compress.student import Student
from rlcompress.compress.teacher import Teacher
from rlcompress.pruning.criteria import CRITERIA
from rlcompress.sb3.observations import as_prepared, sample_size
from rlcompress.spec import QuantSpec
from rlcompress.training.errors import TrainingStopped

ACTION = "action"
"""The criterion that judges a weight by what the action loses with it."""

_SALIENCY_VECTORS, _SALIENCY_IMAGES = 2048, 32
_MEMORY_IMAGES = 0.95
_HALF_LIFE = 0.99


@dataclass(frozen=True)
class Manner:
    """What all lessons of a run have in common; ``per_step``: observations per gradient step."""

    criterion: str
    allocation: str
    quant: QuantSpec
    batch_size: int
    per_step: float
    seed: int


class Lesson:
    """A student on its way through one course.

    ``recorded`` may come from lessons before: what the teacher said stays true. ``base`` is the
    state of a student to go on from (None: the teacher's own weights). Where there is no
    ``gatherer`` what is recorded is all there will be.
    """

    def __init__(
        self,
        teacher: Teacher,
        course: Course,
        manner: Manner,
        *,
        recorded: Recorded,
        gatherer: Gatherer | None,
        base: Mapping[str, Any] | None = None,
    ) -> None:
        self.course = course
        self.step = 0
        self.rounds = 0
        self.error = self.loss = float("nan")
        self.float_state: dict[str, Any] | None = None
        """The student just before it was quantised, from which a sparser one can go on."""
        self.recorded = recorded
        self.student = Student(teacher, course.learning_rate)
        self._teacher = teacher
        self._manner = manner
        self._gatherer = gatherer
        self._updates = 0
        self._generator = np.random.default_rng(manner.seed)
        self._signs = torch.Generator().manual_seed(manner.seed)
        if base is not None:
            self.student.load_state_dict(base)
        self._matching = teacher.matching
        self._saliency = RunningSaliency(_MEMORY_IMAGES if teacher.image else 0.0)

    @property
    def done(self) -> bool:
        """Whether the course is over."""
        return self.step >= self.course.steps

    @property
    def at_round(self) -> bool:
        """Whether new observations are due before the next step: a good moment to stop and save."""
        return self._gatherer is not None and self.course.rounds_due(self.step) > self.rounds

    def advance(self) -> None:
        """Do all that is due, then one gradient step."""
        self._gather()
        self._prune()
        if self.step == self.course.quantise_at:
            self.quantise()
        rows = self._generator.integers(len(self.recorded), size=self._manner.batch_size)
        seen, wanted = self.recorded.batch(rows)
        prepared = as_prepared(self._teacher.model, seen)
        self.student.training(True)
        values = self._matching.values(self.student.actor.forward(prepared))
        loss = self._matching.loss(values, wanted.to(values.device))
        self.student.step_(loss, self.course.rate(self.step))
        self.student.training(False)
        self._remember(float(loss.detach()))
        self.step += 1
        if self.done and self.float_state is None:
            self.float_state = self.student.state_dict()

    def check(self) -> None:
        """Raise TrainingStopped where the loss is no longer finite."""
        if not math.isfinite(self.loss):
            raise TrainingStopped(
                f"the loss is {self.loss} after {self.step} gradient steps (a smaller "
                "learning_rate may help)"
            )

    @torch.no_grad()
    def compare(self, count: int) -> Likeness:
        """How alike student and teacher are on the newest ``count`` observations."""
        seen, wanted = self.recorded.newest(count)
        found = torch.cat(
            [
                self._matching.values(
                    self.student.actor.forward(as_prepared(self._teacher.model, seen[i : i + 256]))
                ).cpu()
                for i in range(0, len(seen), 256)
            ]
        )
        return self._matching.likeness(found, wanted)

    def state_dict(self) -> dict[str, Any]:
        """Everything but what is recorded; between two steps."""
        return {
            "course": self.course,
            "step": self.step,
            "rounds": self.rounds,
            "updates": self._updates,
            "error": self.error,
            "loss": self.loss,
            "temperature": self._matching.temperature,
            "student": self.student.state_dict(),
            "float_state": self.float_state,
            "generator": self._generator.bit_generator.state,
            "signs": self._signs.get_state(),
            "saliency": self._saliency.state_dict(),
            "gatherer": None if self._gatherer is None else self._gatherer.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> str | None:
        """Go on from ``state_dict()``; returns why episodes start anew where they do."""
        self.course = state["course"]
        self.step, self.rounds, self._updates = state["step"], state["rounds"], state["updates"]
        self.error, self.loss = state["error"], state["loss"]
        self.float_state = state["float_state"]
        self.student.load_state_dict(state["student"])
        self._generator.bit_generator.state = state["generator"]
        self._signs.set_state(state["signs"])
        self._saliency.load_state_dict(state["saliency"], self._teacher.model.device)
        self._matching = replace(self._matching, temperature=state["temperature"])
        if self._gatherer is None:
            return None
        return self._gatherer.load_state_dict(state["gatherer"])

    def _gather(self) -> None:
        first = self.rounds == 0
        while self.at_round:
            assert self._gatherer is not None
            # Before its first step the student is its teacher; let the real one act.
            student = None if self.step == 0 else self.student.actor
            found = self._gatherer.gather(self.recorded, self._per_round, student)
            if student is not None:
                self.error = found
            self.rounds += 1
        if first and self.step == 0:
            _, wanted = self.recorded.newest(8192)
            self._matching = replace(self._matching, temperature=self._matching.lead(wanted))

    @property
    def _per_round(self) -> int:
        return math.ceil(self._manner.per_step * self.course.steps / ROUNDS)

    def _prune(self) -> None:
        due = self.course.updates_due(self.step)
        if due > self._updates and self.course.final > 0.0:
            if self.step:
                self.check()
            target = self.course.sparsity_after(due)
            self.student.prune_(target, self._scores(), self._manner.allocation)
            self._updates = due

    def _scores(self) -> dict[str, torch.Tensor]:
        if self._manner.criterion != ACTION:
            judge = CRITERIA[self._manner.criterion]
            layers = self.student.actor.layers
            weights = {name: layer.weight for name, layer in layers.items()}
            return {
                name: judge(weight.detach(), weight.grad, self._signs)
                for name, weight in weights.items()
                if isinstance(weight, torch.Tensor)
            }
        count = _SALIENCY_IMAGES if self._teacher.image else _SALIENCY_VECTORS
        actor, seen = self.student.actor, self._sample(count)
        self._saliency.update_(actor, self._matching, seen, self._signs)
        return self._saliency.worth(actor)

    def quantise(self) -> None:
        """Round the student as it is now, with ranges from what was recorded."""
        self.float_state = self.student.state_dict()
        prepared = self._sample(sample_size(self._teacher.model))
        self.student.quantise_(self._manner.quant, prepared)

    def _sample(self, count: int) -> torch.Tensor:
        rows = self._generator.integers(len(self.recorded), size=count)
        return as_prepared(self._teacher.model, self.recorded.batch(rows)[0])

    def _remember(self, loss: float) -> None:
        old = self.loss
        self.loss = loss if old != old else _HALF_LIFE * old + (1 - _HALF_LIFE) * loss
