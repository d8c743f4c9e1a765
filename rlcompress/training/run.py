"""One training run from settings to a directory full of results; decides nothing itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import torch
from rich.console import Console
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.vec_env import VecEnv

from rlcompress.pruning.pruner import format_report
from rlcompress.sb3 import quantise
from rlcompress.sb3.drawing import DrawCallback
from rlcompress.sb3.environments import (
    Backend,
    describe,
    make_evaluation_env,
    make_training_env,
)
from rlcompress.sb3.pruning_callback import PruningCallback
from rlcompress.sb3.qat_callback import QATCallback
from rlcompress.training.acceleration import Acceleration
from rlcompress.training.assemble import build_model
from rlcompress.training.board import BoardCallback, record_hparams
from rlcompress.training.checkpoint import CheckpointCallback, Checkpoints
from rlcompress.training.directory import SUMMARY, RunDirectory
from rlcompress.training.errors import HeldElsewhere
from rlcompress.training.evaluation import (
    EvaluationCallback,
    EvaluationSettings,
    Evaluator,
    PhaseEndCallback,
)
from rlcompress.training.faults import explained
from rlcompress.training.finish import Finish
from rlcompress.training.guard import FiniteGuard
from rlcompress.training.lock import check_unlocked, locked
from rlcompress.training.plan import Plan, make_plan
from rlcompress.training.progress import ProgressCallback
from rlcompress.training.settings import Settings
from rlcompress.training.signals import StopRequest, caught_signals
from rlcompress.training.snapshot import Parts, Stateful
from rlcompress.training.store import Store
from rlcompress.training.table import describe_parity, show
from rlcompress.training.trunks import Sharing


@dataclass
class Run:
    """Everything that has state while a run is under way."""

    plan: Plan
    directory: RunDirectory
    console: Console
    model: BaseAlgorithm
    evaluation_env: VecEnv
    pruning: PruningCallback | None
    qat: QATCallback | None
    drawing: DrawCallback | None

    def __post_init__(self) -> None:
        """Decide nothing before the run begins."""
        self.acceleration = Acceleration(self.plan, self.directory, self.say)

    def say(self, line: str) -> None:
        """Print a line about the run, however long."""
        self.console.print(line, highlight=False, soft_wrap=True)

    def sparsity(self) -> float:
        """Fraction of zeros in the actor's counted weights, now."""
        return 0.0 if self.pruning is None else self.pruning.sparsity

    def train(self, stop: StopRequest) -> None:
        """Train to the end of the timeline, from the newest checkpoint if asked to."""
        settings, length = self.plan.settings, self.plan.timeline.length
        evaluator = Evaluator(
            EvaluationSettings(
                settings.env, settings.seed, settings.eval_episodes, settings.eval_freq
            ),
            self.evaluation_env,
            self.directory,
            timeline=self.plan.timeline,
            quantised=lambda: self.qat is not None and self.qat.active,
        )
        progress = ProgressCallback(evaluator, self.sparsity, self.console)
        guard = FiniteGuard(settings.eval_freq, str(self.directory.path / "phases"))
        board = BoardCallback(length)
        sharing = Sharing(self.plan, self.directory, self.say)
        saving = self._saving(evaluator, guard, board, stop, sharing.leave)
        trained = self._restore(saving, sharing, stop)
        self.model.set_logger(configure(str(self.directory.path), ["tensorboard"]))
        if trained:
            return
        # The order matters: see the callbacks. A phase's last policy is saved before what ends it.
        ending, evaluating = PhaseEndCallback(evaluator), EvaluationCallback(evaluator)
        compressing = (self.pruning, self.qat)
        found = (guard, ending, *compressing, evaluating, board, self.drawing, progress, saving)
        callbacks: list[BaseCallback] = [c for c in found if c is not None]
        try:
            with guard.watching():
                self.model.learn(
                    length - self.model.num_timesteps,
                    callback=callbacks,
                    reset_num_timesteps=self.model.num_timesteps == 0,
                )
        finally:
            progress.close()
            sharing.close()

    def _restore(self, saving: CheckpointCallback, sharing: Sharing, stop: StopRequest) -> bool:
        """Go on from this run's newest checkpoint or another run's; whether training is over."""
        trained = self.plan.settings.resume and saving.restore(self.say)
        if self.model.num_timesteps == 0 and sharing.take(stop):
            trained = saving.restore(self.say)
        sharing.undertake(self.model.num_timesteps)
        return trained

    def _saving(
        self,
        evaluator: Evaluator,
        guard: FiniteGuard,
        board: BoardCallback,
        stop: StopRequest,
        leave: Callable[[int], None],
    ) -> CheckpointCallback:
        stateful: dict[str, Stateful] = {"evaluator": evaluator, "guard": guard, "board": board}
        stateful["acceleration"] = self.acceleration
        parts = Parts(self.model, self.pruning, self.qat, stateful)
        return CheckpointCallback(
            Checkpoints(parts, self.directory),
            self.plan.timeline,
            self.plan.settings.checkpoint_freq,
            stop=stop,
            check=guard.check,
            leave=leave,
        )

    def conclude(self) -> None:
        """Freeze, evaluate and weigh what was kept; print the table and write ``summary.json``."""
        finish = Finish(self.plan, self.directory, self.evaluation_env, self.model)
        rows = list(finish.rows())
        about = self.plan.about()
        layers = () if self.pruning is None else self.pruning.report()
        if layers:
            self.console.print(format_report(layers), highlight=False, soft_wrap=True)
        show(rows, f"{about['env']}, seed {about['seed']}, {self.directory.path}", self.console)
        if finish.parity is not None:
            self.console.print(describe_parity(finish.parity), highlight=False, soft_wrap=True)
        summary = {
            **about,
            "rows": [asdict(row) for row in rows],
            "parity": None if finish.parity is None else asdict(finish.parity),
            "layers": [asdict(layer) for layer in layers],
        }
        returns = {f"{r.variant.strip('.')}_{r.checkpoint}": r.return_mean for r in rows}
        record_hparams(self.model, about, returns)
        # Last: it marks the run as finished. What only more training would need can go.
        self.directory.write_json(SUMMARY, summary)
        Store(self.directory.checkpoints).prune(1)


