"""ale-py's vector environment shows what SB3's wrappers show, but for the listed differences."""

import gymnasium
import numpy as np
import pytest
from stable_baselines3.common.atari_wrappers import EpisodicLifeEnv, MaxAndSkipEnv, WarpFrame
from stable_baselines3.common.vec_env import VecFrameStack

from rlcompress.sb3.atari_vector import AtariVecEnv, rom_of

ale_py = pytest.importorskip("ale_py")


def wrapped(env_id):
    gymnasium.register_envs(ale_py)
    return WarpFrame(EpisodicLifeEnv(MaxAndSkipEnv(gymnasium.make(env_id), 4)))


def side_by_side(env_id, steps):
    """Pictures, rewards and ends of both, from one sequence of actions in one game."""
    ours = AtariVecEnv(env_id, no_ops=0, fire=False)
    theirs = wrapped(env_id)
    pictures = [ours.reset()[0], theirs.reset(seed=0)[0]]
    yield pictures[0], pictures[1], 0.0, 0.0, False, False
    actions = np.random.default_rng(0)
    for _ in range(steps):
        action = int(actions.integers(theirs.action_space.n))
        picture, reward, done, _ = ours.step(np.array([action]))
        other, other_reward, other_done, _, _ = theirs.step(action)
        yield picture[0], other, reward[0], np.sign(other_reward), done[0], other_done
        if done[0] or other_done:
            return


def test_breakout_frame_by_frame():
    ended = False
    for mine, theirs, reward, other_reward, done, other_done in side_by_side(
        "BreakoutNoFrameskip-v4", 150
    ):
        assert np.array_equal(mine, theirs)
        assert reward == other_reward
        assert done == other_done
        ended = done
    assert ended, "no life was lost: the test has not seen an end"


def test_pong_differs_only_where_colours_overlap():
    pairs = list(side_by_side("PongNoFrameskip-v4", 100))
    assert any(not np.array_equal(mine, theirs) for mine, theirs, *_ in pairs)
    for mine, theirs, reward, other_reward, *_ in pairs:
        difference = np.abs(mine.astype(int) - theirs.astype(int))
        assert difference.max() <= 20
        assert np.mean(difference > 0) < 0.02
        assert reward == other_reward


def test_a_whole_game_is_reported_once_and_begins_anew():
    env = VecFrameStack(AtariVecEnv("Breakout-v4", 2, no_ops=0, fire=False), 4)
    env.reset()
    actions = np.random.default_rng(1)
    lives_lost = games = 0
    for _ in range(500):
        observations, rewards, dones, infos = env.step(actions.integers(4, size=2))
        assert set(np.unique(rewards)) <= {-1.0, 0.0, 1.0}
        for i in np.flatnonzero(dones):
            assert infos[i]["terminal_observation"].shape == (84, 84, 4)
            # The stack holds nothing of the episode before.
            assert not observations[i][..., :3].any()
            games += "episode" in infos[i]
            lives_lost += "episode" not in infos[i]
        if games:
            break
    assert games and lives_lost >= 4
    reported = next(info["episode"] for info in infos if "episode" in info)
    assert reported["l"] > 100 and reported["r"] >= 0


def test_learning_on_it():
    from stable_baselines3 import DQN
    from stable_baselines3.common.vec_env import VecTransposeImage

    env = VecTransposeImage(VecFrameStack(AtariVecEnv("Pong-v4", 2), 4))
    model = DQN("CnnPolicy", env, buffer_size=100, learning_starts=10, batch_size=2, train_freq=4)
    model.learn(24)
    assert model._n_updates > 0


@pytest.mark.parametrize(
    ("env_id", "rom"),
    [("PongNoFrameskip-v4", "pong"), ("ALE/MsPacman-v5", "ms_pacman"), ("Qbert-v4", "qbert")],
)
def test_names_of_games(env_id, rom):
    assert rom_of(env_id) == rom


def test_other_names():
    with pytest.raises(ValueError, match="Atari game"):
        rom_of("Hopper_4")
