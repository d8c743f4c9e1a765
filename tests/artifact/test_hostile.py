"""Forged files with a right checksum: a one-line ValueError or a valid policy, nothing else."""

import copy
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rlcompress.artifact import CompressedPolicy
from rlcompress.artifact.streams import MEMORY_FLOOR
from tests.artifact.forge import forge, take_apart
from tests.policies import KINDS, assert_same, policies, random_policy

load = CompressedPolicy.from_bytes


def load_or_refuse(data):
    """The policy in ``data``, which then must survive its own file; None where it is refused."""
    try:
        policy = load(data)
    except ValueError as error:
        assert "\n" not in str(error) and len(str(error)) < 500
        return None
    assert_same(load(policy.to_bytes()), policy)
    return policy


def example(kind="conv", seed=0):
    return replace(random_policy(np.random.default_rng(seed), kind), meta={})


def places(tree, path=()):
    """Every path into a JSON value."""
    yield path
    if isinstance(tree, dict | list):
        for key in tree if isinstance(tree, dict) else range(len(tree)):
            yield from places(tree[key], (*path, key))


NUMBERS = [0, 1, -1, 2, 3, 255, 2**24, 2**27, 2**31, 2**53, 2**63, 10**30, -(2**31)]
NUMBERS += [0.0, 0.5, 1e300, -1.0, 1e-45, 1e38]
WORDS = "dense conv int8 float32 huffman gaps rows bitmap pack rice raw relu signed unsigned float"
OTHERS = [None, True, "", [], {}, [0], [1, 1], [2**24, 2**24], [["raw"]], ["pack", 0, 0]]
OTHERS += [["pack", 1, 0], "\ud800", "a\nb", "x" * 300]
JUNK = st.sampled_from([*NUMBERS, *WORDS.split(), *OTHERS])


def mutate(draw, program):
    """One thing replaced, removed, doubled, renamed or swapped."""
    paths = list(places(program))[1:]
    if not paths:
        return
    *path, last = draw(st.sampled_from(paths))
    parent = program
    for key in path:
        parent = parent[key]
    how = draw(st.sampled_from(["junk", "nudge", "remove", "copy", "rename"]))
    if how == "junk":
        parent[last] = draw(JUNK)
    elif how == "nudge" and type(parent[last]) in (int, float):
        parent[last] += draw(st.sampled_from([-1, 1, 0.5, parent[last]]))
    elif how == "remove":
        del parent[last]
    elif how == "rename" and isinstance(parent, dict):
        parent[draw(st.sampled_from([*parent, "ops"]) | st.text(max_size=5))] = parent.pop(last)
    else:
        *path, key = draw(st.sampled_from(paths))
        source = program
        for step in path:
            source = source[step] if step in places_of(source) else None
        if key in places_of(source):
            parent[last] = copy.deepcopy(source[key])


def places_of(tree):
    if isinstance(tree, dict):
        return tree.keys()
    return range(len(tree)) if isinstance(tree, list) else ()


@settings(max_examples=400)
@given(st.data(), st.sampled_from(list(KINDS)), st.integers(0, 5))
def test_forged_programs(data, kind, seed):
    program, streams = take_apart(example(kind, seed).to_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        mutate(data.draw, program)
    load_or_refuse(forge(program, streams))


@settings(max_examples=200)
@given(st.data(), policies())
def test_forged_streams(data, policy):
    program, streams = take_apart(policy.to_bytes())
    mutable = bytearray(streams)
    for _ in range(data.draw(st.integers(1, 5))):
        if not mutable:
            break
        index = data.draw(st.integers(0, len(mutable) - 1))
        how = data.draw(st.sampled_from(["flip", "cut", "insert", "fill"]))
        if how == "flip":
            mutable[index] ^= 1 << data.draw(st.integers(0, 7))
        elif how == "cut":
            del mutable[index : index + data.draw(st.integers(1, 9))]
        elif how == "insert":
            mutable[index:index] = data.draw(st.binary(max_size=9))
        else:
            mutable[index : index + 16] = b"\xff" * len(mutable[index : index + 16])
    load_or_refuse(forge(program, bytes(mutable)))


@given(st.binary(max_size=400))
def test_any_bytes_as_a_program(text):
    assert load_or_refuse(forge(text, b"")) is None


@given(
    st.recursive(
        JUNK,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["observation", "action", "ops", "shape", "kind"]),
                inner,
                max_size=4,
            )
        ),
    )
)
def test_any_json_as_a_program(program):  # fmt: skip
    assert load_or_refuse(forge(program, b"")) is None


