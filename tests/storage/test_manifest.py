"""The manifest of a folder: each of its files changed, cut or missing is refused in a sentence that names it."""

import json
import re
import shutil

import numpy as np
import pytest
from typer.testing import CliRunner

import overproof
from overproof.commands.main import app
from overproof.errors import InputError
from overproof.models import load_student
from overproof.report import write_comparison_report
from overproof.storage import manifest
from overproof.storage.manifest import MANIFEST, checked, write_folder

FILES = {"weights": bytes(range(100)), "about": b"{}"}


def test_files_are_read_as_they_were_written_and_others_are_not_looked_at(tmp_path):
    write_folder(tmp_path, FILES, kind="student")
    (tmp_path / "notes.txt").write_text("mine")
    assert checked(tmp_path, ("weights", "notes.txt"), kind="student") == {"weights": FILES["weights"]}
    (tmp_path / MANIFEST).unlink()
    assert checked(tmp_path, ("weights",), kind="student") is None


@pytest.mark.parametrize("needed", [(), ("weights",)])
@pytest.mark.parametrize("name", FILES)
def test_every_bit_cut_and_absence_is_noticed(tmp_path, name, needed):
    write_folder(tmp_path, FILES, kind="student")
    whole = FILES[name]
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        (tmp_path / name).write_bytes(flipped)
        with pytest.raises(InputError, match=rf"{name} is not the file that manifest.json beside it lists .*SHA-256"):
            checked(tmp_path, needed, kind="student")
    (tmp_path / name).write_bytes(whole[:-1])
    with pytest.raises(InputError, match=rf"{name} has {len(whole) - 1} bytes, and manifest.json .* lists"):
        checked(tmp_path, needed, kind="student")
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=rf"{name} is missing, .*copy the whole folder again"):
        checked(tmp_path, needed, kind="student")


def refusal(folder):
    try:
        checked(folder, FILES, kind="student")
    except InputError as refused:
        return str(refused)
    return ""


def test_a_bit_that_flips_in_the_manifest_blames_no_other_file(tmp_path):
    """But for those in the name of its own checksum, which then is not looked for, and blanks that say nothing."""
    write_folder(tmp_path, FILES, kind="student")
    whole = (tmp_path / MANIFEST).read_bytes()
    start = whole.rindex(b'"sha256"')
    for place in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        (tmp_path / MANIFEST).write_bytes(flipped)
        said = refusal(tmp_path)
        harmless = start < place // 8 < start + 7 or (whole[place // 8] in b" \n" and not said)
        assert harmless or said.startswith(f"{tmp_path / MANIFEST} is damaged: ")
    # Manifests of earlier versions have none.
    content = json.loads(whole)
    del content["sha256"]
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    assert set(checked(tmp_path, FILES, kind="student")) == set(FILES)


def test_large_files_that_are_not_read_are_compared_by_size(tmp_path, monkeypatch):
    write_folder(tmp_path, FILES, kind="student")
    (tmp_path / "weights").write_bytes(FILES["weights"][::-1])
    monkeypatch.setattr(manifest, "MAX_HASHED_BYTES", 50)
    assert checked(tmp_path, kind="student") == {}
    with pytest.raises(InputError, match="weights is not the file"):
        checked(tmp_path, ("weights",), kind="student")
    (tmp_path / "weights").write_bytes(b"")
    with pytest.raises(InputError, match="weights has 0 bytes"):
        checked(tmp_path, kind="student")


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b"\xff", b'{"files": {"a": 1}}', b'{"files": {"../a": {"num_bytes": 1, "sha256": ""}}}'],
)
def test_a_damaged_manifest_is_named(tmp_path, content):
    (tmp_path / MANIFEST).write_bytes(content)
    with pytest.raises(InputError, match=r"manifest.json is damaged: copy the whole folder again, or export"):
        checked(tmp_path, kind="export")


