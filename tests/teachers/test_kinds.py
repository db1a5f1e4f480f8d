"""Kinds of teacher are entries of one list: what names each, and a new one that is its own file and one line."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import torch
import yaml
from sklearn.datasets import load_breast_cancer

from overproof.commands.main import main
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.runs.caches import Caches
from overproof.synthetic import blobs
from overproof.teachers import kinds
from overproof.teachers.kind import BroughtKind, TeacherName
from overproof.teachers.options import ScorerOptions
from overproof.training.options import TrainOptions


class CentresTeacher:
    """The nearest of some centres, with certainty."""

    kind = "table"

    def __init__(self, path: Path, num_classes: int):
        self.fingerprint = path.read_text()
        self.centres, self.num_classes = torch.tensor(json.loads(self.fingerprint)), num_classes

    def probs(self, examples):
        x = torch.tensor([column.to_pylist() for column in examples.inputs.columns]).T
        nearest = torch.cdist(x, self.centres).argmin(dim=1)
        return torch.nn.functional.one_hot(nearest, self.num_classes).float()


class CentresFile(BroughtKind):
    """A file `….centres`."""

    def matches(self, named):
        return named.model.endswith(".centres")

    def open(self, named, class_names, examples):
        return CentresTeacher(Path(named.model), len(class_names))


@pytest.fixture
def with_centres(monkeypatch):
    monkeypatch.setattr(kinds, "BROUGHT", (CentresFile(), *kinds.BROUGHT))


NAMED = {
    "AnswerFiles": {"model": "answers", "answers": ["a.csv"]},
    "TorchModule": {"model": "package.module:Net", "weights": "a.safetensors"},
    "OnnxFile": {"model": "a.onnx"},
    "SkopsFile": {"model": "folder/a.skops"},
    "ZeroShotByName": {"model": "zero_shot"},
    "EndpointByName": {"model": "endpoint", "options": {"url": "http://a", "model": "m", "prompt": "p.txt"}},
    "SavedStudentFolder": {"model": "runs/a/students/seed-0/slam"},
    "OwnStudent": {"model": "student"},
    "AdapterByName": {"model": "adapter"},
    "FrozenEncoderByName": {"model": "minilm"},
    "EstimatorByPath": {"model": "sklearn.linear_model:LogisticRegression"},
    "NetworkByName": {"model": "mlp"},
}


@pytest.mark.parametrize("kind", NAMED)
def test_every_kind_is_found_by_what_names_it(kind):
    scorer = ScorerOptions(**NAMED[kind])
    assert type(kinds.kind_of(scorer)).__name__ == kind
    assert scorer.brought == (kind in {type(each).__name__ for each in kinds.BROUGHT})
    assert scorer.trained_here == (kind in {type(each).__name__ for each in kinds.TRAINED})
    assert scorer.can_be_online == (kind in ("TorchModule", "SavedStudentFolder"))


def test_a_folder_of_a_hugging_face_model_is_found_by_its_files(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    named = TeacherName(model=str(tmp_path))
    assert type(kinds.kind_of(named)).__name__ == "HuggingFaceFolder"
    (tmp_path / "modules.json").write_text("[]")
    assert type(kinds.kind_of(named)).__name__ == "SentenceFolder"
    assert not kinds.is_brought(named)
    (tmp_path / "config_sentence_transformers.json").write_text('{"model_type": "CrossEncoder"}')
    assert type(kinds.kind_of(named)).__name__ == "HuggingFaceFolder"
    (tmp_path / "MLmodel").write_text("flavors: {}")
    assert type(kinds.kind_of(named)).__name__ == "MlflowFolder"
    (tmp_path / "MLmodel").unlink()
    (tmp_path / "student.json").write_text("{}")
    assert type(kinds.kind_of(named)).__name__ == "SavedStudentFolder"


def test_all_kinds_are_named_here():
    listed = {type(each).__name__ for each in (*kinds.ANSWER_FILES, *kinds.BROUGHT, *kinds.TRAINED)}
    assert listed == {*NAMED, "HuggingFaceFolder", "SentenceFolder", "MlflowFolder"}


@pytest.mark.parametrize("kind", ["AnswerFiles", "TorchModule", "OnnxFile", "SkopsFile", "SavedStudentFolder"])
def test_a_missing_file_is_named_with_its_option(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scorer = ScorerOptions(**NAMED[kind])
    option, path = next(iter(kinds.kind_of(scorer).paths(scorer)))
    with pytest.raises(InputError, match=f"Option 'teacher.{option}' is '{path}', and there is nothing of that name"):
        kinds.kind_of(scorer).check(scorer, "teacher", "table")


def test_a_new_kind_is_opened_anew_when_its_file_changes(with_centres, tmp_path):
    file = tmp_path / "a.centres"
    file.write_text("[[0.0, 0.0], [1.0, 1.0]]")
    examples = from_arrays(torch.zeros(2, 2), class_names=["a", "b"])
    scorer, caches = ScorerOptions(model=str(file)), Caches()
    assert scorer.brought
    first = caches.opened(scorer, ("a", "b"), examples)
    assert caches.opened(scorer, ("a", "b"), examples) is first
    file.write_text("[[0.5, 0.5], [1.0, 1.0], [2.0, 2.0]]")
    assert caches.opened(scorer, ("a", "b"), examples).fingerprint != first.fingerprint


def test_a_run_takes_a_new_kind_of_teacher(with_centres, tmp_path, capsys):
    world = blobs(num_examples=300, num_classes=3, seed=0)
    columns = {f"x{index}": column for index, column in enumerate(world.inputs.numpy().T)}
    pa.csv.write_csv(pa.table({**columns, "label": world.label.numpy()}), tmp_path / "blobs.csv")
    centres = [world.inputs[world.label == each].mean(dim=0).tolist() for each in range(3)]
    (tmp_path / "a.centres").write_text(json.dumps(centres))
    content = {
        "data": {
            "files": {"all": {"path": str(tmp_path / "blobs.csv"), "label": "label"}},
            "rows": {"labelled": 40, "pool": 100, "test": 100},
        },
        "teacher": {"model": str(tmp_path / "a.centres")},
        "student": {"name": "linear"},
        "train": {"epochs": 1},
        "methods": ["hard"],
        "seeds": [0],
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    main(["run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "run")])
    rows = json.loads((tmp_path / "run" / "result.json").read_text())["rows"]
    assert next(row for row in rows if row["method"] == "teacher")["metrics"]["accuracy"] > 0.6
    content["teacher"]["model"] = str(tmp_path / "b.centres")
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit):
        main(["run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "other"), "--dry-run"])
    assert "there is nothing of that name (nearest: 'a.centres')" in capsys.readouterr().err


def test_boosted_trees_split_the_few_rows_that_a_copy_is_trained_on(tmp_path):
    """With leaves of 20 rows they answer the most frequent class on 38 rows."""

    def trained(student, labelled, seed, checkpoint):
        raise AssertionError("trees are no student")

    inputs, label = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(label))
    examples = from_arrays(inputs[order].astype(np.float32), label[order])
    labelled, pool = examples.take(np.arange(60)), examples.take(np.arange(60, 460))
    made = kinds.trainable(
        "auto",
        {},
        everyone=lambda: pool,
        fitting=(labelled, pool),
        folder=tmp_path,
        train=trained,
        recipe=TrainOptions(),
    )
    answers = made.fit(labelled.take(np.arange(38)), num_classes=2, seed=0, folder=tmp_path)(pool)
    assert (answers.argmax(dim=1) == pool.label).float().mean() > 0.85
    assert made.options == {"min_samples_leaf": 12}
    for given, num, wanted in (({"min_samples_leaf": 3}, 60, {"min_samples_leaf": 3}), ({}, 100, {})):
        parts = (examples.take(np.arange(num)), pool)
        assert (
            kinds.trainable(
                "auto",
                given,
                everyone=lambda: pool,
                fitting=parts,
                folder=tmp_path,
                train=trained,
                recipe=TrainOptions(),
            ).options
            == wanted
        )
