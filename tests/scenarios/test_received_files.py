"""Nothing that a file names is run: an import path in an experiment or a student counts only if the user types it."""

import json
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import safetensors.torch
import yaml

import overproof
from overproof.commands.main import main
from overproof.deployment import export
from overproof.errors import InputError
from overproof.models import ModelSpec, build, load_student
from overproof.runs.experiment import experiment_from, load
from overproof.runs.pipeline import Run, open_run
from overproof.runs.plan import dry_run
from overproof.storage.manifest import write_folder
from overproof.synthetic import blobs

CODE = """
import torch

def net(input_shape, num_classes, **options):
    return torch.nn.Linear(input_shape[0], num_classes)

class Embedder:
    fingerprint = "letters"
    def embed(self, texts):
        return torch.tensor([[text.count(letter) for letter in "abc"] for text in texts]).float().view(-1, 3)
"""
MODULE = "code_of_a_stranger"


@pytest.fixture
def imports(tmp_path, monkeypatch):
    """Whether the module was imported. It is on the import path, as a package that is installed."""
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / f"{MODULE}.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path / "installed")
    yield lambda: MODULE in sys.modules
    sys.modules.pop(MODULE, None)


def table(path: Path) -> Path:
    world = blobs(num_examples=300, num_classes=3, seed=0)
    columns = {f"x{index}": column for index, column in enumerate(world.inputs.T.numpy())}
    columns["colour"] = np.array(["red", "green", "blue"])[world.label.numpy()]
    pa.csv.write_csv(pa.table(columns), path)
    return path


@pytest.fixture
def content(tmp_path):
    return {
        "data": {
            "files": {"all": {"path": str(table(tmp_path / "blobs.csv")), "label": "colour"}},
            "rows": {"labelled": 60, "pool": 120, "test": 60},
        },
        "teacher": {"model": "sklearn.naive_bayes:GaussianNB", "folds": 2},
        "student": {"name": "linear"},
        "train": {"epochs": 1},
        "methods": ["hard"],
        "seeds": [0],
    }


def refusal(capsys, *command: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main([str(each) for each in command])
    assert stop.value.code == 2
    printed = capsys.readouterr().err.strip()
    assert "\n" not in printed
    return printed


def check_refused(sentence: str, path: str, found: str) -> None:
    assert f"--allow-import {path}" in sentence
    assert f"{path!r}" in sentence
    assert found in sentence


EXPERIMENTS = {
    "student": ({"student": {"name": f"{MODULE}:net"}}, f"{MODULE}:net", "student.name"),
    "teacher": ({"teacher": {"model": f"{MODULE}:net"}}, f"{MODULE}:net", "teacher.model"),
    "pretrained teacher": (
        {"teacher": {"model": f"{MODULE}:net", "weights": "w.safetensors", "classes": ["red", "green", "blue"]}},
        f"{MODULE}:net",
        "teacher.model",
    ),
    "second teacher": (
        {"teacher": [{"model": "sklearn.naive_bayes:GaussianNB"}, {"model": f"{MODULE}:net"}]},
        f"{MODULE}:net",
        "teacher.others.0.model",
    ),
    "encoder of a teacher": (
        {"teacher": {"model": "frozen_encoder", "options": {"encoder": f"{MODULE}:Embedder"}}},
        f"{MODULE}:Embedder",
        "teacher.options.encoder",
    ),
    "embedder of a student": (
        {"student": {"name": "embedding", "options": {"embedder": f"{MODULE}:Embedder"}}},
        f"{MODULE}:Embedder",
        "student.options.embedder",
    ),
    "a function of the standard library": ({"student": {"name": "os.path:join"}}, "os.path:join", "student.name"),
    "a function of the package itself": (
        {"student": {"name": "overproof.models.layers:linear"}},
        "overproof.models.layers:linear",
        "student.name",
    ),
}


@pytest.mark.parametrize("case", EXPERIMENTS)
def test_an_import_path_in_an_experiment_is_refused_by_every_command(case, content, tmp_path, capsys, imports):
    changes, path, option = EXPERIMENTS[case]
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content | changes))
    for command in (["run"], ["run", "--dry-run"], ["label"], ["label", "--dry-run"], ["assess"], ["compare"]):
        sentence = refusal(capsys, *command, tmp_path / "e.yaml", "--out", tmp_path / "out")
        check_refused(sentence, path, option)
        assert not (tmp_path / "out" / "experiment.yaml").exists()
    for call in (overproof.run, lambda experiment, folder: dry_run(experiment)):
        with pytest.raises(InputError, match="--allow-import"):
            call(load(tmp_path / "e.yaml"), tmp_path / "out")
    # Not even where it is allowed for another path.
    sentence = refusal(
        capsys, "run", tmp_path / "e.yaml", "--out", tmp_path / "out", "--allow-import", f"{MODULE}:other"
    )
    check_refused(sentence, path, option)
    assert not imports()


