import pytest

from rlcompress.training.store import Store


def quiet(line):
    raise AssertionError(line)


def fill(store, *steps):
    """Checkpoints with all transitions since the beginning, in files of ten steps."""
    for step in steps:
        segments = store.reusable()
        for stop in range(segments[-1].stop + 10 if segments else 10, step + 1, 10):
            rows = f"rows {stop}".encode() * 9
            segments = (*segments, store.write_segment(stop - 10, stop, rows))
        store.write(step, segments, f"state {step}".encode())


def names(store):
    """The files of transitions, by set and last step."""
    files = sorted(store.replay.glob("*/*"))
    return [f"{path.parent.name}{int(path.name[13:25])}" for path in files]


def test_the_newest_is_opened_with_its_transitions(tmp_path):
    fill(Store(tmp_path), 10, 20)
    store = Store(tmp_path)
    found = store.open_newest(quiet)
    assert (found.step, found.body) == (20, b"state 20")
    read = [(segment.first, segment.stop, data) for segment, data in store.read_segments(found)]
    assert read == [(0, 10, b"rows 10" * 9), (10, 20, b"rows 20" * 9)]


def test_two_are_kept_and_what_they_need(tmp_path):
    store = Store(tmp_path)
    old = store.write_segment(0, 10, b"old")
    store.write(10, (old,), b"a")
    new = store.write_segment(10, 20, b"new")
    store.write(20, (new,), b"b")
    assert names(store) == ["a10", "b20"]
    newest = store.write_segment(20, 30, b"newest")
    store.write(30, (newest,), b"c")
    assert [path.name for path in store.paths()] == ["000000000030.ckpt", "000000000020.ckpt"]
    assert names(store) == ["a30", "b20"]


def test_a_file_is_written_once_per_set_and_belongs_to_one_checkpoint(tmp_path):
    store = Store(tmp_path)
    fill(store, 10, 20, 30)
    times = {path: path.stat().st_mtime_ns for path in store.replay.glob("*/*")}
    assert names(store) == ["a10", "a20", "a30", "b10", "b20"]
    fill(store, 40)
    assert names(store) == ["a10", "a20", "a30", "b10", "b20", "b30", "b40"]
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
    listed = [set(found) for found in (store.reusable(), store.open_newest(quiet).segments)]
    assert len(listed[0]) == 3
    assert not listed[0] & listed[1]


def test_what_a_killed_process_left_is_removed(tmp_path):
    fill(Store(tmp_path), 10)
    store = Store(tmp_path)
    store.open_newest(quiet)
    store.write_segment(10, 20, b"of a checkpoint that was never written")
    (store.replay / "b/.half.tmp").write_bytes(b"")
    store.write(30, (store.write_segment(0, 30, b"x"),), b"x")
    assert names(store) == ["a10", "b30"]


@pytest.mark.parametrize("where", [0, 30, 100, 200, -1])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_damage_is_seen_and_the_one_before_used(tmp_path, where, damage):
    fill(Store(tmp_path), 10, 20)
    newest = Store(tmp_path).paths()[0]
    data = bytearray(newest.read_bytes())
    data[where] ^= 4
    newest.write_bytes({"flip": data, "cut": data[:where], "empty": b""}[damage])
    said = []
    store = Store(tmp_path)
    assert store.open_newest(said.append).step == 10
    assert len(said) == 1
    assert "000000000020.ckpt is damaged" in said[0]
    assert "step 10 instead" in said[0]
    assert not newest.exists()
    fill(store, 30)
    assert names(store) == ["a10", "b10", "b20", "b30"]


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_transitions(tmp_path, damage):
    fill(Store(tmp_path), 10, 20)
    path = tmp_path / "replay/b/000000000000-000000000010.safetensors"
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes({"flip": data, "cut": data[:5], "remove": b""}[damage])
    if damage == "remove":
        path.unlink()
    said = []
    store = Store(tmp_path)
    assert store.open_newest(said.append).step == 10
    assert len(said) == 1
    assert "000000000020.ckpt is damaged: " in said[0]
    assert f"its file replay/b/{path.name}" in said[0]


def test_damage_to_the_older_one_is_not_carried_on(tmp_path):
    fill(Store(tmp_path), 10, 20, 30)
    (tmp_path / "replay/b/000000000000-000000000010.safetensors").write_bytes(b"rows 11")
    said = []
    store = Store(tmp_path)
    assert store.open_newest(said.append).step == 30
    assert "000000000020.ckpt is damaged" in said[0]
    assert "the newer one is whole" in said[0]
    fill(store, 40)
    assert Store(tmp_path).open_newest(quiet).step == 40


def test_nothing_is_removed_where_nothing_can_be_used(tmp_path):
    fill(Store(tmp_path), 10, 20)
    for path in Store(tmp_path).paths():
        path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"no checkpoint .*0020.ckpt.*0010.ckpt"):
        Store(tmp_path).open_newest(quiet)
    assert len(Store(tmp_path).paths()) == 2
    with pytest.raises(ValueError, match="none there"):
        Store(tmp_path / "elsewhere").open_newest(quiet)
