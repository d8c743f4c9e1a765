"""Energy counters, read from files laid out as the kernel lays them out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rlcompress.probe.energy import Meters, why_no_package


def zone(root: Path, directory: str, name: str, energy: int, *, limit: int = 1000) -> Path:
    place = root / directory
    place.mkdir(parents=True)
    (place / "name").write_text(name + "\n")
    (place / "energy_uj").write_text(f"{energy}\n")
    (place / "max_energy_range_uj").write_text(f"{limit}\n")
    return place / "energy_uj"


def test_packages_are_summed_and_what_lies_in_them_is_not(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 100)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 990)
    zone(tmp_path, "intel-rapl:0:0", "core", 7)
    zone(tmp_path, "intel-rapl:2", "psys", 5)
    meters = Meters(powercap=tmp_path)
    before = meters.read()
    first.write_text("160\n")
    second.write_text("15\n")  # Started over at 1000.
    assert before == [100.0, 990.0]
    assert meters.spent(before, meters.read()) == {"package": 60.0 + 25.0}
    assert why_no_package(tmp_path) is None


def test_without_counters_there_is_no_energy(tmp_path: Path) -> None:
    meters = Meters(powercap=tmp_path, gpu=True)
    assert meters.spent(meters.read(), meters.read()) == {} or "gpu" in [
        counter.meter for counter in meters.counters
    ]
    said = why_no_package(tmp_path)
    assert said is not None and "no RAPL counters" in said


def test_a_broken_counter_is_absent(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1).write_text("garbage")
    assert Meters(powercap=tmp_path).counters == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_counters_for_root_only(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1).chmod(0)
    said = why_no_package(tmp_path)
    assert said is not None and "only be read by root" in said