def test_the_students_of_a_comparison_are_refused_unless_they_are_typed(content, tmp_path, capsys, imports):
    content["compare"] = {"students": ["linear", f"{MODULE}:net"]}
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    sentence = refusal(capsys, "compare", tmp_path / "e.yaml", "--out", tmp_path / "out")
    check_refused(sentence, f"{MODULE}:net", "student.name")
    assert not imports()
    main(["compare", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "out"), "--students", f"{MODULE}:net"])
    assert (tmp_path / "out/compare.json").exists()


def test_a_path_that_the_user_types_runs(content, tmp_path, capsys, imports):
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content | {"student": {"name": f"{MODULE}:net"}}))
    allow = ["--allow-import", f"{MODULE}:net"]
    main(["run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / "run"), *allow])
    student = tmp_path / "run/students/seed-0/hard"
    table(tmp_path / "new.csv")
    for command in (
        ["evaluate", tmp_path / "run"],
        ["distill", tmp_path / "run"],
        ["assess", tmp_path / "run"],
        ["predict", student, tmp_path / "new.csv", "--out", tmp_path / "p.csv"],
        ["export", student, "--out", tmp_path / "export"],
    ):
        main([str(each) for each in command] + allow)
    assert (tmp_path / "p.csv").exists()
    # One whose value is typed in a change is named by that.
    (tmp_path / "linear.yaml").write_text(yaml.safe_dump(content))
    change = ["--set", f"student={{name: '{MODULE}:net'}}"]
    main(["run", str(tmp_path / "linear.yaml"), "--out", str(tmp_path / "typed"), *change])
    result = (tmp_path / "typed/result.json").read_bytes()
    assert result == (tmp_path / "run/result.json").read_bytes()


def test_a_run_that_somebody_made_is_opened_without_its_code(content, tmp_path, capsys, imports):
    experiment = experiment_from(content | {"student": {"name": f"{MODULE}:net"}})
    overproof.run(experiment, tmp_path / "run", allow_import=f"{MODULE}:net")
    student = tmp_path / "run/students/seed-0/hard"
    table(tmp_path / "new.csv")
    sys.modules.pop(MODULE)
    # A report is drawn from what is measured.
    main(["report", str(tmp_path / "run")])
    assert not imports()
    capsys.readouterr()
    (tmp_path / "run/result.json").unlink()
    for command in (
        ["evaluate", tmp_path / "run"],
        ["predict", student, tmp_path / "new.csv", "--out", tmp_path / "p.csv"],
        ["export", student, "--out", tmp_path / "export"],
        ["export", tmp_path / "run", "--method", "hard", "--out", tmp_path / "export"],
    ):
        check_refused(refusal(capsys, *command), f"{MODULE}:net", "student.json")
    for call in (
        lambda: load_student(student),
        lambda: export(student, tmp_path / "export"),
        lambda: open_run(tmp_path / "run").evaluate(),
        lambda: Run(experiment=experiment, folder=tmp_path / "run", progress=overproof.progress.Silent()).evaluate(),
    ):
        with pytest.raises(InputError, match=f"--allow-import {MODULE}:net"):
            call()
    # As a teacher of somebody else's run.
    content["teacher"] = {"model": str(student)}
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    check_refused(refusal(capsys, "run", tmp_path / "e.yaml", "--out", tmp_path / "x"), f"{MODULE}:net", "student.json")
    assert not imports()


TEXTS = ["aa b", "c c", "b", "abc"]


def described(folder: Path, **changes: object) -> None:
    """Change `student.json`, as a stranger may."""
    files = {name: (folder / name).read_bytes() for name in ("student.safetensors", "student.json")}
    files["student.json"] = json.dumps(json.loads(files["student.json"]) | changes).encode()
    # A stranger can write the manifest too.
    write_folder(folder, files, kind="student")


def test_an_embedder_that_a_student_names_is_refused(tmp_path, capsys, imports):
    spec = ModelSpec(name="embedding", options={"embedder": f"{MODULE}:Embedder"})
    examples = overproof.data.from_arrays(TEXTS)
    student = build(spec, [examples], class_names=["no", "yes"], seed=0, allow_import=f"{MODULE}:Embedder")
    student.save(tmp_path / "student")
    pa.csv.write_csv(pa.table({"text": TEXTS}), tmp_path / "new.csv")
    sys.modules.pop(MODULE)
    command = ["predict", tmp_path / "student", tmp_path / "new.csv", "--input", "text", "--out", tmp_path / "p.csv"]
    check_refused(refusal(capsys, *command), f"{MODULE}:Embedder", "student.json")
    assert not imports()
    allowed = load_student(tmp_path / "student", allow_import=[f"{MODULE}:Embedder"])
    assert allowed.probs(TEXTS).shape == (4, 2)
    assert allowed.fresh(seed=1).probs(TEXTS).shape == (4, 2)
    # What was allowed for one call is not allowed for the next.
    with pytest.raises(InputError, match=r"The embedding model in .*student\.json is the import path"):
        load_student(tmp_path / "student")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"student": {"name": "os.path:join", "options": {}}}, "--allow-import os.path:join"),
        ({"student": {"name": "linear", "options": {"factory": "os.path:join"}}}, "has no option 'factory'"),
        (
            {"encoder": {"type": "embedding", "embedder": "os.path:join", "options": {}, "dimension": 3}},
            "--allow-import os.path:join",
        ),
        ({"encoder": {"type": "os.path:join"}}, "does not describe a student"),
        ({"encoder": [1]}, "does not describe a student"),
        ({"allow_import": ["os.path:join"], "student": {"name": "os.path:join", "options": {}}}, "--allow-import"),
    ],
)
def test_a_changed_description_of_a_student_names_no_code(tmp_path, changes, words):
    examples = overproof.data.from_arrays(np.eye(3, dtype=np.float32))
    build("linear", [examples], class_names=["no", "yes"], seed=0).save(tmp_path)
    described(tmp_path, **changes)
    with pytest.raises(InputError, match=words):
        load_student(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kernel": "os.path:join"}, "'os.path:join'; numbers"),
        ({"kernel": "../secrets"}, "'../secrets'; numbers"),
        ({"class_weight": {"0": ["a/b"]}}, "'a/b'; numbers"),
        ({"callback": 1}, "does not take student.options"),
    ],
)
def test_the_options_of_a_classifier_of_scikit_learn_are_plain_values(options, words):
    examples = overproof.data.from_arrays(np.eye(3, dtype=np.float32))
    with pytest.raises(InputError, match=words):
        build(ModelSpec(name="sklearn.svm:SVC", options=options), [examples], class_names=["no", "yes"], seed=0)


