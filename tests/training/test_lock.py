import fcntl
import multiprocessing
import os
import signal
import socket
import threading

import pytest

from rlcompress.training.errors import TrainingStopped
from rlcompress.training.lock import NAME, check_unlocked, locked
from rlcompress.training.lock import holder as holder_of


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


def test_looking_keeps_nobody_out(tmp_path):
    """Who looks holds the lock for a moment; a run that begins just then begins all the same."""
    (tmp_path / NAME).touch()
    with (tmp_path / NAME).open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        check_unlocked(tmp_path)
        threading.Timer(0.1, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with locked(tmp_path):
            assert holder_of(tmp_path) == f"process {os.getpid()} on {socket.gethostname()}"
    assert holder_of(tmp_path) is None
