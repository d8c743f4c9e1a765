"""What a compression ends with: the final episodes, the comparison, the table and its files."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.logger import HParam

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.file import write_bytes
from rlcompress.compress.confirm import decided
from rlcompress.compress.judge import engine_latency_us, latency_us
from rlcompress.compress.matching import Likeness
from rlcompress.compress.outcome import Outcome, Paired
from rlcompress.compress.report import Line, show, show_pareto
from rlcompress.compress.session import Session
from rlcompress.export.freeze_parity import Parity, parity
from rlcompress.pruning import format_report
from rlcompress.pruning.pruner import LayerReport
from rlcompress.sb3.actors import actor_of
from rlcompress.sb3.pruning_callback import UNUSED
from rlcompress.training.board import FILES_ONLY
from rlcompress.training.directory import SUMMARY
from rlcompress.training.finish import FINAL_SEEDS
from rlcompress.training.table import describe_parity

_ROBUST = 4_000


def conclude(session: Session) -> None:
    """Judge the decided student on episodes that chose nothing; print and write what was found."""
    plan, directory = session.plan, session.directory
    found = decided(session)
    model = session.model(found)
    policy = CompressedPolicy.load(session.saved(found.number, ".rlc"))
    write_bytes(directory.actor, session.saved(found.number).read_bytes())
    policy.save(directory.artifact)
    paired = _final(session, policy)
    dense = session.freeze(plan.teacher.model)
    same = parity(model, policy, session.stream, vec_normalize=plan.teacher.statistics)
    ending = Ending(
        found=found,
        lines=[_line("teacher", dense, session, paired), _line("student", policy, session, paired)],
        paired=paired,
        likeness=plan.teacher.compare(model, _compared(session)),
        parity=same,
        layers=layer_report(model),
    )
    _show(session, ending)
    _record(session, paired, ending.likeness)
    # Last: it marks the run as finished.
    directory.write_json(SUMMARY, _summary(session, ending))


@dataclass(frozen=True)
class Ending:
    """What is known about the result when everything has been measured."""

    found: Outcome
    lines: list[Line]
    paired: Paired | None
    likeness: Likeness
    parity: Parity
    layers: tuple[LayerReport, ...]


def _final(session: Session, policy: CompressedPolicy) -> Paired | None:
    if session.judge is None:
        return None
    return session.judge.compare(
        policy,
        session.plan.settings.final_episodes,
        offset=FINAL_SEEDS,
        variant=".rlc",
        step=session.clock,
    )


def _compared(session: Session) -> NDArray[Any]:
    """Observations on which teacher and student are compared in the end."""
    recorded = session.plan.spec is None and session.plan.settings.method == "distill"
    return session.unseen if recorded else session.stream[-_ROBUST:]


def _show(session: Session, ending: Ending) -> None:
    plan = session.plan
    session.say(format_report(ending.layers))
    show(ending.lines, _title(session, ending.found), session.console)
    session.say(describe_parity(ending.parity))
    count = len(_compared(session))
    session.say(_say_actions(plan.teacher.matching.discrete, ending.likeness, count))
    if plan.wish.sparsity is None:
        best = ending.found if ending.found.within(plan.wish.tolerance) else None
        show_pareto(session.outcomes, best, plan.wish.tolerance, session.console)
        _draw(session)
    wall, cpu = session.spent
    session.say(f"took {wall:.0f} s, {cpu:.0f} s of them computing, {session.directory.path}")


def _summary(session: Session, ending: Ending) -> dict[str, Any]:
    wall, cpu = session.spent
    about = session.plan.about()
    return {
        **about,
        "asked_sparsity": about["sparsity"],
        "sparsity": ending.found.sparsity,
        "total_timesteps": session.clock,
        "length": session.clock,
        "rows": _rows(session, ending),
        "compared": [asdict(line) for line in ending.lines],
        "paired": None if ending.paired is None else _paired(ending.paired),
        "likeness": asdict(ending.likeness),
        "attempts": [_attempt(one) for one in session.outcomes],
        "gradient_steps": session.clock,
        "observations": session.recorded.written,
        "parity": asdict(ending.parity),
        "layers": [asdict(layer) for layer in ending.layers],
        "timing": {"wall_s": wall, "cpu_s": cpu},
    }


def _rows(session: Session, ending: Ending) -> list[dict[str, Any]]:
    """Teacher and student as the rows of any run; none where nothing was played."""
    if ending.paired is None:
        return []
    final = session.plan.final_variant(ending.found.sparsity)
    teacher, student = ending.lines
    return [
        teacher.as_row("dense", 0),
        student.as_row(final, session.clock),
        student.as_row(".rlc", session.clock),
    ]


def layer_report(model: Any) -> tuple[LayerReport, ...]:
    """One row per layer of a model whose pruned weights are zero."""
    actor = actor_of(model)
    rows = []
    for excluded, layers in (("", actor.layers), (UNUSED, actor.unused)):
        for name, layer in layers.items():
            weight: Any = layer.weight
            kept = weight.numel() if excluded else int((weight != 0).sum())
            bias: Any = layer.bias
            biases = 0 if bias is None else int(bias.numel())
            rows.append(LayerReport(name, weight.numel(), kept, biases, excluded))
    return tuple(rows)


def _line(name: str, policy: CompressedPolicy, session: Session, paired: Paired | None) -> Line:
    summary = policy.summary()
    returns = None if paired is None else getattr(paired, name)
    teacher = session.plan.teacher
    sb3 = None
    if name == "teacher":
        shown = teacher.seen(session.stream[:16])
        sb3 = latency_us(lambda row: teacher.model.predict(row, deterministic=True), shown)
    return Line(
        variant=name,
        return_mean=None if returns is None else float(np.mean(returns)),
        return_std=None if returns is None else float(np.std(returns)),
        worst=None if returns is None else float(np.min(returns)),
        episodes=0 if returns is None else len(returns),
        weights=summary["weights"],
        kept=summary["kept"],
        size_bytes=summary["policy_bytes"],
        honest_factor=summary["honest_factor"],
        paper_factor=summary["paper_factor"],
        engine_us=engine_latency_us(policy),
        sb3_us=sb3,
    )


def _title(session: Session, found: Outcome) -> str:
    about = session.plan.about()
    where = about["env"] or "recorded observations"
    return (
        f"{about['model']} in {where}, {about['method']}, sparsity {found.sparsity:g}, "
        f"seed {about['seed']}"
    )


def _say_actions(discrete: bool, likeness: Likeness, count: int) -> str:
    if discrete:
        return (
            f"Actions agree on {100 * likeness.agreement:.2f} % of {count:,} observations of the "
            f"teacher's, {100 * likeness.weighed:.2f} % with each counted by its action's lead."
        )
    return (
        f"Action error {likeness.error:.4f} (root mean square, in halves of the range) on "
        f"{count:,} observations of the teacher's."
    )


def _paired(paired: Paired) -> dict[str, float | int]:
    return {
        "episodes": len(paired.teacher),
        "teacher": paired.teacher_mean,
        "student": paired.student_mean,
        "ratio": paired.student_mean / paired.teacher_mean if paired.teacher_mean else 0.0,
        "difference": paired.difference,
        "half_width": paired.half_width,
        "loss": paired.loss,
        "worst_teacher": min(paired.teacher),
        "worst_student": min(paired.student),
    }


def _attempt(found: Outcome) -> dict[str, Any]:
    row = asdict(replace(found, base=None, check=None))
    del row["base"]
    row["check"] = None if found.check is None else _paired(found.check)
    return row


def _draw(session: Session) -> None:
    from rlcompress.compress.figure import draw_pareto

    path = session.directory.path / "pareto.png"
    draw_pareto(session.outcomes, session.plan.wish.tolerance, path)
    session.say(f"drawn in {path}")


def _record(session: Session, paired: Paired | None, likeness: Likeness) -> None:
    """What was asked and what came of it, so that the runs of a sweep can be sorted by them."""
    metrics = {"agreement": likeness.agreement, "action_error": likeness.error}
    if paired is not None:
        metrics |= {"teacher": paired.teacher_mean, "student": paired.student_mean}
    named = {f"final/{name}": value for name, value in metrics.items()}
    for name, value in named.items():
        session.logger.record(name, value)
    session.logger.record("hparams", HParam(session.plan.about(), named), exclude=FILES_ONLY)
    session.logger.dump(session.clock)
