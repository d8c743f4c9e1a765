"""Models that benchmarks train: Stable-Baselines3's, which leave no folders; trains nothing."""

from __future__ import annotations

from typing import Any


def new_model(
    env: str,
    *,
    seed: int,
    learning_starts: int,
    transitions: int,
    device: str = "cpu",
    render_mode: str | None = None,
    **own: dict[str, Any],
) -> Any:
    """SAC or DQN, whichever the environment's actions call for, with its library's defaults.

    ``transitions`` is the size of the replay buffer; ``own`` holds further arguments, by the
    algorithm's name (``sac`` or ``dqn``). The network is that of a run: 256-256, or the one for
    images.
    """
    from stable_baselines3 import DQN, SAC
    from stable_baselines3.common.logger import Logger

    from rlcompress.sb3.environments import algorithm_for, describe, make_training_env, network_for
    from rlcompress.sb3.networks import policy_for
    from rlcompress.sb3.replay import plan_replay

    spec = describe(env)
    name = algorithm_for(spec.action_space)
    algorithm: type[Any] = {"sac": SAC, "dqn": DQN}[name]
    network = network_for(spec.observation_space)
    net_arch = [256, 256] if network == "mlp" else []
    policy, arguments = policy_for(network, spec.observation_space, net_arch=net_arch)
    replay = plan_replay(
        spec.observation_space,
        spec.action_space,
        buffer_size=transitions,
        total_timesteps=transitions,
        frame_stack=spec.frame_stack,
    )
    model = algorithm(
        policy,
        make_training_env(spec, 1, seed=seed, render_mode=render_mode),
        seed=seed,
        device=device,
        learning_starts=learning_starts,
        policy_kwargs=arguments,
        **own.get(name, {}),
        **replay.model_arguments(),
    )
    # Without a logger of its own a model makes an empty directory.
    model.set_logger(Logger(folder=None, output_formats=[]))
    return model
