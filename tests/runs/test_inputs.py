"""A replaced input is noticed by every step, by content and by name; the same content elsewhere is the same input."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from typer.testing import CliRunner

from overproof.answers.files import ParsedFiles
from overproof.commands.main import app
from overproof.data import read
from overproof.errors import InputError
from overproof.progress import Silent
from overproof.runs.comparison import CompareOptions, Comparison, compare
from overproof.runs.experiment import experiment_from
from overproof.runs.inputs.record import FILE, Reading, record_of, verify, write_record
from overproof.runs.pipeline import Run, open_run
from overproof.storage import digests

ROWS = 260


def table(labels=None, shift=0.0) -> str:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(ROWS, 3)) + shift
    labels = list(np.where(numbers[:, 0] - shift > 0, "no", "yes")) if labels is None else labels
    return "\n".join(
        ["id,a,b,c,y", *(f"r{i},{a:.5f},{b:.5f},{c:.5f},{labels[i]}" for i, (a, b, c) in enumerate(numbers))]
    )


def labels() -> list[str]:
    return [line.rpartition(",")[2] for line in table().splitlines()[1:]]


def flipped(names: list[str], rows) -> list[str]:
    return [("yes" if name == "no" else "no") if row in rows else name for row, name in enumerate(names)]


def answers(names: list[str]) -> str:
    return "\n".join(["id,label,confidence", *(f"r{row},{name},0.8" for row, name in enumerate(names))])


def content(home: Path, **changes):
    return {
        "data": {
            "files": {"all": {"path": str(home / "all.csv"), "label": "y", "id": "id"}},
            "rows": {"labelled": 60, "pool": 100, "test": 100},
        },
        "teacher": {"answers": [str(home / "answers.csv")]},
        "student": {"name": "linear"},
        "train": {"epochs": 2},
        "methods": ["hard"],
        "seeds": [0],
        **changes,
    }


@pytest.fixture
def home(tmp_path):
    (tmp_path / "all.csv").write_text(table())
    (tmp_path / "answers.csv").write_text(answers(flipped(labels(), range(0, ROWS, 9))))
    return tmp_path


def run_of(home, **changes) -> Run:
    return Run(experiment=experiment_from(content(home, **changes)), folder=home / "run", progress=Silent())


# --- every step of a run


def test_every_step_refuses_replaced_answers_by_name_and_goes_on_when_they_are_back(home):
    run_of(home).all_steps()
    (home / "e.yaml").write_text(json.dumps(content(home)))
    student = home / "run/students/seed-0/hard"
    before, result = (home / "answers.csv").read_bytes(), (home / "run/result.json").read_bytes()
    stamp = os.stat(home / "answers.csv")
    (home / "answers.csv").write_text(answers(flipped(labels(), range(0, ROWS, 7))))
    # Size and time of the former file prove nothing.
    os.utime(home / "answers.csv", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    commands = [
        ["run", str(home / "e.yaml"), "--out", str(home / "run")],
        ["label", str(home / "e.yaml"), "--out", str(home / "run")],
        ["assess", str(home / "run")],
        ["distill", str(home / "run")],
        ["evaluate", str(home / "run")],
        ["report", str(home / "run")],
    ]
    for command in commands:
        with pytest.raises(InputError) as refused:
            CliRunner().invoke(app, command, catch_exceptions=False, standalone_mode=False)
        words = str(refused.value)
        assert words.startswith(f"{home / 'answers.csv'} (option 'teacher.answers') has changed since this run")
        assert "answers of 260 rows differ, first id 'r" in words
        assert words.endswith("put it back as it was, or give another --out folder.")
    assert (home / "run/result.json").read_bytes() == result
    # The data are as they were, so that a student can be exported.
    CliRunner().invoke(app, ["export", str(student), "--out", str(home / "e1")], catch_exceptions=False)
    assert (home / "e1/manifest.json").exists()
    (home / "answers.csv").write_bytes(before)
    for command in commands:
        assert CliRunner().invoke(app, command).exit_code == 0, command
    assert (home / "run/result.json").read_bytes() == result


def test_one_label_flipped_after_label_is_refused_with_its_id(home):
    run_of(home).label()
    (home / "all.csv").write_text(table(flipped(labels(), [17])))
    for step in ("label", "distill", "all_steps", "assess"):
        with pytest.raises(InputError, match=r"all\.csv \(option 'data\.files\.all'\) .*: 1 label of 260 rows differs"):
            getattr(run_of(home), step)()
    with pytest.raises(InputError, match="first id 'r17'; put it back as it was, or give another --out folder"):
        open_run(home / "run").distill()
    (home / "all.csv").write_text(table())
    run_of(home).all_steps()
    assert (home / "run/result.json").exists()


def test_a_file_replaced_between_two_steps_of_one_process_is_noticed(home):
    run = run_of(home)
    run.label()
    (home / "answers.csv").write_text(answers(labels()))
    with pytest.raises(InputError, match=r"answers\.csv .* has changed"):
        run.distill()


def test_a_file_replaced_while_the_test_is_scored_leaves_no_result(home, monkeypatch):
    run = run_of(home)
    run.label()
    run.distill()
    from overproof.runs import pipeline

    scored = pipeline.score

    def replace_then_score(*arguments):
        (home / "answers.csv").write_text(answers(labels()))
        return scored(*arguments)

    monkeypatch.setattr(pipeline, "score", replace_then_score)
    with pytest.raises(InputError, match=r"answers\.csv .* has changed"):
        run.evaluate()
    assert not (home / "run/result.json").exists()


def test_an_export_and_a_calibration_refuse_a_replaced_test_or_validation(home):
    rows = {"labelled": 60, "pool": 80, "test": 60, "validation": 40}
    run_of(home, data={**content(home)["data"], "rows": rows}).all_steps()
    (home / "all.csv").write_text(table(flipped(labels(), range(40))))
    with pytest.raises(InputError, match=r"all\.csv \(option 'data\.files\.all'\) has changed since this run"):
        CliRunner().invoke(
            app,
            ["export", str(home / "run"), "--method", "hard", "--out", str(home / "x")],
            catch_exceptions=False,
            standalone_mode=False,
        )
    (home / "new.csv").write_text(table())
    with pytest.raises(InputError, match=r"all\.csv \(option 'data\.files\.all'\) has changed since this run"):
        CliRunner().invoke(
            app,
            [
                "predict",
                str(home / "run/students/seed-0/hard"),
                str(home / "new.csv"),
                "--out",
                str(home / "p.csv"),
                "--risk",
                ".3",
            ],
            catch_exceptions=False,
            standalone_mode=False,
        )
    assert not (home / "x/manifest.json").exists()
    assert not (home / "p.csv").exists()


# --- what is the same


def test_files_that_moved_are_the_same_files(home):
    run_of(home).label()
    (home / "elsewhere").mkdir()
    shutil.move(home / "all.csv", home / "elsewhere/data.csv")
    shutil.move(home / "answers.csv", home / "elsewhere/a.csv")
    moved = content(home, teacher={"answers": [str(home / "elsewhere/a.csv")]})
    moved["data"]["files"]["all"]["path"] = str(home / "elsewhere/data.csv")
    experiment = experiment_from(moved)
    result = Run(experiment=experiment, folder=home / "run", progress=Silent()).all_steps()
    # The folder names the files where they are now.
    assert open_run(home / "run").experiment == experiment
    assert open_run(home / "run").evaluate().summary == result.summary
    (home / "elsewhere/a.csv").write_text(answers(labels()))
    with pytest.raises(InputError, match=r"elsewhere/a\.csv .* has changed"):
        open_run(home / "run").evaluate()


def test_other_options_are_another_experiment_wherever_the_files_are(home):
    run_of(home).all_steps()
    with pytest.raises(InputError, match="holds another experiment"):
        run_of(home, seeds=[1]).label()


def test_an_edited_experiment_of_the_folder_is_refused(home):
    run_of(home).label()
    path = home / "run/experiment.yaml"
    path.write_text(path.read_text().replace("epochs: 2\n", "epochs: 3\n", 1))
    with pytest.raises(InputError, match=r"experiment\.yaml is not as the run wrote it"):
        open_run(home / "run").distill()


def test_a_damaged_record_is_named_and_no_input_is_blamed(home):
    run_of(home).label()
    path = home / "run" / FILE
    path.write_text(path.read_text().replace('"r', '"s', 1).replace("data.files.all", "data.files.alk"))
    with pytest.raises(InputError, match=r"run/inputs\.json is damaged .*: delete it if you are sure"):
        run_of(home).label()


def test_a_file_may_be_mended_as_long_as_nothing_was_made_from_it(home):
    run_of(home).begin()
    (home / "all.csv").write_text(table(flipped(labels(), [17])))
    run_of(home).label()
    (home / "all.csv").write_text(table())
    with pytest.raises(InputError, match="1 label of 260 rows differs, first id 'r17'"):
        run_of(home).label()


def test_an_experiment_with_other_students_uses_no_answers_to_other_data(home):
    teacher = {"model": "linear", "folds": 2, "train": {"epochs": 1}}
    run_of(home, teacher=teacher).label()
    run_of(home, teacher=teacher, train={"epochs": 3}).label()
    (home / "all.csv").write_text(table(flipped(labels(), [17])))
    with pytest.raises(InputError, match="1 label of 260 rows differs, first id 'r17'"):
        run_of(home, teacher=teacher, train={"epochs": 4}).label()


def test_a_kill_between_record_and_experiment_leaves_a_folder_that_can_be_begun(home):
    run_of(home).label()
    shutil.rmtree(home / "run/labels", ignore_errors=True)
    for name in ("experiment.yaml", "citations.json", "log.txt", "costs.jsonl"):
        (home / "run" / name).unlink(missing_ok=True)
    (home / "all.csv").write_text(table(flipped(labels(), [17])))
    run_of(home).label()
    assert (home / "run/experiment.yaml").exists()


def test_all_runs_of_a_comparison_are_begun_with_the_same_files(home):
    comparison = Comparison(experiment=experiment_from(content(home)), options=CompareOptions(labels=(40, 60)))

    def replace(run):
        (home / "answers.csv").write_text(answers(labels()))

    with pytest.raises(InputError, match=r"answers\.csv \(option 'teacher\.answers'\) has changed"):
        compare(comparison, home / "both", finished=replace)
    assert not (home / "both/compare.json").exists()
    (home / "answers.csv").write_text(answers(flipped(labels(), range(0, ROWS, 9))))
    assert len(compare(comparison, home / "both").results) == 2


# --- each kind of input


def with_weights_apart(path: Path, values) -> None:
    weight = numpy_helper.from_array(np.array(values, np.float32), "w")
    number = TensorProto.FLOAT
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", number, [None, 3])],
        [helper.make_tensor_value_info("y", number, [None, 2])],
        [weight],
    )
    onnx.save(
        helper.make_model(graph), path, save_as_external_data=True, location=f"{path.stem}.weights", size_threshold=0
    )


def picture(path: Path, shade: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (2, 2), shade).save(path)


def tensors(path: Path, value: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    safetensors.torch.save_file({"w": torch.full((2,), value)}, path)


def of_data(source):
    return lambda home: {"data": {"files": {"all": source(home)}, "rows": {"labelled": 60, "pool": 100, "test": 100}}}


def of_teacher(teacher):
    return lambda home: {"teacher": teacher(home)}


def written(name: str, text: str):
    def write(home: Path) -> None:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)

    return write


KINDS = {
    "table": (of_data(lambda h: {"path": f"{h}/d.csv", "label": "y"}), written("d.csv", table()),
              written("d.csv", table(shift=1.0)), "d.csv"),
    "folder of tables": (of_data(lambda h: {"path": f"{h}/d", "label": "y"}), written("d/1.csv", table()),
                         written("d/1.csv", table(shift=1.0)), "d/1.csv"),
    "a table more": (of_data(lambda h: {"path": f"{h}/d", "label": "y"}), written("d/1.csv", table()),
                     written("d/2.csv", table()), "2.csv"),
    "image": (of_data(lambda h: {"path": f"{h}/i", "label": "folder"}),
              lambda h: [picture(h / f"i/{name}.png", 3) for name in ("a/1", "a/2", "b/1")],
              lambda h: picture(h / "i/a/2.png", 4), "a/2.png"),
    "image that a table names": (of_data(lambda h: {"path": f"{h}/t.csv", "kind": "image", "input": "f", "label": "y"}),
                                 lambda h: [written("t.csv", "f,y\n1.png,no\n2.png,yes")(h), picture(h / "1.png", 3)],
                                 lambda h: picture(h / "1.png", 4), "1.png"),
    "labels in a file": (of_data(lambda h: {"path": f"{h}/x.npy", "label": f"{h}/y.npy"}),
                         lambda h: [np.save(h / "x.npy", np.eye(4)), np.save(h / "y.npy", np.arange(4))],
                         lambda h: np.save(h / "y.npy", np.arange(4)[::-1]), "y.npy"),
    "second answers": (of_teacher(lambda h: {"answers": [f"{h}/answers.csv", f"{h}/2.csv"]}),
                       written("2.csv", answers(labels())), written("2.csv", answers(flipped(labels(), [3]))), "2.csv"),
    "parquet of answers": (of_teacher(lambda h: {"answers": [f"{h}/a.parquet"]}),
                           lambda h: pq.write_table(pa.table({"id": ["r0", "r1"], "label": ["no", "yes"]}),
                                                    h / "a.parquet"),
                           lambda h: pq.write_table(pa.table({"id": ["r0", "r1"], "label": ["no", "no"]}),
                                                    h / "a.parquet"), "a.parquet"),
    "second teacher": (lambda h: {"teacher": [{"model": "linear"}, {"answers": [f"{h}/answers.csv"]}]},
                       written("answers.csv", answers(labels())),
                       written("answers.csv", answers(flipped(labels(), [3]))), "answers.csv"),
    "onnx": (of_teacher(lambda h: {"model": f"{h}/m.onnx"}), lambda h: with_weights_apart(h / "m.onnx", [[1, 2]] * 3),
             lambda h: (h / "m.onnx").write_bytes((h / "m.onnx").read_bytes() + b"\n"), "m.onnx"),
    "weights of an onnx": (of_teacher(lambda h: {"model": f"{h}/m.onnx"}),
                           lambda h: with_weights_apart(h / "m.onnx", [[1, 2]] * 3),
                           lambda h: with_weights_apart(h / "m.onnx", [[1, 3]] * 3), "m.weights"),
    "skops": (of_teacher(lambda h: {"model": f"{h}/m.skops"}), written("m.skops", "a"), written("m.skops", "b"),
              "m.skops"),
    "Hugging Face folder": (of_teacher(lambda h: {"model": f"{h}/bert"}),
                            lambda h: [written("bert/config.json", "{}")(h), written("bert/vocab.txt", "a")(h)],
                            written("bert/vocab.txt", "b"), "vocab.txt"),
    "torch weights": (of_teacher(lambda h: {"model": "m:f", "weights": f"{h}/w.safetensors", "classes": ["no", "yes"]}),
                      lambda h: tensors(h / "w.safetensors", 1), lambda h: tensors(h / "w.safetensors", 2),
                      "w.safetensors"),
    "saved student": (of_teacher(lambda h: {"model": f"{h}/s"}),
                      lambda h: [written("s/student.json", "{}")(h), tensors(h / "s/student.safetensors", 1)],
                      lambda h: tensors(h / "s/student.safetensors", 2), "student.safetensors"),
    "first weights": (lambda h: {"student": {"name": "linear", "start": f"{h}/s.safetensors"}},
                      lambda h: tensors(h / "s.safetensors", 1), lambda h: tensors(h / "s.safetensors", 2),
                      "s.safetensors"),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_of_each_kind_is_refused_by_name_when_replaced_and_accepted_when_it_is_back(home, kind):
    options, make, replace, name = KINDS[kind]
    make(home)
    experiment = experiment_from(content(home, **options(home)))
    files = experiment.data.files

    def examples(role):
        return read(files[role], role=role) if kind in ("table", "labels in a file") else None

    reading = Reading(examples=examples, answers=ParsedFiles())
    (home / "run").mkdir()
    write_record(home / "run", b"", record_of(experiment), reading)
    verify(home / "run", None, record_of(experiment), reading)
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    replace(home)
    with pytest.raises(InputError) as refused:
        verify(home / "run", None, record_of(experiment), reading)
    words = str(refused.value)
    assert name in words
    assert "has changed since this run was begun: " in words
    assert words.count(".") >= 1
    assert not any(len(word.strip("'")) >= 32 and set(word) <= set("0123456789abcdef'") for word in words.split())
    for path in home.rglob("*"):
        if path.is_file() and path not in before:
            path.unlink()
    for path, data in before.items():
        path.write_bytes(data)
    verify(home / "run", None, record_of(experiment), reading)


RENAMED = {
    "weights of an onnx": ("m.onnx", "t.onnx", lambda h: {"teacher": {"model": f"{h}/t.onnx"}}),
    "labels in a file": ("x.npy", "x2.npy", of_data(lambda h: {"path": f"{h}/x2.npy", "label": f"{h}/y.npy"})),
    "torch weights": ("w.safetensors", "v.safetensors", lambda h: {
        "teacher": {"model": "m:f", "weights": f"{h}/v.safetensors", "classes": ["no", "yes"]}}),
}  # fmt: skip


@pytest.mark.parametrize("kind", RENAMED)
def test_a_renamed_file_is_the_same_and_one_that_it_refers_to_keeps_its_name(home, kind):
    options, make, replace, changed = KINDS[kind]
    old, new, options_then = RENAMED[kind]
    make(home)
    reading = Reading(examples=lambda role: None, answers=ParsedFiles())
    (home / "run").mkdir()
    write_record(home / "run", b"", record_of(experiment_from(content(home, **options(home)))), reading)
    (home / old).rename(home / new)
    experiment = experiment_from(content(home, **options_then(home)))
    verify(home / "run", None, record_of(experiment), reading)
    if changed != old:
        replace(home)
        with pytest.raises(InputError, match=changed):
            verify(home / "run", None, record_of(experiment), reading)


def test_an_image_that_no_row_names_may_be_added(home):
    options, make, _, _ = KINDS["image that a table names"]
    make(home)
    experiment = experiment_from(content(home, **options(home)))
    reading = Reading(examples=lambda role: None, answers=ParsedFiles())
    (home / "run").mkdir()
    write_record(home / "run", b"", record_of(experiment), reading)
    picture(home / "3.png", 5)
    verify(home / "run", None, record_of(experiment), reading)
    (home / "1.png").unlink()
    with pytest.raises(InputError, match=r"gone: '1\.png'"):
        verify(home / "run", None, record_of(experiment), reading)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[:-1], "0 rows are new and 1 is gone"),
        (lambda rows: [*rows, "new,1,2,3,no"], "1 row is new and 0 are gone, first id 'new'"),
        (
            lambda rows: [rows[0].replace("r0,", "r0,9", 1), *rows[1:]],
            "the input of 1 of 260 rows differs, first id 'r0'",
        ),
        (lambda rows: rows[::-1], "its rows are in another order"),
        (lambda rows: [*rows, ""], "its bytes differ, though its rows are the same"),
    ],
)
def test_what_changed_is_named(home, change, words):
    run_of(home).label()
    head, *rows = table().splitlines()
    (home / "all.csv").write_text("\n".join([head, *change(rows)]))
    with pytest.raises(InputError) as refused:
        run_of(home).label()
    assert words in str(refused.value)


# --- digests


def test_a_digest_is_of_the_content_whatever_size_and_time(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    os.utime(path, ns=(0, 0))
    first = digests.content_digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(0, 0))
    assert digests.content_digest(path) != first
    path.write_bytes(b"one")
    assert digests.content_digest(path) == first


def test_a_file_that_is_left_alone_is_read_once(tmp_path, monkeypatch):
    path, reads = tmp_path / "a", []
    path.write_bytes(b"one")
    read_file = digests.digest_of_file
    monkeypatch.setattr(digests, "digest_of_file", lambda each: reads.append(each) or read_file(each))
    monkeypatch.setattr(digests, "_SURE_AFTER_NS", -1)
    assert digests.content_digest(path) == digests.content_digest(path)
    assert len(reads) == 1
    monkeypatch.setattr(digests, "_SURE_AFTER_NS", 10**12)
    path.write_bytes(b"one")
    digests.content_digest(path)
    digests.content_digest(path)
    # Too fresh to be sure.
    assert len(reads) == 3
