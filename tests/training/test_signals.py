import os
import pickle
import signal

import pytest
import torch

from rlcompress.training.errors import Interrupted
from rlcompress.training.signals import caught_signals


def test_the_first_signal_is_a_request():
    said = []
    before = signal.getsignal(signal.SIGTERM)
    with caught_signals(said.append) as stop:
        assert stop.number is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.number == signal.SIGTERM
        assert len(said) == 1
        with pytest.raises(Interrupted, match=r"saved \(SIGTERM\)") as caught:
            stop.stop("saved")
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_second_signal_and_one_with_nothing_to_lose_raise_at_once():
    with caught_signals(str) as stop, pytest.raises(Interrupted, match="at once"):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    with caught_signals(str) as stop:
        stop.let_go("evaluating")
        with pytest.raises(Interrupted, match=r"evaluating \(SIGINT\)"):
            os.kill(os.getpid(), signal.SIGINT)
    with caught_signals(str) as stop:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(Interrupted, match="evaluating"):
            stop.let_go("evaluating")


def test_whoever_listened_before_is_called_as_well():
    heard = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: heard.append(number))
    try:
        with caught_signals(str) as stop, pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGUSR2)
            assert heard == []
            stop.stop("saved")
        assert heard == [signal.SIGUSR2]
        os.kill(os.getpid(), signal.SIGUSR2)
        assert len(heard) == 2
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_an_interruption_travels_between_processes():
    """From a worker to the sweep; a class whose arguments pickle does not know would be lost."""
    found = pickle.loads(pickle.dumps(Interrupted(signal.SIGTERM, "saved")))
    assert (str(found), found.code) == ("saved (SIGTERM)", 143)


def test_a_signal_within_a_compiled_call_is_not_compiled():
    """What torch.compile runs is watched for Python to compile, and a handler runs in its midst."""
    said = []

    def say(line):
        # A generator cannot be compiled, and what prints lines is full of them.
        said.append("".join(character for character in line))

    def doubled(x):
        return 2 * x

    def watched(x):
        os.kill(os.getpid(), signal.SIGTERM)
        return doubled(x)

    # Run as it is, like the frames that lie between the call and what it compiles.
    torch._dynamo.eval_frame.skip_code(watched.__code__)
    with caught_signals(say) as stop:
        found = torch.compile(watched, backend="eager", fullgraph=True)(torch.ones(2))
        assert stop.number == signal.SIGTERM
    assert len(said) == 1
    assert found.tolist() == [2, 2]
