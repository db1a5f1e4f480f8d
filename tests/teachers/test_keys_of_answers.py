"""Stored answers belong to the labels and to the teacher that they follow from: with others they are refused."""

import json
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from torch.nn.functional import one_hot

from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.models import build
from overproof.storage.shard import StoreKey
from overproof.synthetic import blobs
from overproof.teachers import ask_once, cross_fitted
from overproof.teachers.brought.saved_student import open_teacher
from overproof.teachers.keys import same

NAMES = ("a", "b", "c")


def some_examples(num=60, seed=0):
    world = blobs(num_examples=num, num_classes=3, seed=seed)
    return from_arrays(world.inputs, world.label, class_names=NAMES)


@dataclass(frozen=True)
class Commonest:
    """A trained teacher that predicts the commonest class of the labels that it was fitted on."""

    fingerprint: str = "commonest"

    def fit(self, labelled, *, num_classes, seed, folder):
        commonest = labelled.label.bincount(minlength=num_classes).argmax()
        return lambda examples: one_hot(commonest.expand(len(examples)), num_classes).float()


@dataclass(frozen=True)
class Always:
    """A pretrained teacher that predicts one class."""

    number: int
    fingerprint: str
    kind: str = "table"
    former: str = ""

    def probs(self, examples):
        return one_hot(torch.full((len(examples),), self.number), len(NAMES)).float()


def fitted(teacher, labelled, folder, *, seed=0, num_folds=3):
    pool = some_examples(20, seed=1)
    return cross_fitted(teacher, labelled, {"pool": pool}, num_folds=num_folds, seed=seed, folder=folder)


def test_answers_of_a_trained_teacher_are_not_those_to_other_labels(tmp_path):
    labelled = some_examples()
    fitted(Commonest(), labelled, tmp_path)
    assert (tmp_path / "pool/manifest.json").exists()
    for row in (0, 31, 59):
        label = labelled.label.clone()
        label[row] = (label[row] + 1) % 3
        with pytest.raises(InputError, match="is needed: give another folder"):
            fitted(Commonest(), replace(labelled, label=label), tmp_path)
    # The refusal changed nothing: with the old labels they are read.
    assert len(fitted(Commonest(), labelled, tmp_path)["pool"]) == 20


def test_labels_are_a_part_of_the_key_of_every_role(tmp_path):
    """The labelled examples' store might be refused for a reason of its own, so each role is tried alone."""
    labelled = some_examples()
    fitted(Commonest(), labelled, tmp_path)
    other = replace(labelled, label=(labelled.label + 1) % 3)
    fitted(Commonest(), other, tmp_path / "other")
    for role in ("labelled", "pool"):
        first, second = (
            json.loads((tmp_path / at / role / "manifest.json").read_text())["key"] for at in ("", "other")
        )
        assert first["teacher"] != second["teacher"]
        assert {**first, "teacher": ""} == {**second, "teacher": ""}


@pytest.mark.parametrize(
    "changed",
    [{"teacher": Commonest(fingerprint="another")}, {"seed": 1}, {"num_folds": 4}],
    ids=["fingerprint", "seed", "folds"],
)
def test_answers_of_a_trained_teacher_are_not_those_of_another_training(tmp_path, changed):
    labelled = some_examples()
    fitted(Commonest(), labelled, tmp_path)
    with pytest.raises(InputError, match="is needed: give another folder"):
        fitted(**{"teacher": Commonest(), "labelled": labelled, "folder": tmp_path, **changed})


def test_answers_of_a_pretrained_teacher_are_not_those_of_another(tmp_path):
    """A file that was replaced in place: the same folder, another fingerprint."""
    by_role = {"pool": some_examples(20)}
    first = ask_once(Always(0, "first"), by_role, NAMES, folder=tmp_path / "a")
    with pytest.raises(InputError, match="has teacher 'first', but 'second' is needed"):
        ask_once(Always(1, "second"), by_role, NAMES, folder=tmp_path / "a")
    assert (first["pool"].pseudo_label == 0).all()


def test_answers_are_copied_from_other_folders_of_the_same_teacher_only(tmp_path):
    by_role = {"pool": some_examples(20)}
    ask_once(Always(0, "first"), by_role, NAMES, folder=tmp_path / "a")
    other = ask_once(Always(1, "second"), by_role, NAMES, folder=tmp_path / "b", other_stores=[tmp_path / "a"])
    assert (other["pool"].pseudo_label == 1).all()
    # What is copied is not asked for: this teacher would give another class.
    same = ask_once(Always(2, "first"), by_role, NAMES, folder=tmp_path / "c", other_stores=[tmp_path / "a"])
    assert (same["pool"].pseudo_label == 0).all()


def test_answers_under_the_former_fingerprint_of_the_same_file_are_read(tmp_path):
    by_role = {"pool": some_examples(20)}
    ask_once(Always(0, "a.onnx"), by_role, NAMES, folder=tmp_path / "a")
    kept = ask_once(Always(1, "any", former="a.onnx"), by_role, NAMES, folder=tmp_path / "a")
    copied = ask_once(
        Always(1, "any", former="a.onnx"), by_role, NAMES, folder=tmp_path / "b", other_stores=[tmp_path / "a"]
    )
    assert (kept["pool"].pseudo_label == 0).all()
    assert (copied["pool"].pseudo_label == 0).all()
    with pytest.raises(InputError, match=r"has teacher 'a\.onnx', but 'any' is needed"):
        ask_once(Always(1, "any", former="b.onnx"), by_role, NAMES, folder=tmp_path / "a")


def test_answers_to_other_examples_are_not_copied(tmp_path):
    ask_once(Always(0, "first"), {"pool": some_examples(20)}, NAMES, folder=tmp_path / "a")
    others = {"pool": some_examples(20, seed=5)}
    found = ask_once(Always(1, "first"), others, NAMES, folder=tmp_path / "b", other_stores=[tmp_path / "a"])
    assert (found["pool"].pseudo_label == 1).all()


def test_a_saved_student_with_another_encoder_is_another_teacher(tmp_path):
    """The same weights read other numbers: answers of the one are not those of the other."""
    draw = np.random.default_rng(0)
    table = pa.table({"a": draw.normal(size=40), "b": draw.normal(size=40)})
    build("linear", [from_arrays(table)], class_names=["no", "yes"], seed=0).save(tmp_path / "first")
    shutil.copytree(tmp_path / "first", tmp_path / "moved")
    (tmp_path / "moved" / "manifest.json").unlink()
    about = json.loads((tmp_path / "moved" / "student.json").read_text())
    about.pop("manifest")
    fingerprints = []
    for mean in (about["encoder"]["columns"][0]["mean"], 5.0):
        about["encoder"]["columns"][0]["mean"] = mean
        (tmp_path / "moved" / "student.json").write_text(json.dumps(about))
        fingerprints.append(open_teacher(tmp_path / "moved", ["no", "yes"]).fingerprint)
    assert open_teacher(tmp_path / "first", ["no", "yes"]).fingerprint == fingerprints[0] != fingerprints[1]
    keys = [StoreKey(teacher=each, data="d", transform="pool", code="answers 1") for each in fingerprints]
    assert not same(keys[0], keys[1])
    # Stores of before name no encoder, and are used again.
    before = json.loads(fingerprints[0])
    del before["encoder"]
    kept = StoreKey(teacher=json.dumps(before, sort_keys=True), data="d", transform="pool", code="answers 1")
    assert same(keys[0], kept)
    assert not same(StoreKey(teacher=kept.teacher + " ", data="d", transform="pool", code="answers 2"), kept)
