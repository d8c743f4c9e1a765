"""The profiler charges each part for itself, and its table adds up."""

import json
import sys
import time

import pytest

from rlcompress import profile
from rlcompress.profile import REST, Clock


def test_inner_parts_are_not_charged_twice():
    clock = Clock()
    clock.start()
    with clock.part("outer"):
        with clock.part("inner"):
            time.sleep(0.02)
    total = clock.stop()
    assert clock.seconds["inner"] >= 0.02
    assert clock.seconds["outer"] < clock.seconds["inner"]
    assert total == pytest.approx(sum(clock.seconds.values()))


def test_work_elsewhere_is_waited_for_by_the_part_that_began_it():
    pending = []
    clock = Clock(lambda: [time.sleep(pending.pop()) for _ in list(pending)])
    clock.start()
    with clock.part("begins"):
        pending.append(0.02)
    with clock.part("next"):
        pass
    clock.stop()
    assert clock.seconds["begins"] >= 0.02 > clock.seconds["next"]


def test_watching_keeps_results_and_errors():
    class Owner:
        def answer(self, value):
            if value is None:
                raise KeyError("none")
            return value

    owner, clock = Owner(), Clock()
    clock.watch(owner, "answer", "asked")
    assert owner.answer(3) == 3
    with pytest.raises(KeyError):
        owner.answer(None)
    before = clock.seconds[REST]
    clock.stop()
    assert clock.seconds["asked"] > 0
    assert clock.seconds[REST] >= before


def main_with(monkeypatch, *overrides):
    monkeypatch.setattr(sys, "argv", ["profile", *overrides])
    return profile.main()


def test_parts_of_pendulum(monkeypatch, tmp_path, capsys):
    rows = tmp_path / "rows.json"
    assert main_with(monkeypatch, "env=Pendulum-v1", "steps=20", "warm_up=40", f"out={rows}") == 0
    content = json.loads(rows.read_text())["rows"]
    names = {row["part"] for row in content}
    wanted = {"emulator", "preprocessing (wrappers)", "acting", "replay sampling", "transfer"}
    assert wanted | {"forward", "backward", "optimizer", "logging", REST} <= names
    assert sum(row["share_percent"] for row in content) == pytest.approx(100, abs=1)
    assert all(row["speed_up_if_free"] >= 1 for row in content)
    assert "Pendulum-v1" in capsys.readouterr().out


def test_bad_request(monkeypatch, capsys):
    assert main_with(monkeypatch, "mode=parst") == 2
    assert "mode must be parts or display" in capsys.readouterr().err
