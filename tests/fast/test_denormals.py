"""Numbers below float32's precision are zero in a compiled update, and nowhere else."""

import pytest
import torch

from rlcompress.fast.denormals import is_on, smallest_as_zero

SMALL = torch.tensor(3e-39)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_they_are_zero_within_alone():
    assert not is_on() and float(SMALL * 2) > 0
    with smallest_as_zero():
        assert is_on() and float(SMALL * 2) == 0
    assert not is_on()
    with pytest.raises(RuntimeError), smallest_as_zero():
        raise RuntimeError
    assert not is_on()


def test_within_a_function_alone():
    assert smallest_as_zero()(is_on)()
    assert not is_on()


def test_not_where_threads_would_differ():
    torch.set_num_threads(2)
    with smallest_as_zero():
        assert not is_on()


def test_who_has_them_so_everywhere_keeps_that():
    torch.set_flush_denormal(True)
    try:
        with smallest_as_zero():
            assert is_on()
        assert is_on()
    finally:
        torch.set_flush_denormal(False)