def forged(*path, value, kind="conv"):
    program, streams = take_apart(example(kind).to_bytes())
    target = program
    for key in path[:-1]:
        target = target[key]
    if value is None:
        del target[path[-1]]
    else:
        target[path[-1]] = value
    return forge(program, streams)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("extra",), 1, "the program has an unknown field 'extra'"),
        (("ops",), None, "the program has no 'ops'"),
        (("ops",), {}, "ops must be a list"),
        (("ops",), [], "bytes follow the last stream"),
        (("ops", 0), 3, "op 0 None: it must be a JSON object, got 3"),
        (("ops", 0, "op"), "convolution", r"'convolution' is unknown.*update, or export"),
        (("ops", 0, "op"), "dens", r"is unknown \(did you mean 'dense'\?\)"),
        (("ops", 0, "op"), None, "it has no 'op'"),
        (("ops", 0, "op"), ["conv"], "op must be a string"),
        (("ops", 0, "name"), None, "it has no 'name'"),
        (("ops", 0, "name"), "a\nb", r"op 0 'a\\nb' .Conv.: name must be 1 to 200 printable"),
        (("ops", 0, "dilation"), [2, 2], "it has an unknown field 'dilation'"),
        (("ops", 0, "inputs"), [1], r"inputs must be a list of 1 to 2 integers in 0\.\.0"),
        (("ops", 0, "inputs"), [0, 0, 0], "inputs must be a list of 1 to 2 integers"),
        (("ops", 0, "inputs"), [0, 0], "inputs must be a tuple of 1 integers"),
        (("ops", 0, "inputs"), [-1], "inputs must be a list of 1 to 2 integers"),
        (("ops", 0, "outputs"), 0, r"outputs must be an integer in 1\.\.16777216, got 0"),
        (("ops", 0, "outputs"), 2**40, "outputs must be an integer"),
        (("ops", 0, "outputs"), 2.0, "outputs must be an integer"),
        (("ops", 0, "kernel"), [0, 1], "kernel must be a list of 2 integers"),
        (("ops", 0, "kernel"), [1000, 1], "larger than the input"),
        (("ops", 0, "stride"), [0, 1], "stride must be a list of 2 integers"),
        (("ops", 0, "padding"), [2**24, 2**24], "padded input must have at most 16777216"),
        (("ops", 0, "type"), ["unsigned", 9, 0.5], "output bits must be in 2..8, got 9"),
        (("ops", 0, "type"), ["unsigned", 8, 0], "type must be .kind, bits, scale."),
        (("ops", 0, "type"), ["int8", 8, 0.5], "type must be .kind, bits, scale."),
        (("ops", 0, "type"), ["unsigned", 8, 0.0], "scale must be a number in"),
        (("ops", 0, "function"), "swish", "function must be one of none, relu"),
        (("ops", 0, "bound"), 1, "bound must be a finite number"),
        (("ops", 0, "weight"), ["int4", "gaps", 0, []], "int8 or float32, got 'int4'"),
        (("ops", 0, "weight"), [], "int8 or float32, got None"),
        (("ops", 0, "weight"), ["int8", "zip", 0, []], "one of dense, bitmap, gaps, rows"),
        (("ops", 0, "multiplier"), [7, ["raw"]], "must have 1 or .* multipliers, got 7"),
        (("ops", 0, "multiplier"), 1.0, "multiplier must be a list of two"),
        (("ops", 0, "bias"), ["int16", ["pack", 0, 0]], "bias must be int32 or float32"),
        (("observation",), None, "has no 'observation'"),
        (("observation",), 1, "the observation must be a JSON object"),
        (("observation", "shape"), [2**24, 2], "the observation must have at most 16777216"),
        (("observation", "shape"), [0], "lengths of at least 1"),
        (("observation", "shape"), [], "a list of 1 to 8 integers"),
        (("observation", "shape"), [1.5], "a list of 1 to 8 integers"),
        (("observation", "image"), 1, "image must be true or false"),
        (("observation", "clip"), "10", "clip must be a finite number"),
        (("action", "kind"), "softmax", "kind must be one of squash, clip, argmax"),
        (("action", "quantiles"), 0, "quantiles must be an integer"),
        (("action", "start"), 0.5, "start must be an integer"),
        (("action", "shape"), [2] * 9, "a list of 0 to 8 integers"),
    ],
)  # fmt: skip
def test_each_field_is_checked(path, value, message):
    with pytest.raises(ValueError, match=message) as caught:
        load(forged(*path, value=value))
    assert "\n" not in str(caught.value)


