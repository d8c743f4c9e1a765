"""``method=oneshot``: prune at once and round on recorded observations; nothing is trained."""

from __future__ import annotations

import numpy as np
import torch

from rlcompress.compress.lesson import ACTION
from rlcompress.compress.outcome import next_course
from rlcompress.compress.saliency import saliency
from rlcompress.compress.session import Session
from rlcompress.compress.student import Student
from rlcompress.pruning.criteria import CRITERIA
from rlcompress.sb3.observations import as_prepared, sample_size


def one_shot(session: Session) -> None:
    """Prune and quantise a copy of the teacher; with ``sparsity=auto`` one after the other."""
    plan = session.plan
    if plan.settings.resume:
        # It takes seconds, so that it is begun again, and so are its evaluations.
        session.directory.begin_again()
    session.start_logging()
    stream = session.stream
    count = sample_size(plan.teacher.model)
    rows = np.linspace(0, len(stream) - 1, min(count, len(stream))).round().astype(int)
    prepared = as_prepared(plan.teacher.model, plan.teacher.seen(stream[rows]))
    while (course := next_course(plan.wish, session.outcomes)) is not None:
        student = Student(plan.teacher, plan.wish.learning_rate)
        student.prune_(course.final, _scores(session, student, prepared), plan.manner.allocation)
        if plan.quant is not None:
            student.quantise_(plan.quant, prepared)
        likeness = plan.teacher.compare(student.model, stream[: 2 * count])
        session.clock += 1
        session.keep(student.model, course, likeness)


def _scores(session: Session, student: Student, prepared: torch.Tensor) -> dict[str, torch.Tensor]:
    manner = session.plan.manner
    generator = torch.Generator().manual_seed(manner.seed)
    if manner.criterion == ACTION:
        matching = session.plan.teacher.matching
        return saliency(student.actor, matching, prepared, generator)
    judge = CRITERIA[manner.criterion]
    weights = {name: layer.weight for name, layer in student.actor.layers.items()}
    return {
        name: judge(weight.detach(), None, generator)
        for name, weight in weights.items()
        if isinstance(weight, torch.Tensor)
    }