@pytest.mark.parametrize("key", ["allow_import", "allow-import", "imports"])
def test_an_experiment_cannot_allow_its_own_code(content, tmp_path, capsys, key):
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content | {key: [f"{MODULE}:net"]}))
    assert key in refusal(capsys, "run", tmp_path / "e.yaml", "--out", tmp_path / "out")


def test_what_is_typed_must_have_the_form_of_a_path(content, tmp_path, capsys):
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    for typed in (MODULE, "a/b:c", "*", f"{MODULE}:*", ":net", "net:"):
        sentence = refusal(capsys, "run", tmp_path / "e.yaml", "--out", tmp_path / "out", "--allow-import", typed)
        assert "package.module:name" in sentence


def test_a_python_call_that_names_a_path_runs_it(tmp_path, imports):
    world = blobs(num_examples=120, num_classes=3, seed=0)
    few, pool = slice(0, 40), slice(40, 120)
    given = (world.inputs[pool], world.teacher_probs[pool], world.inputs[few], world.label[few])
    options = {"method": "hard", "train": overproof.TrainOptions(epochs=1)}
    with pytest.raises(InputError, match="--allow-import"):
        overproof.distill(ModelSpec(name=f"{MODULE}:net"), *given, world.teacher_probs[few], **options)
    assert not imports()
    named = overproof.distill(f"{MODULE}:net", *given, world.teacher_probs[few], **options)
    allowed = overproof.distill(
        ModelSpec(name=f"{MODULE}:net"), *given, world.teacher_probs[few], **options, allow_import=f"{MODULE}:net"
    )
    both = [safetensors.torch.save(each.student.module.state_dict()) for each in (named, allowed)]
    assert both[0] == both[1]
