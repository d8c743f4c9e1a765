import json
import os
import socket

import pytest

from rlcompress.training.lock import locked
from rlcompress.training.sweep_status import KILLED, STOPPED, read_status

CONFIG = "trunks: somewhere\npruning:\n  begin: 0.2\n"
T, LENGTH = 1000, 1200


def job(sweep, name, *, begun=True, words=None):
    directory = sweep / name
    directory.mkdir(parents=True)
    if begun:
        (directory / ".hydra").mkdir()
        (directory / ".hydra" / "config.yaml").write_text(CONFIG)
        if words is not None:
            text = "".join(f"- {word}\n" for word in sorted(words))
            (directory / ".hydra" / "overrides.yaml").write_text(text)
    return directory


def finish(directory, seconds, *, length=None):
    summary = {} if length is None else {"total_timesteps": T, "length": length}
    (directory / "summary.json").write_text(json.dumps(summary))
    start = (directory / ".hydra" / "config.yaml").stat().st_mtime
    os.utime(directory / "summary.json", (start, start + seconds))


def test_every_state_is_told_apart(tmp_path):
    finish(job(tmp_path, "a/0"), 60)
    stopped = job(tmp_path, "a/1")
    rows = [json.dumps({"step": step}) + "\n" for step in (100, 200)]
    (stopped / "eval.jsonl").write_text("".join(rows) + '{"step": 3')
    failed = job(tmp_path, "b/0", begun=False)
    (failed / "error.txt").write_text("Traceback\n  somewhere\nValueError: sparsity is too high\n")
    running = job(tmp_path, "b/1")
    (tmp_path / "trunks" / "x" / ".hydra").mkdir(parents=True)
    (tmp_path / ".submitit" / "1" / ".hydra").mkdir(parents=True)
    with locked(running):
        found = read_status(tmp_path, [frozenset({f"seed={seed}"}) for seed in range(6)])
    assert [j.path.name for j in found.jobs] == ["0", "1", "0", "1"]
    assert [j.state for j in found.jobs] == ["done", "stopped", "failed", "running"]
    assert found.of("stopped")[0].step == 200
    assert found.of("stopped")[0].reason == KILLED
    assert found.of("failed")[0].reason == "ValueError: sparsity is too high"
    assert found.of("running")[0].reason == f"process {os.getpid()} on {socket.gethostname()}"
    assert len(found.left) == 2 and found.expected == 6
    # One running job, half done; two left, one to resume, one to try again.
    assert found.seconds_left() == pytest.approx(60 * 4.5)


def test_a_job_that_a_signal_stopped_says_so(tmp_path):
    stopped = job(tmp_path, "0")
    (stopped / STOPPED).write_text("stopped after 60 steps (SIGTERM)\n")
    (found,) = read_status(tmp_path).jobs
    assert (found.state, found.reason) == ("stopped", "stopped after 60 steps (SIGTERM)")
    with locked(stopped):
        assert read_status(tmp_path).jobs[0].state == "running"


def test_a_job_that_failed_and_was_started_again_is_running(tmp_path):
    again = job(tmp_path, "0")
    (again / "error.txt").write_text("no space\n")
    with locked(again):
        assert read_status(tmp_path).jobs[0].state == "running"


def test_no_time_is_guessed_where_nothing_is_known(tmp_path):
    job(tmp_path, "0")
    found = read_status(tmp_path)
    assert found.seconds_left() is None
    assert found.left == () and found.expected is None


def words(variant, sparsity, env="x"):
    return frozenset({f"variant={variant}", f"sparsity={sparsity}", f"env={env}", "seed=0"})


def test_time_left_knows_what_runs_share(tmp_path):
    """After the dense run: 0.5 of its own from where pruning begins, both variants from T."""
    asked = [words(v, s) for v in ("none", "int8") for s in ("0", "0.5", "0.9")]
    finish(job(tmp_path, "0", words=asked[0]), 1200, length=LENGTH)
    with locked(job(tmp_path, "1", words=asked[1])):
        found = read_status(tmp_path, asked)
    # The one that runs has shown nothing yet and counts as half done; the first that prunes trains
    # its beginning itself, the second goes on from there.
    assert found.seconds_left() == pytest.approx(600 + 1000 + 3 * 200)


