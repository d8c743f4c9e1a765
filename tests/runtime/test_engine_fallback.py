"""``Engine`` where there is no native module: the reference, told once; and no torch anywhere."""

import subprocess
import sys

PROGRAM = """
import pickle, sys, warnings
sys.modules["rlcompress.runtime._engine"] = None
sys.modules["torch"] = None
import numpy as np
from rlcompress.runtime import Reference
from rlcompress.runtime.engine import Engine, available_isas
from tests.artifact.networks import hopper

policy = hopper(0.9)
given = np.random.default_rng(0).normal(0, 1, (3, 11)).astype(np.float32)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("default")
    engines = [Engine(policy) for _ in range(2)]
    engine = pickle.loads(pickle.dumps(engines[0]))
assert len(caught) == 1, [str(w.message) for w in caught]
assert "numpy reference" in str(caught[0].message)
reference = Reference(policy)
out = np.zeros((3, 3), np.float32)
assert engine(given, out=out) is out
assert np.array_equal(out, reference(given))
assert np.array_equal(engine(given[0]), reference(given[0]))
assert np.array_equal(engine.forward(given), reference.forward(given))
assert np.array_equal(engine.predict(given)[0], reference(given))
assert available_isas() == []
for wrong in (np.zeros((3, 3)), np.zeros((2, 3), np.float32), [0.0]):
    try:
        engine(given, out=wrong)
    except ValueError as error:
        assert "out must be a writable C-contiguous float32 array" in str(error)
    else:
        raise AssertionError("accepted")
try:
    Engine(policy, isa="avx2")
except ValueError as error:
    assert "C++ compiler" in str(error)
else:
    raise AssertionError("accepted")
"""


def test_without_native_code_the_reference_runs_and_says_so_once() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_engine_needs_no_torch() -> None:
    program = "import sys; sys.modules['torch'] = None; import rlcompress.runtime.engine"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
