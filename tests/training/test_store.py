import pytest

from rlcompress.training.store import Store


def quiet(line):
    raise AssertionError(line)


def fill(store, *steps):
    """Checkpoints that share the transitions before them."""
    segments = ()
    for step in steps:
        segments = (*segments, store.write_segment(step - 10, step, f"rows {step}".encode() * 9))
        store.write(step, segments, f"state {step}".encode())


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
    assert len(list(store.replay.iterdir())) == 2
    store.write(30, (new,), b"c")
    assert [path.name for path in store.paths()] == ["000000000030.ckpt", "000000000020.ckpt"]
    assert [path.name for path in store.replay.iterdir()] == [new.name]


def test_what_a_killed_process_left_is_removed(tmp_path):
    fill(Store(tmp_path), 10)
    store = Store(tmp_path)
    store.open_newest(quiet)
    (store.replay / ".half.tmp").write_bytes(b"")
    store.write_segment(10, 20, b"of a checkpoint that was never written")
    store.write(30, store.segments(), b"x")
    assert [path.name for path in store.replay.iterdir()] == [store.segments()[0].name]


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
    assert [segment.stop for segment in store.segments()] == [10]


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_transitions(tmp_path, damage):
    fill(Store(tmp_path), 10, 20)
    path = max((tmp_path / "replay").iterdir())
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes({"flip": data, "cut": data[:5], "remove": b""}[damage])
    if damage == "remove":
        path.unlink()
    said = []
    assert Store(tmp_path).open_newest(said.append).step == 10
    assert path.name in said[0]


def test_nothing_is_removed_where_nothing_can_be_used(tmp_path):
    fill(Store(tmp_path), 10, 20)
    for path in Store(tmp_path).paths():
        path.write_bytes(b"damaged")
    with pytest.raises(ValueError, match=r"no checkpoint .*0020.ckpt.*0010.ckpt"):
        Store(tmp_path).open_newest(quiet)
    assert len(Store(tmp_path).paths()) == 2
    with pytest.raises(ValueError, match="none there"):
        Store(tmp_path / "elsewhere").open_newest(quiet)
