"""Small subjects for tests of the probe."""

from __future__ import annotations

import numpy as np

from rlcompress.probe.subject import Subject, make_subject
from rlcompress.runtime.reference import with_golden
from tests.policies import random_observations, random_policy


def subject_of(kind: str, seed: int = 0, count: int = 6) -> Subject:
    rng = np.random.default_rng([seed, *kind.encode()])
    policy = random_policy(rng, kind, sparsity=0.5, bits=(8, 8))
    observations = random_observations(rng, policy.observation, count)
    return make_subject(with_golden(policy, observations))
