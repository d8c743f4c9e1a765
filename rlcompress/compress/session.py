"""A compression while it runs: attempts one after the other, saved, judged and shown."""

from __future__ import annotations

import time
from dataclasses import replace
from types import TracebackType
from typing import Any

from numpy.typing import NDArray
from rich.console import Console
from stable_baselines3.common.logger import configure

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.file import write_bytes
from rlcompress.compress.course import Course
from rlcompress.compress.gather import Gatherer
from rlcompress.compress.journal import Journal
from rlcompress.compress.judge import Judge, engine_latency_us
from rlcompress.compress.lesson import Lesson
from rlcompress.compress.matching import Likeness
from rlcompress.compress.outcome import Outcome, base_of, next_course
from rlcompress.compress.plan import Plan
from rlcompress.compress.progress import Bar, record
from rlcompress.evaluation.rollout import record_observations, select_golden
from rlcompress.export.freeze import freeze
from rlcompress.sb3.checkpoint import load, save
from rlcompress.sb3.environments import make_training_env
from rlcompress.training.directory import RunDirectory
from rlcompress.training.signals import StopRequest

STREAM_SEEDS = 900_000
"""How far the seeds of recorded observations lie from those of evaluation."""

_NEWEST = 4096
_LOG_EVERY = 100


class Session:
    """Everything that has state while a compression is under way."""

    def __init__(
        self,
        plan: Plan,
        directory: RunDirectory,
        console: Console,
        *,
        stop: StopRequest,
        started: tuple[float, float],
    ) -> None:
        self.plan = plan
        self.directory = directory
        self.console = console
        self.outcomes: list[Outcome] = []
        self._before = (0.0, 0.0)
        self._started = started
        self.clock = 0
        self.recorded = plan.recorded()
        self.stop = stop
        self.logger = configure(None, [])
        seed, settings = plan.settings.seed, plan.settings
        self.judge: Judge | None = None
        self._gatherer: Gatherer | None = None
        self._env = None
        if plan.spec is not None:
            self.judge = Judge(
                plan.teacher,
                plan.spec,
                seed=seed,
                episode_steps=settings.episode_steps,
                evaluations=directory.evaluations,
            )
            self._env = make_training_env(plan.spec, settings.n_envs, seed=seed)
            self._gatherer = Gatherer(plan.teacher, self._env, noise=settings.noise, seed=seed)
        self._journal = Journal(directory, self.recorded)
        self._bar = Bar(console)
        self._saved_at = time.monotonic()
        self._stream: NDArray[Any] | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()
        self.logger.close()
        if self._env is not None:
            self._env.close()

    def say(self, line: str) -> None:
        """Print a line about the run, however long."""
        self._bar.pause()
        self.console.print(line, highlight=False, soft_wrap=True, markup=False)

    @property
    def spent(self) -> tuple[float, float]:
        """Wall and processor seconds, those of interrupted runs up to their checkpoint included."""
        wall, cpu = self._started
        return (
            self._before[0] + time.monotonic() - wall,
            self._before[1] + time.process_time() - cpu,
        )

    @property
    def stream(self) -> NDArray[Any]:
        """Observations as the teacher meets them, in the environment's own form."""
        if self._stream is None:
            given, count = self.plan.observations, self.plan.parity_observations
            if self.plan.spec is None:
                assert given is not None
                self._stream = given[-count:]
            else:
                assert self._env is not None
                seed = self.plan.settings.seed + STREAM_SEEDS
                make = make_training_env(self.plan.spec, 4, seed=seed)
                self._stream = record_observations(self.plan.teacher, make, count, seed=seed)
                make.close()
        return self._stream

    def teach(self) -> None:
        """Distil until the plan's wish is met or its lengths are used up."""
        state = self._begin()
        while True:
            lesson = self._lesson(state)
            if lesson is None:
                return
            state = None
            self._study(lesson)
            self._finish(lesson)

    def _begin(self) -> dict[str, Any] | None:
        state = self._journal.load(self.say) if self.plan.settings.resume else None
        self.start_logging()
        if state is None:
            self._record_given()
            return None
        self.outcomes, self.clock = list(state["outcomes"]), state["clock"]
        self._before = state["spent"]
        if self.judge is not None:
            self.judge.remembered = dict(state["remembered"])
        if state["lesson"] is None:
            if self._gatherer is not None:
                self._gatherer.load_state_dict(state["gatherer"])
            return None
        return state

    def start_logging(self) -> None:
        """Open TensorBoard's file."""
        self.logger = configure(str(self.directory.path), ["tensorboard"])

    def _record_given(self) -> None:
        """Take what was recorded elsewhere into the set, except for what it is judged on."""
        given = self.plan.observations
        if given is None:
            return
        if self.plan.spec is None:
            given = given[: max(1, len(given) - max(1, len(given) // 10))]
        block = 4096
        for start in range(0, len(given), block):
            seen = self.plan.teacher.seen(given[start : start + block])
            self.recorded.add(seen, self.plan.teacher.values(seen))

    def _lesson(self, state: dict[str, Any] | None) -> Lesson | None:
        """The next lesson, or the one that a checkpoint was written in."""
        saved = None if state is None else state["lesson"]
        wish, settings = self.plan.wish, self.plan.settings
        course = saved["course"] if saved is not None else next_course(wish, self.outcomes)
        if course is None:
            return None
        base = base_of(wish, self.outcomes)
        lesson = Lesson(
            self.plan.teacher,
            course,
            replace(self.plan.manner, seed=settings.seed + 1000 * len(self.outcomes)),
            recorded=self.recorded,
            gatherer=self._gatherer,
            base=None if base is None or saved is not None else base.base,
        )
        if saved is not None:
            unsaved = lesson.load_state_dict(saved)
            if unsaved is not None:
                self.say(f"episodes start anew, so results may differ: {unsaved}")
        return lesson

    def _study(self, lesson: Lesson) -> None:
        name = f"attempt {len(self.outcomes) + 1}, sparsity {lesson.course.final:g}"
        while not lesson.done:
            if self.stop.number is not None or lesson.at_round:
                self._save_if_due(lesson)
            lesson.advance()
            self.clock += 1
            if self.clock % _LOG_EVERY == 0 or lesson.done:
                lesson.check()
                record(self.logger, lesson, self.clock)
                self._bar.show(name, lesson)

    def _save_if_due(self, lesson: Lesson) -> None:
        asked = self.stop.number is not None
        now = time.monotonic()
        if asked or (lesson.step and now - self._saved_at >= self.plan.settings.checkpoint_s):
            self._journal.save(self.clock, self._state(lesson.state_dict()))
            self._saved_at = time.monotonic()
        if asked:
            how = self.directory.how_to_resume
            self.stop.stop(f"stopped after {self.clock} gradient steps; {how}")

    def _state(self, lesson: dict[str, Any] | None) -> dict[str, Any]:
        remembered = {} if self.judge is None else self.judge.remembered
        return {
            "lesson": lesson,
            "outcomes": list(self.outcomes),
            "clock": self.clock,
            "remembered": remembered,
            "spent": self.spent,
            "gatherer": None if self._gatherer is None else self._gatherer.state_dict(),
        }

    def _finish(self, lesson: Lesson) -> None:
        """Freeze, judge and keep what a lesson made."""
        if self.plan.ptq:
            lesson.quantise()
        likeness = self._held_out(lesson)
        self.keep(lesson.student.model, lesson.course, likeness, base=lesson.float_state)
        self._journal.save(self.clock, self._state(None))
        self._saved_at = time.monotonic()

    def _held_out(self, lesson: Lesson) -> Likeness:
        if self.plan.spec is not None:
            return lesson.compare(_NEWEST)
        return self.plan.teacher.compare(lesson.student.model, self.unseen)

    @property
    def unseen(self) -> NDArray[Any]:
        """Observations that nothing is learned from where there is no environment: the last."""
        assert self.plan.observations is not None
        return self.plan.observations[-max(1, len(self.plan.observations) // 10) :]

    def keep(
        self,
        model: Any,
        course: Course,
        likeness: Likeness,
        *,
        base: dict[str, Any] | None = None,
    ) -> Outcome:
        """Freeze ``model``, play it against the teacher, and remember what came of it."""
        number, settings = len(self.outcomes), self.plan.settings
        policy = self.freeze(model)
        check = None
        if self.judge is not None:
            check = self.judge.compare(
                policy, settings.check_episodes, offset=0, variant="check", step=self.clock
            )
        write_bytes(self.saved(number), save(model))
        policy.save(self.saved(number, ".rlc"))
        summary = policy.summary()
        found = Outcome(
            number=number,
            course=course,
            check=check,
            likeness=likeness,
            discrete=self.plan.teacher.matching.discrete,
            kept=summary["kept"],
            size_bytes=summary["policy_bytes"],
            latency_us=engine_latency_us(policy),
            base=base if self.plan.wish.sparsity is None else None,
        )
        self.outcomes.append(found)
        self.say(str(found))
        if check is not None:
            self.logger.record("check/return", check.student_mean)
            self.logger.record("check/loss", check.loss)
            self.logger.dump(self.clock)
        return found

    def freeze(self, model: Any) -> CompressedPolicy:
        """The artifact of a student or of the teacher."""
        settings = self.plan.settings
        about = {
            "env_id": settings.env,
            "seed": settings.seed,
            "source": self.plan.teacher.path.name,
        }
        golden = select_golden(self.stream)
        return freeze(model, golden, vec_normalize=self.plan.teacher.statistics, meta=about)

    def saved(self, number: int, suffix: str = ".zip") -> Any:
        """The model or artifact of an attempt."""
        return self.directory.path / "phases" / f"attempt_{number + 1}{suffix}"

    def model(self, found: Outcome) -> Any:
        """The model of an attempt."""
        return load(self.saved(found.number), self.plan.settings.device)
