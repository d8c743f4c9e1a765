import multiprocessing
import os
import signal

import pytest

from rlcompress.training.errors import TrainingStopped
from rlcompress.training.lock import NAME, check_unlocked, locked


def hold(directory, ready):
    with locked(directory):
        ready.send(os.getpid())
        signal.pause()


@pytest.fixture
def holder(tmp_path):
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()
    process = context.Process(target=hold, args=(tmp_path, there))
    process.start()
    here.recv()
    yield process
    process.kill()
    process.join()


def test_a_second_process_is_told_who_was_first(tmp_path, holder):
    with pytest.raises(ValueError, match=rf"in use by process {holder.pid} on "):
        check_unlocked(tmp_path)
    with pytest.raises(TrainingStopped, match=rf"in use by process {holder.pid}"), locked(tmp_path):
        pass


def test_the_lock_of_a_killed_process_is_free(tmp_path, holder):
    holder.kill()
    holder.join()
    assert (tmp_path / NAME).exists()
    check_unlocked(tmp_path)
    with locked(tmp_path):
        assert str(os.getpid()) in (tmp_path / NAME).read_text()


def test_nothing_stays_behind(tmp_path):
    check_unlocked(tmp_path)
    with pytest.raises(ZeroDivisionError), locked(tmp_path):
        _ = 1 / 0
    assert not list(tmp_path.iterdir())
