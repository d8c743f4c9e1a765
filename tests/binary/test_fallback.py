"""Without native code the same training runs on numpy and Gymnasium."""

import subprocess
import sys

CODE = """
import sys
sys.modules['rlcompress.binary._bits'] = None
from rlcompress.binary.evaluator import Population, available_isas, tasks
from rlcompress.binary.rollouts import VectorEpisodes, make_episodes
from rlcompress.binary.decoders import Decoder
from rlcompress.binary.encoders import make_encoder
from rlcompress.binary.evolution import Evolution, EvolutionSpec
from rlcompress.binary.nes import NesSpec
assert available_isas() == [] and tasks() == []
encoder, decoder = make_encoder('sign', [0] * 4, [0] * 4), Decoder('count', 1)
episodes = make_episodes('CartPole-v1', encoder, decoder, slots=4)
assert isinstance(episodes, VectorEpisodes)
spec = EvolutionSpec(episodes=1, map_episodes=1)
evolution = Evolution((4, 1), NesSpec(population=4), spec, episodes)
assert Population((4, 1)).isa == 'numpy'
assert evolution.step().steps > 0
"""


def test_training_without_native_code() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