def dense_op(outputs, weight, **fields):
    return {
        "op": "dense",
        "name": "mu",
        "outputs": outputs,
        "weight": weight,
        "multiplier": [1, ["planes", ["pack", 0, 0], ["pack", 0, 0], ["pack", 128, 0],
                           ["pack", 63, 0]]],
        "bias": ["float32", ["planes", *[["pack", 0, 0]] * 4]],
        **fields,
    }  # fmt: skip


EMPTY = ["int8", "gaps", 0, [["pack", 0, 0], ["pack", 0, 0]]]
ZEROS = ["int8", "dense", 0, [["pack", 0, 0]]]
FULL = ["int8", "gaps", 2**27, [["pack", 0, 0], ["pack", 1, 0]]]
BITMAP = ["int8", "bitmap", 2**27, [["pack", 255, 0], ["pack", 1, 0]]]
ROWS = ["int8", "rows", 2**27, [["pack", 2**13, 0], ["pack", 0, 0], ["pack", 1, 0]]]
FLOATS = ["float32", "dense", 0, [["planes", *[["pack", 0, 0]] * 4]]]


def claim(inputs, *ops):
    shape = [inputs] if isinstance(inputs, int) else inputs
    return forge(
        {"observation": {"shape": shape}, "action": {"kind": "argmax", "shape": []}, "ops": ops},
        b"",
    )


CLAIMS = {
    "an all-zero matrix": claim(2**13, dense_op(2**14, EMPTY)),
    "a dense matrix": claim(2**13, dense_op(2**14, ZEROS)),
    "a full matrix of gaps": claim(2**13, dense_op(2**14, FULL)),
    "a full bitmap": claim(2**13, dense_op(2**14, BITMAP)),
    "full rows": claim(2**13, dense_op(2**14, ROWS)),
    "floats": claim(2**12, dense_op(2**13, FLOATS)),
    "many layers": claim(
        2**12, *[dense_op(2**12, EMPTY, name=f"layer.{index}") for index in range(100)]
    ),
    "wide layers": claim(
        1, *[dense_op(2**12 if index % 2 else 1, FULL) for index in range(2000)]
    ),
    "many biases": claim(1, dense_op(2**24, EMPTY)),
    "more weights than a layer may have": claim(2**14, dense_op(2**14, EMPTY)),
    "a huge image": claim([2**8, 2**8, 2**8], {
        "op": "max_pool", "name": "p", "kernel": [2**7, 2**7], "stride": [1, 1]}),
    "a normalised observation": forge(
        {"observation": {"shape": [2**24], "mean": ["raw"], "inv_std": ["raw"]}}, b""),
    "an action": forge(
        {"observation": {"shape": [2]}, "action": {
            "kind": "clip", "shape": [2**24], "low": ["planes", *[["pack", 0, 0]] * 4],
            "high": ["planes", *[["pack", 0, 0]] * 4]}, "ops": []}, b""),
}  # fmt: skip


@pytest.mark.parametrize("name", CLAIMS)
def test_tiny_files_that_claim_much_get_little_memory(name):
    data = CLAIMS[name]
    assert len(data) < 10000
    tracemalloc.start()
    with pytest.raises(ValueError) as caught:
        load(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert peak < 2.5 * MEMORY_FLOOR


def test_a_sparse_layer_of_honest_size_is_no_claim():
    policy = load(claim(2**11, dense_op(2**11, EMPTY)))
    assert policy.ops[0].weight.shape == (2**11, 2**11)
