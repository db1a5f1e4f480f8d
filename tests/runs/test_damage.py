"""One flipped bit in a file that a run has left: the run ends in the same bytes, or refuses and names the file."""

import json
import re
import shutil
from dataclasses import asdict

import numpy as np
import pytest

from overproof.errors import InputError
from overproof.progress import Silent
from overproof.runs.costs import costs_of
from overproof.runs.experiment import experiment_from
from overproof.runs.folder.citations import record_papers, recorded_papers
from overproof.runs.folder.result_file import read_result
from overproof.runs.pipeline import Run
from overproof.runs.teacher_answers import LEFT_OUT, _stored_weights
from overproof.storage import checked

NOT_READ = {"log.txt", "costs.jsonl", ".lock", "report.html"}
"""What is for people, and differs from run to run."""

READERS = {
    # Pages for people, and locks: nothing reads them.
    r"(log\.txt|report\.html|(.*/)?\.lock)": "nothing",
    r"costs\.jsonl": "test_a_flipped_bit_of_the_costs_leaves_a_line_out",
    r"citations\.json": "test_a_flipped_bit_of_the_citations_is_made_again",
    r"(result\.json|tallies\.json|manifest\.json)": "tests/storage/test_manifest.py, a run's",
    r"students/seed-\d+/[\w.]+/(student\.\w+|row\.json|seen\.parquet|manifest\.json)": "tests/storage/test_manifest.py",
    # A fold's model is loaded where its answers are missing: a student's folder as any other.
    r"labels/seed-\d+/(teacher-\d/)?fold-\d+/(student\.\w+|manifest\.json)": "tests/storage/test_manifest.py",
    r"(experiment\.yaml|inputs\.json)": "test_one_flipped_bit_in_each_kind_of_file_changes_no_student_in_silence",
    r"labels/seed-\d+/weights\.json": "test_a_flipped_bit_of_the_weights_of_a_stack_is_refused_by_name",
    r"labels/seed-\d+/(?!fold).*(\.parquet|manifest\.json|\.npy|digests\.json)": (
        "test_one_flipped_bit_in_each_kind_of_file_changes_no_student_in_silence"
    ),
    r"(staged|encoded)/.*(\.bin|\.json)": "test_one_flipped_bit_in_each_kind_of_file_changes_no_student_in_silence",
}
"""The files of a run by their paths, and what shows that a flipped bit in each is noticed by name, made again, or read
by nothing. A new kind of file needs a line, and a test."""


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


@pytest.mark.parametrize("third", [0, *(pytest.param(third, marks=pytest.mark.slow) for third in (1, 2))])
def test_one_flipped_bit_in_each_kind_of_file_changes_no_student_in_silence(finished, tmp_path, third):
    expected, kinds = results_of(finished / "run"), kinds_of(finished / "run")
    assert {"inputs.json", "experiment.yaml", ".bin", ".parquet", ".npy"} <= {kind[-1] for kind in kinds}
    rng, refused, same = np.random.default_rng(1), [], []
    names = sorted(name for name in kinds.values() if name not in ("result.json", "tallies.json"))[third::3]
    for name in names:
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
    # What can be made again is; stores of answers are not.
    for made in ("staged", "encoded", "/cache/"):
        assert any(made in name for name in same) or not any(made in name for name in names)
    assert any(name.endswith(".parquet") for name in refused) or not any(name.endswith(".parquet") for name in names)


def test_every_file_of_a_run_is_known_and_has_a_test(finished):
    names = [str(each.relative_to(finished / "run")) for each in (finished / "run").rglob("*") if each.is_file()]
    found = {name: [reader for pattern, reader in READERS.items() if re.fullmatch(pattern, name)] for name in names}
    assert {name: readers for name, readers in found.items() if len(readers) != 1} == {}
    (absent,) = [pattern for pattern in READERS if not any(re.fullmatch(pattern, name) for name in names)]
    assert "weights" in absent  # of a stack, which this run has not


def test_a_flipped_bit_of_the_weights_of_a_stack_is_refused_by_name(tmp_path):
    path = tmp_path / "weights.json"
    assert _stored_weights(path) is None
    losses = {"log_loss_alone": [0.5], "log_loss": 0.5}
    checked.write_json(path, {"weights": [{"weight": 0.5}], LEFT_OUT: [], **losses})
    data = path.read_bytes()
    for place in range(0, 8 * len(data), 3):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            # Where the name of the checksum is damaged the rest is whole: not the stack of an earlier version.
            assert LEFT_OUT in _stored_weights(path)
        except InputError as error:
            assert str(error).startswith(f"{path} is damaged: ")  # noqa: PT017
    former = {"weights": [], **losses}  # of an earlier version
    path.write_text(json.dumps(former))
    assert _stored_weights(path) == former
    path.write_text('{"weights": []}')
    with pytest.raises(InputError, match=r"weights.json is damaged: it has no 'log_loss_alone', as a file of another"):
        _stored_weights(path)


def test_a_flipped_bit_of_the_costs_leaves_a_line_out(finished, tmp_path):
    line = (finished / "run/costs.jsonl").read_bytes().splitlines(keepends=True)[0]
    (tmp_path / "costs.jsonl").write_bytes(line)
    ((key, cost),) = costs_of(tmp_path).items()
    for place in range(0, 8 * len(line), 3):
        flipped = bytearray(line)
        flipped[place // 8] ^= 1 << place % 8
        (tmp_path / "costs.jsonl").write_bytes(flipped)
        assert costs_of(tmp_path) in ({}, {key: cost}), bytes(flipped)
    (tmp_path / "costs.jsonl").write_text(json.dumps(asdict(cost)))  # of an earlier version
    assert costs_of(tmp_path) == {key: cost}


def test_a_flipped_bit_of_the_citations_is_made_again(finished, tmp_path):
    data = (finished / "run/citations.json").read_bytes()
    (tmp_path / "experiment.yaml").write_bytes((finished / "run/experiment.yaml").read_bytes())
    (tmp_path / "citations.json").write_bytes(data)
    expected = recorded_papers(tmp_path)
    assert expected
    for place in range(0, 8 * len(data), 61):
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        (tmp_path / "citations.json").write_bytes(flipped)
        assert recorded_papers(tmp_path) in (None, expected)
    record_papers(tmp_path, experiment_from(content(finished)))
    assert (tmp_path / "citations.json").read_bytes() == data


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
