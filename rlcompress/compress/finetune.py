"""``method=finetune``: reinforcement learning goes on from the zip under the callbacks.

The algorithm is the zip's own. A replay buffer is not part of a zip, so it is filled by the policy
before anything is learned from it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import ConstantSchedule
from stable_baselines3.common.vec_env import VecEnv

from rlcompress.compress.outcome import next_course
from rlcompress.compress.session import Session
from rlcompress.compress.settings import FinetuneSettings
from rlcompress.compress.source import read_model
from rlcompress.evaluation.rollout import record_spread
from rlcompress.sb3.checkpoint import replaced_schedules
from rlcompress.sb3.environments import make_training_env
from rlcompress.sb3.observations import sample_size
from rlcompress.sb3.pruning_callback import PruningCallback
from rlcompress.sb3.qat_callback import QATCallback
from rlcompress.sb3.quantise import quantise_after_training_
from rlcompress.spec import PolynomialSchedule, PruneSpec
from rlcompress.training.checkpoint import CheckpointCallback, Checkpoints
from rlcompress.training.errors import TrainingStopped
from rlcompress.training.guard import FiniteGuard
from rlcompress.training.phases import Timeline
from rlcompress.training.snapshot import Parts

UPDATES = 300
CHECKPOINTS = 10
"""How many checkpoints are written over a run."""


def finetune(session: Session) -> None:
    """Prune and quantise the model while it learns on from rewards."""
    plan = session.plan
    asked, seed = plan.settings.finetune, plan.settings.seed
    course = next_course(plan.wish, [])
    assert plan.spec is not None and course is not None
    total = asked.total_timesteps
    model = read_model(plan.teacher.path, plan.settings.device)
    model.set_random_seed(seed)
    env = make_training_env(plan.spec, _n_envs(model), seed=seed)
    _make_trainable_(model, env, asked)
    _say_what_is_unread(session)
    pruning, qat = _callbacks(session, model)
    guard = FiniteGuard(_every(total), str(session.directory.path))
    saving = _saving(session, model, pruning, qat, guard)
    trained = plan.settings.resume and saving.restore(session.say)
    session.start_logging()
    model.set_logger(session.logger)
    if not trained:
        if model.num_timesteps == 0 and isinstance(model, OffPolicyAlgorithm):
            fill_(model, asked.fill)
        callbacks: list[BaseCallback | None] = [guard, pruning, qat, saving]
        left = total - model.num_timesteps
        first = model.num_timesteps == 0
        with guard.watching():
            model.learn(left, [c for c in callbacks if c is not None], reset_num_timesteps=first)
    if plan.wish.quantise and qat is not None and not qat.active:
        raise TrainingStopped(
            "no rollout began after quantisation was due, so that nothing is quantised: let it "
            "begin earlier (finetune.quantise_at) or train longer (finetune.total_timesteps)"
        )
    if plan.ptq and plan.quant is not None:
        # Training, which the environment's own seed began, is over.
        calibration = record_spread(model, env, sample_size(model), seed=seed)
        quantise_after_training_(model, plan.quant, calibration)
    model.policy.set_training_mode(False)
    session.clock = total
    likeness = plan.teacher.compare(model, session.stream[: 2 * sample_size(model)])
    session.keep(model, course, likeness)
    env.close()


def _rows(count: int, n_envs: int) -> int:
    """How often all environments step for that many transitions."""
    return -(-count // n_envs)


def _every(total: int) -> int:
    return max(1, total // CHECKPOINTS)


def _n_envs(model: BaseAlgorithm) -> int:
    return int(model.n_envs)


def _make_trainable_(model: BaseAlgorithm, env: VecEnv, asked: FinetuneSettings) -> None:
    """Give back what was left out of the zip: schedules, a buffer, the environment."""
    model.set_env(env)
    model.learning_rate = asked.learning_rate
    model._setup_lr_schedule()
    model.num_timesteps = 0
    if not isinstance(model, OffPolicyAlgorithm):
        return
    size = max(asked.buffer_size, asked.fill) // env.num_envs * env.num_envs
    model.buffer_size = size
    model.replay_buffer = ReplayBuffer(
        size, model.observation_space, model.action_space, model.device, n_envs=env.num_envs
    )
    # The policy is trained already: no random actions at the start.
    model.learning_starts = 0
    dqn: Any = model
    if hasattr(model, "exploration_schedule"):
        dqn.exploration_schedule = ConstantSchedule(dqn.exploration_final_eps)
        dqn.exploration_rate = dqn.exploration_final_eps


def _say_what_is_unread(session: Session) -> None:
    """PPO's clip ranges may be code, which is not run; the learning rate is this method's own."""
    for name, value in replaced_schedules(session.plan.teacher.path).items():
        if name != "learning_rate":
            session.say(f"the zip's {name} is code that is not run; {value} takes its place")


def fill_(model: OffPolicyAlgorithm, count: int) -> None:
    """Put ``count`` transitions of the policy as it is into the replay buffer."""
    env, buffer = model.get_env(), model.replay_buffer
    assert env is not None and buffer is not None
    seen: Any = env.reset()
    for _ in range(_rows(count, env.num_envs)):
        actions, _ = model.predict(seen, deterministic=False)
        following, rewards, dones, infos = env.step(actions)
        after = np.array(following)
        for i in np.flatnonzero(dones):
            after[i] = infos[i]["terminal_observation"]
        stored = actions
        if not model.policy.squash_output or getattr(model.action_space, "low", None) is None:
            stored = np.asarray(actions).reshape(env.num_envs, -1)
        else:
            stored = model.policy.scale_action(actions)
        buffer.add(seen, after, np.asarray(stored), rewards, dones, infos)
        seen = following


def _callbacks(
    session: Session, model: BaseAlgorithm
) -> tuple[PruningCallback | None, QATCallback | None]:
    plan, asked = session.plan, session.plan.settings.finetune
    total, pruning, qat = asked.total_timesteps, None, None
    if plan.wish.sparsity:
        updates = max(1, min(UPDATES, int(asked.pruning_end * total) // _n_envs(model)))
        spec = PruneSpec(
            plan.wish.sparsity,
            PolynomialSchedule(0.0, asked.pruning_end, updates),
            criterion=plan.manner.criterion,
            allocation=plan.manner.allocation,
        )
        pruning = PruningCallback(spec, total_timesteps=total, seed=plan.settings.seed)
    if plan.wish.quantise and plan.quant is not None:
        qat = QATCallback(plan.quant, begin=round(asked.quantise_at * total))
    for callback in (pruning, qat):
        if callback is not None:
            callback.reattach(model)
    return pruning, qat


def _saving(
    session: Session,
    model: BaseAlgorithm,
    pruning: PruningCallback | None,
    qat: QATCallback | None,
    guard: FiniteGuard,
) -> CheckpointCallback:
    asked = session.plan.settings.finetune
    total = asked.total_timesteps
    filled = _rows(asked.fill, _n_envs(model)) if isinstance(model, OffPolicyAlgorithm) else 0
    parts = Parts(model, pruning, qat, {"guard": guard})
    return CheckpointCallback(
        Checkpoints(parts, session.directory, filled=filled),
        Timeline(total, (0, round(asked.pruning_end * total)), round(asked.quantise_at * total)),
        _every(total),
        stop=session.stop,
        check=guard.check,
        leave=lambda _: None,
    )
