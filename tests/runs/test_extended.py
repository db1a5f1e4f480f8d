"""More methods and seeds in a folder that holds a run: only those are trained, and the bytes are those of one run."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from overproof.api import run
from overproof.commands.main import main
from overproof.errors import InputError
from overproof.progress import Silent
from overproof.runs.experiment import experiment_from
from overproof.runs.pipeline import Run
from overproof.synthetic import blobs

SEARCH = {"search.budget": 2, "search.rounds": 0, "search.methods": ["hard", "labelled_only"]}


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    folder = tmp_path_factory.mktemp("extended")
    world = blobs(num_examples=500, num_classes=3, seed=0)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    pq.write_table(pa.table({**columns, "y": world.label.numpy()}), folder / "blobs.parquet")
    return {
        "data": {
            "files": {"all": {"path": str(folder / "blobs.parquet"), "label": "y"}},
            "rows": {"labelled": 60, "pool": 200, "test": 100},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
        "student": {"name": "linear"},
        "train": {"epochs": 1},
        "methods": ["slam"],
        "seeds": [0],
    }


@pytest.fixture(scope="module")
def finished(content, tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished") / "run"
    run(experiment_from(content), folder, report=True)
    return folder


def files_of(folder):
    ignored = ("log.txt", "costs.jsonl", "inputs.json")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ignored and "encoded" not in path.parts
    }


def test_assess_needs_neither_the_methods_nor_the_training_of_a_finished_run(content, finished, tmp_path, capsys):
    folder, file = tmp_path / "run", tmp_path / "other.yaml"
    shutil.copytree(finished, folder)
    before = files_of(folder)
    file.write_text(yaml.safe_dump({**content, "methods": ["wd"], "train": {"epochs": 9}}))
    main(["assess", str(file), "--out", str(folder), "--json"])
    found = json.loads(capsys.readouterr().out)
    main(["assess", str(folder), "--json"])
    assert found == json.loads(capsys.readouterr().out)
    assert files_of(folder) == before
    # Another file of the same options is other data.
    table = pq.read_table(content["data"]["files"]["all"]["path"])
    pq.write_table(table.slice(0, 499), tmp_path / "less.parquet")
    less = {**content["data"], "files": {"all": {"path": str(tmp_path / "less.parquet"), "label": "y"}}}
    file.write_text(yaml.safe_dump({**content, "data": less, "methods": ["wd"]}))
    with pytest.raises(SystemExit):
        main(["assess", str(file), "--out", str(folder)])
    assert "less.parquet" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [
        {"methods": ["slam", "wd"]},
        {"seeds": [0, 1]},
        {"methods": [{"method": "auto", "options": SEARCH}, "slam"], "name": "larger"},
        {"methods": ["slam", {"method": "hard", "name": "rounds", "rounds": {"most": 1, "folds": 2}}]},
    ],
)
def test_more_rows_and_seeds_give_the_bytes_of_one_run(content, finished, tmp_path, more):
    larger = experiment_from({**content, **more})
    shutil.copytree(finished, tmp_path / "grown")
    kept = (tmp_path / "grown/students/seed-0/slam/student.safetensors").stat().st_mtime_ns
    run(larger, tmp_path / "grown")
    run(larger, tmp_path / "whole")
    grown, whole = files_of(tmp_path / "grown"), files_of(tmp_path / "whole")
    assert grown.keys() - whole.keys() <= {name for name in grown if name.startswith("labels/")}
    assert {name: grown[name] for name in whole} == whole
    assert (tmp_path / "grown/students/seed-0/slam/student.safetensors").stat().st_mtime_ns == kept


def without_times(folder):
    """The files of a run but the report, which shows seconds."""
    return {name: content for name, content in files_of(folder).items() if name != "report.html"}


def test_the_first_command_goes_on_with_what_was_added(content, finished, tmp_path, capsys):
    larger = experiment_from({**content, "methods": ["slam", "wd"], "seeds": [0, 1]})
    shutil.copytree(finished, tmp_path / "run")
    run(larger, tmp_path / "run", report=True)
    before = without_times(tmp_path / "run")
    shutil.rmtree(tmp_path / "run/students/seed-1/wd")
    (tmp_path / "first.yaml").write_text(yaml.safe_dump(content))
    main(["run", str(tmp_path / "first.yaml"), "--out", str(tmp_path / "run")])
    said = capsys.readouterr()
    assert "holds this experiment with more (methods wd and seeds 1), and goes on with them." in said.err
    assert "1 is left to train." in said.err
    assert without_times(tmp_path / "run") == before
    main(["run", str(tmp_path / "first.yaml"), "--out", str(tmp_path / "run")])
    assert "All students are trained already; nothing is left to train." in capsys.readouterr().err
    assert without_times(tmp_path / "run") == before
    # A plan is refused where the run would be, and writes nothing.
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign/notes.txt").write_text("mine")
    for folder in ("foreign", "foreign/notes.txt"):
        with pytest.raises(SystemExit) as stopped:
            main(["run", str(tmp_path / "first.yaml"), "--out", str(tmp_path / folder), "--dry-run"])
        assert stopped.value.code == 2
    assert [each.name for each in (tmp_path / "foreign").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            {"methods": ["wd"]},
            r'methods is \["slam"\] there and \["wd"\] here; .* \(only methods and seeds may be added',
        ),
        ({"methods": [{"method": "slam", "options": {"noise.prior": 2.0}}]}, r"methods.slam is \{\} there"),
        ({"seeds": [1, 0]}, "seeds is"),
        ({"methods": ["slam", "wd"], "train": {"epochs": 2}}, "train.epochs is 1 there and 2 here"),
    ],
)
def test_what_is_not_only_more_is_refused_and_changes_nothing(content, finished, tmp_path, other, words):
    shutil.copytree(finished, tmp_path / "run")
    before = files_of(tmp_path / "run")
    with pytest.raises(InputError, match=words):
        run(experiment_from({**content, **other}), tmp_path / "run")
    assert files_of(tmp_path / "run") == before


def test_a_run_that_stopped_while_it_grew_goes_on(content, finished, tmp_path):
    larger = experiment_from({**content, "methods": ["slam", "wd"]})
    shutil.copytree(finished, tmp_path / "run")
    growing = Run(experiment=larger, folder=tmp_path / "run", progress=Silent())
    growing.label()
    assert not (tmp_path / "run/result.json").exists()
    assert not (tmp_path / "run/report.html").exists()
    run(larger, tmp_path / "run")
    run(larger, tmp_path / "whole")
    assert (tmp_path / "run/result.json").read_bytes() == (tmp_path / "whole/result.json").read_bytes()


def test_the_students_that_are_trained_already_are_told_apart(content, finished, tmp_path):
    """The run has hard, labelled_only, slam and soft; one row more leaves one student to train."""
    noted = []

    class Noting(Silent):
        def note(self, words):
            noted.append(words())

    shutil.copytree(finished, tmp_path / "grown")
    larger = experiment_from({**content, "methods": ["slam", "wd"]})
    Run(experiment=larger, folder=tmp_path / "grown", progress=Noting()).distill()
    trained = len(list((finished / "students/seed-0").iterdir()))
    assert noted[-1] == f"Of these students {trained} are trained already; 1 is left to train."
