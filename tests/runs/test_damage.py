"""One flipped bit in a file that a run has left: the run ends in the same bytes, or refuses and names the file."""

import json
import shutil

import numpy as np
import pytest

from overproof.errors import InputError
from overproof.progress import Silent
from overproof.runs.experiment import experiment_from
from overproof.runs.folder.result_file import read_result
from overproof.runs.pipeline import Run

NOT_READ = {"log.txt", "costs.jsonl", ".lock", "report.html"}
"""What is for people, and differs from run to run."""


def content(home):
    return {
        "data": {
            "files": {"all": {"path": str(home / "all.csv"), "label": "y"}},
            "rows": {"labelled": 40, "pool": 80, "test": 60},
            "on_disk": "always",
        },
        "teacher": {"model": "linear", "folds": 2, "train": {"epochs": 2}},
        "student": {"name": "linear"},
        "train": {"epochs": 2},
        "methods": ["hard", {"method": "slam", "rounds": 1}],
        "seeds": [0],
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    home = tmp_path_factory.mktemp("finished")
    numbers = np.random.default_rng(0).normal(size=(200, 3))
    lines = [f"{a:.5f},{b:.5f},{c:.5f},{'no' if a > 0 else 'yes'}" for a, b, c in numbers]
    (home / "all.csv").write_text("\n".join(["a,b,c,y", *lines]))
    Run(experiment=experiment_from(content(home)), folder=home / "run", progress=Silent()).all_steps()
    return home


def results_of(folder):
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    kept = ("student.safetensors", "row.json", "result.json", "tallies.json")
    return {str(path.relative_to(folder)): data for path, data in files.items() if path.name in kept}


def kinds_of(folder):
    """One file of each kind, of those that are read back and not replaced by the last steps."""
    found = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if (
            path.is_file()
            and path.name not in NOT_READ
            and parts[0] != "students"
            and not parts[-2:][0].startswith("fold")
        ):
            kind = (*(part for part in parts[:-1] if len(part) < 16), path.suffix if len(parts) > 1 else path.name)
            found.setdefault(kind, str(path.relative_to(folder)))
    return found


def test_one_flipped_bit_in_each_kind_of_file_changes_no_student_in_silence(finished, tmp_path):
    expected, kinds = results_of(finished / "run"), kinds_of(finished / "run")
    assert {"inputs.json", "experiment.yaml", ".bin", ".parquet", ".npy"} <= {kind[-1] for kind in kinds}
    rng, refused, same = np.random.default_rng(1), [], []
    for name in kinds.values():
        if name in ("result.json", "tallies.json"):
            continue
        folder = tmp_path / "run"
        shutil.copytree(finished / "run", folder)
        # The last student is trained again, so that all that it is made from is read.
        shutil.rmtree(folder / "students/seed-0/slam")
        (folder / "result.json").unlink()
        data = bytearray((folder / name).read_bytes())
        if data:
            data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        (folder / name).write_bytes(data)
        try:
            Run(experiment=experiment_from(content(finished)), folder=folder, progress=Silent()).all_steps()
        except InputError as error:
            refused.append(name)
            words = str(error)
            assert str(folder) in words, (name, words)
            assert "all.csv" not in words, (name, words)
        else:
            same.append(name)
            found = results_of(folder)
            assert {path: found.get(path) for path in expected} == expected, name
        shutil.rmtree(folder)
    assert any(name.startswith("staged") for name in same)
    assert any(name.startswith("encoded") for name in same)
    assert any("/cache/" in name for name in same)
    assert any(name.endswith(".parquet") for name in refused)


# --- what a run says of itself, with values of other types in a folder of before there were manifests

OTHER = [
    ("result.json", ("format",), True, "result.json has format True; this version reads 1"),
    ("result.json", ("name",), 7, r"it has name 7; str is needed"),
    ("result.json", ("class_names",), "no", "it has class_names 'no'; a list is needed"),
    ("result.json", ("repeated_in_test", "train"), "0", "repeated_in_test has '0'; a number is needed"),
    ("result.json", ("rows", 0, "seed"), True, "row 0 has seed True; int is needed"),
    ("result.json", ("rows", 0, "role"), "best", "row 0 has role 'best'"),
    ("result.json", ("rows", 1, "metrics", "accuracy"), "0.9", "metrics has '0.9'; a number is needed"),
    ("result.json", ("summary", 0, "mean"), [1], r"summary 0 has mean \[1\]; float is needed"),
    ("result.json", ("summary", 0, "verdict"), True, "summary 0 has verdict True"),
    ("result.json", ("findings",), [None], "it has findings None; str is needed"),
    ("result.json", ("students", 0, "history"), {}, "history is {}; list is needed"),
    ("result.json", ("students", 0, "num_parameters"), True, "num_parameters is True; int is needed"),
    ("tallies.json", (0, "seed"), "0", "a count is '0'; a whole number is needed"),
    ("tallies.json", (0, "confusion", 0, 0), 1.5, "a count is 1.5; a whole number is needed"),
]


@pytest.mark.parametrize(("name", "path", "value", "message"), OTHER)
def test_a_value_of_another_type_in_a_result_is_named(finished, tmp_path, name, path, value, message):
    for each in ("result.json", "tallies.json"):
        content = json.loads((finished / "run" / each).read_text())
        if each == "result.json":
            content.pop("manifest")
        if each == name:
            place = content
            for key in path[:-1]:
                place = place[key]
            place[path[-1]] = value
        (tmp_path / each).write_text(json.dumps(content))
    with pytest.raises(InputError, match=message):
        read_result(tmp_path)


def test_a_result_of_before_there_were_manifests_is_read(finished, tmp_path):
    shutil.copy(finished / "run/tallies.json", tmp_path)
    content = json.loads((finished / "run/result.json").read_text())
    (tmp_path / "result.json").write_text(json.dumps({key: content[key] for key in content if key != "manifest"}))
    assert read_result(tmp_path).summary == read_result(finished / "run").summary
