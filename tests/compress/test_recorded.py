import numpy as np
import torch

from rlcompress.compress.recorded import Recorded


def filled(count, limit, start=0):
    recorded = Recorded((2,), np.float32, 3, limit=limit)
    for i in range(start, start + count, 5):
        rows = np.arange(i, i + 5, dtype=np.float32)
        recorded.add(np.stack([rows, -rows], 1), torch.tensor(rows)[:, None].repeat(1, 3))
    return recorded


def test_what_came_is_there():
    recorded = filled(20, limit=100)
    assert len(recorded) == 20
    observations, outputs = recorded.batch(np.array([0, 7, 19]))
    assert observations[:, 0].tolist() == [0.0, 7.0, 19.0]
    assert outputs[:, 2].tolist() == [0.0, 7.0, 19.0]


def test_the_newest_replace_the_oldest():
    recorded = filled(30, limit=12)
    assert len(recorded) == 12
    held = sorted(recorded.batch(np.arange(12))[0][:, 0].tolist())
    assert held == list(np.arange(18.0, 30.0))
    assert recorded.newest(4)[0][:, 0].tolist() == [26.0, 27.0, 28.0, 29.0]


def test_stored_pieces_bring_it_back():
    for count, limit in ((20, 100), (30, 12)):
        recorded = filled(count, limit)
        again = Recorded((2,), np.float32, 3, limit=limit)
        first = count - len(recorded)
        for start in range(first, count, 7):
            again.put(start, recorded.take(start, min(start + 7, count)))
        assert again.written == count
        rows = np.arange(len(recorded))
        assert np.array_equal(again.batch(rows)[0], recorded.batch(rows)[0])
        assert torch.equal(again.batch(rows)[1], recorded.batch(rows)[1])