def prepare(
    settings: Settings, path: Path, command: str, descriptions: Mapping[str, str]
) -> Callable[[], None]:
    """Check everything that can be checked before training; returns the run.

    Raises:
        ValueError: where the request is wrong, naming what is and what would do.
    """
    directory = RunDirectory(path)
    check_unlocked(path)
    if settings.resume:
        directory.check_resumable()
        if directory.finished:
            return lambda: print(f"{path}: this run has finished already")
    else:
        directory.check_free()
    torch.set_num_threads(settings.threads)
    spec = describe(settings.env)
    plan = make_plan(settings, spec)
    run = _build(plan, directory)

    def work() -> None:
        with explained(directory), locked(path), caught_signals(run.say) as stop:
            if settings.resume:
                if directory.finished:
                    return
                for change in directory.note_changes():
                    run.say(f"results may differ from here on: {change}")
                directory.continue_(command)
            else:
                _check_still_free(directory)
                directory.describe(command, descriptions)
            run.say(spec.protocol)
            run.acceleration.apply_(run.model)
            run.train(stop)
            stop.let_go(f"stopped while evaluating; {directory.how_to_resume}")
            run.conclude()

    return work


def _check_still_free(directory: RunDirectory) -> None:
    """Look again now that the directory is ours: somebody may have run here in between."""
    try:
        directory.check_free()
    except ValueError as error:
        raise HeldElsewhere(f"somebody else was faster: {error}") from None


def check_drawable(env: VecEnv) -> None:
    """Raise ValueError where ``env`` gives no pictures; it has to be seeded anew afterwards."""
    env.reset()
    try:
        env.env_method("render", indices=[0])
    except Exception as error:
        raise ValueError(
            f"draw_every: this environment cannot be drawn here ({error}); draw_every=0 trains "
            "without, MuJoCo without a display needs MUJOCO_GL=egl or osmesa"
        ) from error


def _build(plan: Plan, directory: RunDirectory) -> Run:
    settings = plan.settings
    training_env = make_training_env(
        plan.env,
        settings.n_envs,
        seed=settings.seed,
        render_mode="rgb_array" if settings.draw_every else None,
        backend=cast(Backend, settings.env_backend),  # checked with the plan
        threads=settings.threads,
    )
    evaluation_env = make_evaluation_env(
        plan.env, seed=settings.seed, max_episode_steps=settings.eval_episode_steps
    )
    if settings.draw_every:
        check_drawable(training_env)
    model = build_model(plan, training_env)
    total = plan.total_timesteps
    pruning = qat = None
    if plan.prune is not None:
        pruning = PruningCallback(plan.prune, total_timesteps=total, seed=settings.seed)
    if plan.quant is not None and not plan.ptq:
        qat = QATCallback(plan.quant, begin=total)
    for callback in (pruning, qat):
        if callback is not None:
            callback.reattach(model)
    if plan.quant is not None:
        quantise.check(model, plan.quant)
    drawing = None
    if settings.draw_every:
        drawing = DrawCallback(settings.draw_every, directory.path / "drawings")
    return Run(plan, directory, Console(), model, evaluation_env, pruning, qat, drawing)
