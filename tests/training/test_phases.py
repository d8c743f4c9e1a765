import pytest

from rlcompress.training.phases import Timeline

FULL = Timeline(length=120, pruning=(20, 80), quantise_after=100)


@pytest.mark.parametrize(
    ("step", "phase"),
    [
        (0, "dense"),
        (20, "dense"),
        (21, "pruning"),
        (79, "pruning"),
        (80, "pruned"),
        (110, "pruned"),
    ],
)
def test_phases_of_pruning(step, phase):
    assert FULL.phase(step, quantised=False) == phase


def test_quantised_is_what_it_is_told():
    assert FULL.phase(150, quantised=True) == "quantised"
    assert Timeline(10).phase(9, quantised=False) == "dense"


def test_phases_in_order():
    assert FULL.phases() == ("dense", "pruned", "quantised")
    assert Timeline(10).phases() == ("dense",)
    assert Timeline(12, quantise_after=10).phases() == ("dense", "quantised")
    assert Timeline(10, pruning=(0, 8)).phases() == ("pruned",)


@pytest.mark.parametrize("stride", [1, 3, 4, 7])
@pytest.mark.parametrize("timeline", [FULL, Timeline(12, quantise_after=10), Timeline(10)])
def test_each_end_is_met_once_and_in_time(timeline, stride):
    met = [
        (step, timeline.phase_end(step, stride))
        for step in range(stride, timeline.length + stride, stride)
    ]
    met = [(step, end) for step, end in met if end is not None]
    assert tuple(end for _, end in met) == timeline.ends()
    assert all(end - stride < step <= end for step, end in met)