def test_what_began_first_trained_what_is_shared(tmp_path):
    """Whatever a later command asks for first, and however the directories are named."""
    done = job(tmp_path, "z", words=words("none", "0.5"))
    later = job(tmp_path, "a", words=words("int8", "0.5"))
    (later / ".hydra" / "config.yaml").touch()
    for directory, began, seconds in ((done, 1000, 1200), (later, 3000, 200)):
        os.utime(directory / ".hydra" / "config.yaml", (began, began))
        finish(directory, seconds, length=LENGTH)
    with locked(job(tmp_path, "m", words=words("none", "0.9"))):
        found = read_status(tmp_path, [words("int8", "0.9"), words("int8", "0.5")])
    # 0.9 goes on where pruning begins and counts as half done; its twin goes on from T.
    assert found.seconds_left() == pytest.approx(500 + 200)


def test_a_job_half_way_has_the_other_half_to_do(tmp_path):
    asked = [words("none", "0"), words("none", "0", "y")]
    finish(job(tmp_path, "0", words=asked[0]), 1200, length=LENGTH)
    running = job(tmp_path, "1", words=words("none", "0.5"))
    (running / "eval.jsonl").write_text('{"step": 900}\n')
    with locked(running):
        assert read_status(tmp_path, asked).seconds_left() == pytest.approx(300 + 1200)


def test_what_a_job_took_is_not_counted_where_it_was_interrupted(tmp_path):
    asked = [words("none", str(s)) for s in (0, 0.5, 0.9)]
    finish(job(tmp_path, "0", words=asked[0]), 1200, length=LENGTH)
    again = job(tmp_path, "1", words=asked[1])
    (again / "command.txt").write_text("train\ntrain resume=true\n")
    finish(again, 90_000, length=LENGTH)
    with locked(job(tmp_path, "2", words=asked[2])):
        assert read_status(tmp_path, asked).seconds_left() == pytest.approx(500)


def test_jobs_of_an_earlier_command_are_not_those_of_the_newest(tmp_path):
    for env in ("x", "y"):
        finish(job(tmp_path, env, words=words("none", "0", env)), 60)
    found = read_status(tmp_path, [words("none", "0", "y"), words("none", "0", "z")])
    assert found.left == (words("none", "0", "z"),)
    assert found.expected == 3


def test_a_job_that_was_asked_for_in_other_words_is_not_left(tmp_path):
    begun, again = words("none", "0"), words("none", "0") | {"final_episodes=3"}
    other = words("none", "0.9") | {"final_episodes=3"}
    finish(job(tmp_path, "0", words=begun), 60)
    assert len(read_status(tmp_path, [begun, again]).left) == 1
    keys = frozenset({"env", "variant", "sparsity"})
    found = read_status(tmp_path, [begun, words("none", "0.9"), again, other], keys)
    assert (found.left, found.expected) == ((other,), 2)


@pytest.mark.parametrize("ending", ["err", "out"])
def test_what_the_scheduler_kept_of_a_job_is_named(ending, tmp_path):
    """Errors go where everything goes by our configuration, and apart by submitit's own."""
    stopped = job(tmp_path, "0")
    (stopped / "environment.json").write_text('{"scheduler_job": "17_3"}')
    folder = tmp_path / ".submitit" / "17"
    folder.mkdir(parents=True)
    (folder / "17_3_submitted.pkl").write_bytes(b"")
    (folder / "17_30_0_log.err").write_text("of another\n")
    (folder / "17_3_0_log.out").write_text("said\n")
    log = folder / f"17_3_0_log.{ending}"
    log.write_text("Killed\n")
    assert read_status(tmp_path).of("stopped")[0].log == log


def test_a_file_is_no_sweep(tmp_path):
    with pytest.raises(ValueError, match="is no directory"):
        read_status(tmp_path / "nothing")
