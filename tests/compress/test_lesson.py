import numpy as np
import pytest
import torch

from rlcompress.compress.course import Course
from rlcompress.compress.gather import Gatherer
from rlcompress.compress.lesson import Lesson, Manner
from rlcompress.compress.recorded import Recorded
from rlcompress.compress.source import read_model
from rlcompress.compress.teacher import Teacher
from rlcompress.sb3.environments import make_training_env
from rlcompress.spec import QuantSpec
from tests.sb3.models import CASES, make_model

MANNER = Manner("action", "global", QuantSpec(), batch_size=32, per_step=4.0, seed=0)


@pytest.fixture
def teacher(tmp_path, request):
    name = getattr(request, "param", "SAC")
    path = tmp_path / "teacher.zip"
    make_model(name).save(path)
    return Teacher.of(path, read_model(path, "cpu"), None)


def lesson_of(teacher, course, manner=MANNER, base=None):
    outputs = teacher.values(np.zeros((1, *teacher.shape), np.float32)).shape[1]
    recorded = Recorded(teacher.shape, np.float32, outputs, limit=10_000)
    env_id = CASES[teacher.actor.algorithm][0]
    gatherer = Gatherer(teacher, make_training_env(env_id, 4, seed=0), noise=0.1, seed=0)
    return Lesson(teacher, course, manner, recorded=recorded, gatherer=gatherer, base=base)


def weights_of(lesson):
    layers = lesson.student.actor.layers
    return {name: layer.weight.detach().clone() for name, layer in layers.items()}


@pytest.mark.parametrize("teacher", ["SAC", "DQN"], indirect=True)
def test_the_sparsity_is_exact_and_zeros_stay(teacher):
    lesson = lesson_of(teacher, Course(60, 0.8, learning_rate=1e-3))
    while not lesson.done:
        lesson.advance()
    found = weights_of(lesson)
    total = sum(weight.numel() for weight in found.values())
    kept = sum(int(torch.count_nonzero(weight)) for weight in found.values())
    assert kept == round(0.2 * total)
    assert lesson.student.quantised
    assert lesson.float_state["quantisation"] is None


def test_it_learns(teacher):
    lesson = lesson_of(teacher, Course(300, 0.8, learning_rate=5e-3))
    while not lesson.done:
        lesson.advance()
        if lesson.step == 190:
            after_pruning = lesson.compare(512).error
    assert lesson.compare(512).error < after_pruning
    assert lesson.compare(512).error < 0.1


def test_the_teacher_is_left_alone(teacher):
    before = {name: value.clone() for name, value in teacher.model.policy.state_dict().items()}
    lesson = lesson_of(teacher, Course(20, 0.9))
    while not lesson.done:
        lesson.advance()
    for name, value in teacher.model.policy.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize("teacher", ["SAC", "DQN"], indirect=True)
@pytest.mark.parametrize("at", [7, 33, 55])
def test_stopped_and_continued_is_as_if_it_had_not_stopped(teacher, at):
    course = Course(60, 0.8)
    whole = lesson_of(teacher, course)
    while not whole.done:
        whole.advance()

    first = lesson_of(teacher, course)
    while first.step < at:
        first.advance()
    state = first.state_dict()
    second = lesson_of(teacher, course)
    second.recorded.put(0, first.recorded.take(0, first.recorded.written))
    # As in a new process: the environments have not been played in.
    assert second.load_state_dict(state) is None
    while not second.done:
        second.advance()
    for name, weight in weights_of(whole).items():
        assert torch.equal(weights_of(second)[name], weight), name
    assert second.error == whole.error
    assert second.loss == whole.loss


def test_a_sparser_student_goes_on_from_another(teacher):
    first = lesson_of(teacher, Course(40, 0.5))
    while not first.done:
        first.advance()
    second = lesson_of(teacher, Course(40, 0.8, initial=0.5), base=first.float_state)
    before = weights_of(second)
    while not second.done:
        second.advance()
    for name, weight in weights_of(second).items():
        assert not (weight[before[name] == 0] != 0).any(), name
    kept = sum(int(torch.count_nonzero(w)) for w in weights_of(second).values())
    assert kept == round(0.2 * sum(w.numel() for w in before.values()))


def test_magnitude_is_a_criterion_as_well(teacher):
    manner = Manner("magnitude", "erdos_renyi", QuantSpec(), 32, 4.0, 0)
    lesson = lesson_of(teacher, Course(30, 0.9, quantise=False), manner)
    while not lesson.done:
        lesson.advance()
    assert not lesson.student.quantised
    assert lesson.student.masks.sparsity == pytest.approx(0.9, abs=0.01)


def test_no_layer_loses_all_its_weights(teacher):
    lesson = lesson_of(teacher, Course(30, 0.99))
    while not lesson.done:
        lesson.advance()
    assert min(lesson.student.masks.kept.values()) >= 1