def test_the_file_that_tells_a_folder_is_complete_is_written_last(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(manifest.atomic, "write_bytes", lambda path, data: written.append(path.name))
    write_folder(tmp_path, {"a": b"", "b": b"", "last": b""}, kind="student")
    assert written == ["a", "b", MANIFEST, "last"]


# --- real folders


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A finished comparison of one run with two seeds, an export, and the data."""
    folder = tmp_path_factory.mktemp("manifest")
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(200, 3)).astype(np.float32)
    lines = [f"{a},{b},{c},{'no' if a > 0 else 'yes'}" for a, b, c in inputs.tolist()]
    (folder / "all.csv").write_text("\n".join(["a,b,c,class", *lines]))
    content = {
        "data": {
            "files": {"all": {"path": str(folder / "all.csv"), "label": "class"}},
            "rows": {"labelled": 30, "pool": 100, "test": 60},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 2},
        "student": {"name": "linear"},
        "train": {"epochs": 1},
        "methods": ["dfnd"],
        "seeds": [0, 1],
    }
    (folder / "experiment.yaml").write_text(json.dumps(content))
    invoke("compare", folder / "experiment.yaml", "--labels", "30", "--out", folder / "compared")
    shutil.copytree(folder / "compared/labels-30", folder / "run", ignore=shutil.ignore_patterns("report.html"))
    overproof.export(folder / "run/students/seed-0/dfnd", folder / "export")
    return folder


def invoke(*words, code=0):
    result = CliRunner().invoke(app, [str(word) for word in words])
    # `main` prints the sentence and exits with 2.
    refused = isinstance(result.exception, InputError)
    assert (2 if refused else result.exit_code) == code, result.output
    return str(result.exception) if refused else " ".join(result.output.split())


def damaged(path, how):
    whole = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(whole[:-9] if how == "cut" else whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
    return whole


STUDENT = ["student.safetensors", "student.json", "row.json", "learned.safetensors", "seen.parquet", MANIFEST]


@pytest.mark.parametrize("how", ["changed", "cut", "missing"])
def test_a_student_of_a_run_with_a_damaged_file_is_not_used(home, tmp_path, how):
    shutil.copytree(home / "run", tmp_path / "run")
    student = tmp_path / "run/students/seed-1/dfnd"
    assert {each.name for each in student.iterdir()} == set(STUDENT)
    for name in STUDENT:
        whole = damaged(student / name, how)
        commands = [
            ["predict", student, home / "all.csv", "--out", tmp_path / "a.csv"],
            ["export", student, "--out", tmp_path / "exported"],
        ]
        if (name, how) != ("row.json", "missing"):  # That student is trained again.
            commands.append(["evaluate", tmp_path / "run"])
        before = (tmp_path / "run/result.json").read_bytes()
        for command in commands:
            assert name in invoke(*command, code=2).partition(" beside it")[0]
        with pytest.raises(InputError, match=name):
            load_student(student)
        (student / name).write_bytes(whole)
        assert (tmp_path / "run/result.json").read_bytes() == before
    assert not (tmp_path / "a.csv").exists()
    assert not (tmp_path / "exported").exists()
    invoke("evaluate", tmp_path / "run")


@pytest.mark.parametrize("how", ["changed", "cut", "missing"])
def test_an_export_with_a_damaged_file_is_not_used(home, tmp_path, how):
    shutil.copytree(home / "export", tmp_path / "export")
    names = {each.name for each in (tmp_path / "export").iterdir()}
    assert {"model.onnx", "seen.parquet", "README.md", "experiment.yaml", MANIFEST} < names
    for name in sorted(names):
        whole = damaged(tmp_path / "export" / name, how)
        printed = invoke("predict", tmp_path / "export", home / "all.csv", "--out", tmp_path / "a.csv", code=2)
        assert name in printed.partition(" beside it")[0]
        assert name == MANIFEST or "export the student again" in printed
        (tmp_path / "export" / name).write_bytes(whole)
    invoke("predict", tmp_path / "export", home / "all.csv", "--out", tmp_path / "a.csv")


@pytest.mark.parametrize("how", ["changed", "cut", "missing"])
def test_a_damaged_result_is_not_reported_and_computed_again(home, tmp_path, how):
    shutil.copytree(home / "run", tmp_path / "run")
    result = (tmp_path / "run/result.json").read_bytes()
    for name in ("result.json", "tallies.json", MANIFEST):
        damaged(tmp_path / "run" / name, how)
        printed = invoke("report", tmp_path / "run", code=2)
        assert name in printed
        assert "overproof evaluate" in printed
        assert not (tmp_path / "run/report.html").exists()
        if name == "result.json" and how != "missing":
            assert name in invoke("export", tmp_path / "run", "--method", "hard", "--out", tmp_path / "e", code=2)
        invoke("evaluate", tmp_path / "run")
        assert (tmp_path / "run/result.json").read_bytes() == result
    invoke("report", tmp_path / "run")


def test_a_result_is_not_reported_with_other_options(home, tmp_path):
    shutil.copytree(home / "run", tmp_path / "run")
    path = tmp_path / "run/experiment.yaml"
    whole = path.read_text()
    path.write_text(whole.replace("name: experiment", "name: another"))
    assert "experiment.yaml" in invoke("report", tmp_path / "run", code=2)
    path.write_text(whole)
    invoke("report", tmp_path / "run")


@pytest.mark.parametrize("how", ["changed", "cut", "missing"])
def test_a_damaged_comparison_is_not_reported(home, tmp_path, how):
    shutil.copytree(home / "compared", tmp_path / "c")
    for name in ("compare.json", MANIFEST):
        whole = damaged(tmp_path / "c" / name, how)
        printed = invoke("report", tmp_path / "c", code=2)
        assert name in printed
        assert "again" in printed
        (tmp_path / "c" / name).write_bytes(whole)
    invoke("report", tmp_path / "c")


def test_a_budget_added_to_a_comparison_renews_its_manifest(home, tmp_path):
    shutil.copytree(home / "compared", tmp_path / "c")
    before = (tmp_path / "c" / MANIFEST).read_bytes()
    invoke("compare", home / "experiment.yaml", "--labels", "20,30", "--out", tmp_path / "c")
    assert (tmp_path / "c" / MANIFEST).read_bytes() != before
    invoke("report", tmp_path / "c")


# --- folders of another kind


def test_an_export_does_not_pass_for_a_run(home, tmp_path):
    shutil.copytree(home / "export", tmp_path / "export")
    before = {each.name for each in (tmp_path / "export").iterdir()}
    for command in (["evaluate"], ["report"], ["cite"]):
        printed = invoke(*command, tmp_path / "export", code=2)
        assert "holds no run but an exported student; name the folder of a run" in printed
    experiment = tmp_path / "export/experiment.yaml"
    assert "holds no run but an exported" in invoke("run", experiment, "--out", tmp_path / "export", code=2)
    assert {each.name for each in (tmp_path / "export").iterdir()} == before


def test_a_student_and_a_comparison_do_not_pass_for_a_run(home):
    printed = invoke("evaluate", home / "run/students/seed-0/hard", code=2)
    assert "holds no run but a student" in printed
    assert "holds a comparison; name the folder of one of its runs: 'labels-30'" in invoke(
        "evaluate", home / "compared", code=2
    )
    assert "There is no folder" in invoke("evaluate", home / "nowhere", code=2)


def test_the_works_of_a_comparison_are_those_of_its_runs(home):
    assert invoke("cite", home / "compared") == invoke("cite", home / "run")
    assert "@" in invoke("cite", home / "compared")


def test_an_export_does_not_replace_a_student(home, tmp_path):
    overproof.export(home / "export", tmp_path / "again")
    load_student(home / "export").save(tmp_path / "student")
    with pytest.raises(InputError, match="holds a student"):
        overproof.export(home / "export", tmp_path / "student")
    assert load_student(tmp_path / "again").class_names == load_student(tmp_path / "student").class_names


# --- a comparison's table with values of other types

OTHER_IN_TABLE = [
    (("format",), True, "it has format True"),
    (("format",), 2, "it has format 2"),
    (("name",), 7, "it has name 7"),
    (("seeds", 0), True, "it has seeds True"),
    (("cells",), {}, "it has cells {}"),
    (("cells", 0, "labels"), "30", "cell 0 has labels '30'"),
    (("cells", 0), None, "it has cells None"),
    (("rows", 0, "mean"), [1], "row 0 has mean"),
    (("rows", 0, "p_holm"), "low", "row 0 has p_holm 'low'"),
    (("rows", 0, "verdict"), True, "row 0 has verdict True"),
    (("rows", 0, "folder"), "elsewhere", "row 0 belongs to no cell"),
    (("curves", 0, "low"), [], "a curve has lists of different lengths"),
    (("curves", 0, "labels"), None, "curve 0 has labels None"),
    (("findings",), "BEATS", "it has findings 'BEATS'"),
]


@pytest.mark.parametrize(("path", "value", "message"), OTHER_IN_TABLE)
def test_a_value_of_another_type_in_a_comparison_is_named(home, tmp_path, path, value, message):
    content = json.loads((home / "compared/compare.json").read_text())
    # As comparisons of before there were manifests.
    del content["manifest"]
    place = content
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    (tmp_path / "compare.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=re.escape(message)):
        write_comparison_report(tmp_path)
    assert not (tmp_path / "report.html").exists()
