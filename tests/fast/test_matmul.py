"""The matrix-product path is measured, checked, remembered, and can be fixed by hand."""

import json
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from rlcompress.fast import matmul

PRODUCTS = [(32, 48, 40), (32, 40, 3)]


@pytest.fixture(autouse=True)
def restored():
    yield
    matmul.apply_(matmul.DEFAULT)


def test_a_choice_is_made_once_and_remembered(tmp_path):
    cache = tmp_path / "cache" / "matmul.json"
    first = matmul.choose(PRODUCTS, cache=cache, seconds=0.02)
    assert first.path in ("default", "onednn")
    (key, content) = json.loads(cache.read_text()).popitem()
    assert torch.__version__ in key
    # What is remembered is taken even where measuring again could say otherwise.
    other = "onednn" if first.path == "default" else "default"
    cache.write_text(json.dumps({key: {**content, "path": other}}))
    assert matmul.choose(PRODUCTS, cache=cache).path == other
    wanted = "medium" if other == "onednn" else "highest"
    assert torch.get_float32_matmul_precision() == wanted


def test_only_float32_is_chosen():
    choice = matmul.choose(PRODUCTS, seconds=0.02)
    assert not set(choice.microseconds) & set(matmul.ROUNDING)
    assert choice.path in choice.microseconds
    assert all(choice.errors[name] <= matmul.ERROR_LIMIT for name in choice.microseconds)
    assert choice.path in str(choice)


def test_measuring_draws_nothing():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    matmul.choose(PRODUCTS, seconds=0.01)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_broken_cache_is_measured_anew(tmp_path):
    cache = tmp_path / "matmul.json"
    matmul.choose(PRODUCTS, cache=cache, seconds=0.01)
    (key, content) = json.loads(cache.read_text()).popitem()
    others = ({"path": "default"}, {**content, "path": "mkl"}, {**content, "rounds": 3}, None)
    for text in ("{", "[]", "null", *(json.dumps({key: other}) for other in others)):
        cache.write_text(text)
        assert matmul.choose(PRODUCTS, cache=cache, seconds=0.01).path
        assert json.loads(cache.read_text())[key].keys() == content.keys()


def test_a_cache_that_cannot_be_written_loses_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    cache = tmp_path / "file" / "matmul.json"
    assert matmul.choose(PRODUCTS, cache=cache, seconds=0.01).path
    monkeypatch.setattr(Path, "home", Mock(side_effect=RuntimeError))
    assert matmul.cache_file() is None


def test_by_hand():
    matmul.apply_("onednn")
    assert torch.get_float32_matmul_precision() == "medium"
    matmul.apply_("bf16")  # Rounds in the compiled update alone.
    assert torch.get_float32_matmul_precision() == "highest"
    with pytest.raises(ValueError, match="matmul must be auto or one of default, onednn, bf16"):
        matmul.apply_("mkl")


def test_products_of_a_network():
    network = torch.nn.Sequential(torch.nn.Linear(11, 256), torch.nn.Linear(256, 3))
    assert matmul.products_of(network, 32) == [(32, 11, 256), (32, 256, 3)]
