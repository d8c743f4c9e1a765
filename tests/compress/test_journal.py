"""Observations come back from a checkpoint, also those of a ring that has begun anew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rlcompress.compress import journal
from rlcompress.compress.journal import CompressDirectory, Journal
from rlcompress.compress.recorded import Recorded

LIMIT = 1000


def empty() -> Recorded:
    return Recorded((1,), np.float32, 1, limit=LIMIT)


@pytest.mark.parametrize("count", [700, 1000, 1100, 1300, 2500])
def test_what_was_recorded_is_restored(count, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "SEGMENT_BYTES", 400 * 4)
    directory = CompressDirectory(tmp_path / "run")
    (directory.checkpoints / "replay").mkdir(parents=True)
    recorded = empty()
    writing = Journal(directory, recorded)
    for step in range(count // 100):
        rows = np.arange(100 * step, 100 * step + 100, dtype=np.float32)[:, None]
        recorded.add(rows, torch.from_numpy(rows))
        writing.save(step, {})
    again = empty()
    Journal(directory, again).load(print)
    assert again.written == recorded.written
    kept = min(count, LIMIT)
    for ours, theirs in zip(again.newest(kept), recorded.newest(kept), strict=True):
        np.testing.assert_array_equal(ours, theirs)
