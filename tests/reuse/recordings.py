"""Frames made up for tests: little changes, much changes, nothing does."""

import numpy as np
from hypothesis import strategies as st


@st.composite
def sequences(draw, shape, steps=(1, 12)):
    """uint8 [steps, C, H, W] in which each frame differs from the last in a few rectangles."""
    _, height, width = shape
    count = draw(st.integers(*steps))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    frames = [rng.integers(0, 256, shape, dtype=np.uint8)]
    for _ in range(count - 1):
        frame = frames[-1].copy()
        for _ in range(draw(st.integers(0, 3))):
            top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
            rows, columns = draw(st.integers(1, height)), draw(st.integers(1, width))
            patch = frame[:, top : top + rows, left : left + columns]
            patch[...] = rng.integers(0, 256, patch.shape, dtype=np.uint8)
        frames.append(frame)
    return np.stack(frames)
