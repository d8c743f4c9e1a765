"""The benchmark's cells and tables; what is measured is only asked to be there."""

import json
from dataclasses import fields

import pytest
import yaml

from rlcompress.cli import Job, config_dir
from rlcompress.probe import energy
from rlcompress.probe.energy import Counter
from rlcompress.reuse import bench
from rlcompress.reuse.comparison import (
    compare,
    geometric_mean,
    losers,
    means,
    published_ratios,
    read_rows,
    tables,
)
from rlcompress.reuse.games import GAMES


def row(game, ours, protocol="net", repetition=0, downsample=4):
    times = {"eager": 8.0, "channels_last": 4.0, "ours_dense": 6.0, "original": 5.0, "ours": ours}
    return {
        "protocol": protocol,
        "game": game,
        "downsample": downsample,
        "filters": 20,
        "steps": 10,
        "repetition": repetition,
        "arms": {name: {"cpu_us": value, "updates": 2} for name, value in times.items()},
    }


def test_published_ratios_are_of_24_games_and_eleven_tables():
    ratios = published_ratios()
    assert {game for *_, game in ratios} == set(GAMES)
    assert len({key[:3] for key in ratios}) == 11
    assert ratios[False, 2, 80, "Breakout"] == pytest.approx(8.58, abs=0.01)
    of_table = [value for key, value in ratios.items() if key[:3] == (False, 4, 40)]
    assert len(of_table) == 24
    assert geometric_mean(of_table) == pytest.approx(1.78, abs=0.01)


def test_a_line_has_every_ratio():
    line = compare(row("Pong", 2.0), 1.5)
    assert line["eager_ratio"] == 4 and line["dense_ratio"] == 2
    assert line["original_ratio"] == 1.6 and line["over_original"] == 2.5
    assert line["published_ratio"] == 1.5


def test_repetitions_are_averaged_and_games_kept_apart():
    rows = [row("Pong", 1.0), row("Pong", 3.0, repetition=1), row("Alien", 8.0)]
    [(key, lines)] = tables(rows)
    assert key == ("net", 4, 20)
    assert [line["game"] for line in lines] == ["Alien", "Pong"]
    assert lines[1]["ours"] == 2.0
    assert losers(lines, "dense_ratio") == ["Alien"]
    mean, geometric = means(lines)
    assert mean["dense_ratio"] == (0.5 + 2) / 2
    assert geometric["dense_ratio"] == 1.0
    assert "ours" not in geometric


def test_training_is_set_beside_training():
    [(_, [line])] = tables([row("Breakout", 1.0, protocol="training")])
    assert line["published_ratio"] == pytest.approx(2.35, abs=0.01)
    assert line["updates"] == 2


def test_a_line_that_was_cut_off_is_left_out(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row("Pong", 1.0)) + '\n{"protocol": "ne')
    assert [one["game"] for one in read_rows(path)] == ["Pong"]
    assert read_rows(tmp_path / "none.jsonl") == []


def settings(path, **more):
    values = yaml.safe_load((config_dir() / "bench_reuse.yaml").read_text())
    known = {field.name: values[field.name] for field in fields(bench.Settings)}
    small = {"games": ["Breakout"], "downsample": [4], "filters": [20], "steps": 5, "gpu": False}
    return bench.Settings(**(known | small | {"results": str(path)} | more))


def test_a_run_goes_on_where_it_stopped(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    bench.run(settings(path, protocols=["net"]))
    assert "recorded frames (grey), D4 20/40" in capsys.readouterr().out
    path.write_text(path.read_text() + '{"protocol": "lo')
    bench.run(settings(path))
    printed = capsys.readouterr().out
    assert "1/3" not in printed and "3/3" in printed
    rows = read_rows(path)
    assert [one["protocol"] for one in rows] == ["net", "loop", "training"]
    assert rows[0]["same_bits"] is True
    assert rows[0]["ours_deviation"] < 1e-4 and rows[0]["original_deviation"] < 1e-4
    assert rows[2]["arms"]["ours"]["updates"] == 1
    assert all(arm["cpu_us"] > 0 for one in rows for arm in one["arms"].values())
    before = path.read_text()
    bench.run(settings(path))
    assert path.read_text() == before


def test_cells_of_other_settings_are_no_answer(tmp_path):
    path, job = tmp_path / "rows.jsonl", Job(tmp_path, "", {})
    asked = {"protocols": ["net"], "arms": ["eager", "ours"]}
    bench.measure(settings(path, **asked), path)
    bench.check(settings(path, **asked), job)
    bench.check(settings(path, **{**asked, "games": ["Pong"]}, threads=2), job)
    for change in ({"threads": 2}, {"arms": ["original"]}):
        with pytest.raises(ValueError, match="with threads=1 and arms eager, ours"):
            bench.check(settings(path, **{**asked, **change}), job)
    other = {**read_rows(path)[0], "machine": {"cpu": "another"}}
    path.write_text(json.dumps(other) + "\n")
    with pytest.raises(ValueError, match="holds cells of another"):
        bench.check(settings(path, **asked), job)


def test_energy_of_all_sockets_is_summed(monkeypatch):
    counters = [Counter("package", lambda value=value: value) for value in (3.0, 5.0)]
    monkeypatch.setattr(energy, "_rapl", lambda powercap: counters)
    assert bench.counters(gpu=False)()["package_uj"] == 8.0


def test_updates_are_forced(tmp_path):
    path = tmp_path / "rows.jsonl"
    bench.measure(settings(path, protocols=["training"], arms=["ours"], update_every=2), path)
    assert read_rows(path)[0]["arms"]["ours"]["updates"] == 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"games": ["Pnog"]}, "did you mean Pong"),
        ({"arms": ["fast"]}, "arms must be of eager"),
        ({"protocols": ["all"]}, "protocols must be of net, loop, training"),
        ({"downsample": [3]}, "downsample must be of 4, 2"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"filters": [0]}, "filters must be positive"),
        ({"measure": False}, "results holds no cells to print"),
    ],
)
def test_wrong_requests_are_refused(tmp_path, wrong, message):
    job = Job(tmp_path, "", {})
    with pytest.raises(ValueError, match=message):
        bench.check(settings(tmp_path / "none.jsonl", **wrong), job)


def test_every_table_is_asked_for_by_default(tmp_path):
    everything = settings(tmp_path, games=list(GAMES), downsample=[4, 2], filters=[20, 40, 80])
    cells = bench.wanted(everything)
    assert len({tuple(cell.key().items()) for cell in cells}) == 24 * (6 + 6 + 5)
