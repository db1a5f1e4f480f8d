"""Files of answers without ids answer the data row by row where that is said; ids of others' texts are refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from overproof.commands.main import main
from overproof.errors import InputError
from overproof.runs.answered import check_answers, read_answered
from overproof.runs.caches import Caches
from overproof.runs.experiment import Experiment, experiment_from, load
from overproof.runs.first_look.proposal import propose
from overproof.runs.first_look.sources import Choices
from overproof.runs.folder.resume import experiment_in
from overproof.runs.roles import Roles
from overproof.teachers import from_files
from overproof.teachers.options import TeacherOptions

NAMES = ("ape", "cat", "zebra")
TRUTH = np.random.default_rng(0).integers(0, 3, 90)
PROBS = np.where(np.eye(3)[TRUTH] == 1, 0.75, 0.125)


def table(path: Path, rows: slice, *, key: bool = False) -> str:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*(["id"] if key else []), "text", "label"])
        for row in range(90)[rows]:
            writer.writerow([*([f"k{row}"] if key else []), f"words of number {row}", NAMES[TRUTH[row]]])
    return str(path)


def numbers(path: Path, rows: slice, order: tuple[int, ...] = (0, 1, 2)) -> str:
    np.savetxt(path, PROBS[rows][:, list(order)], fmt="%.3f")
    return str(path)


def experiment(files: dict[str, str], answers: list[str], rows: dict[str, int], **teacher: object) -> Experiment:
    key = {"id": "id"} if teacher.pop("key", False) else {}
    sources = {role: {"path": path, "input": "text", "label": "label", **key} for role, path in files.items()}
    return experiment_from(
        {
            "data": {"files": sources, "rows": rows},
            "teacher": {"answers": answers, "align": "rows", **teacher},
            "student": {"name": "ngram"},
            "methods": ["hard"],
        }
    )


ROWS = {"labelled": 30, "pool": 40, "test": 20}


def right(made: Experiment) -> tuple[Roles, dict[str, float]]:
    """The roles, and the share of each that its answers name right."""
    caches = Caches()
    roles = read_answered(made, None, caches)
    check_answers(roles, made, caches)
    parties = roles.for_seed(0).by_role()
    answers = from_files(
        made.teacher.answers,
        parties,
        roles.class_names,
        classes=made.teacher.classes,
        parsed=caches.answers_of(made.teacher, made.data),
    )
    return roles, {role: (answers[role].pseudo_label == parties[role].label).double().mean().item() for role in answers}


@pytest.mark.parametrize("key", [False, True])
def test_each_row_of_the_data_has_the_answer_of_its_row(tmp_path, key):
    data = table(tmp_path / "d.csv", slice(None), key=key)
    parts = [numbers(tmp_path / "1.txt", slice(0, 37)), numbers(tmp_path / "2.txt", slice(37, None))]
    _, found = right(experiment({"all": data}, parts, ROWS, key=key))
    assert found == {"labelled": 1, "pool": 1, "test": 1}
    with pytest.raises(InputError, match=r"1\.txt has 37 rows, and all \(d\.csv\) has 90; answers go with the rows"):
        right(experiment({"all": data}, parts[:1], ROWS, key=key))


def test_several_files_of_data_go_end_to_end_and_a_test_of_its_own_needs_no_answers(tmp_path):
    few, pool = table(tmp_path / "few.csv", slice(0, 30)), table(tmp_path / "pool.csv", slice(30, 70))
    files = {"test": table(tmp_path / "test.csv", slice(70, None)), "labelled": few, "pool": pool}
    made = experiment(files, [numbers(tmp_path / "a.txt", slice(0, 70))], {})
    roles, found = right(made)
    assert found == {"labelled": 1, "pool": 1}
    assert "the teacher is not judged on the test" in " ".join(roles.remarks)
    assert right(experiment(files, [numbers(tmp_path / "a.txt", slice(None))], {}))[1]["test"] == 1
    # As many files, of which each must have as many rows as its own.
    apart = [numbers(tmp_path / "1.txt", slice(0, 40)), numbers(tmp_path / "2.txt", slice(40, 70))]
    with pytest.raises(InputError, match=r"1\.txt has 40 rows and .*2\.txt has 30 rows"):
        right(experiment(files, apart, {}))


def test_an_order_of_classes_that_does_not_fit_the_labels_is_refused_with_the_line(tmp_path):
    data, turned = table(tmp_path / "d.csv", slice(None)), numbers(tmp_path / "a.txt", slice(None), (1, 2, 0))
    line = r"in the order ape, cat, zebra, .*in the order cat, zebra, ape they are .*`classes: \[cat, zebra, ape\]`"
    with pytest.raises(InputError, match=line):
        right(experiment({"all": data}, [turned], ROWS))
    roles, _ = right(experiment({"all": data}, [turned], ROWS, classes=["cat", "zebra", "ape"]))
    assert "The numbers are in the order cat, zebra, ape" in " ".join(roles.remarks)


def test_rows_that_may_be_left_out_are_not_aligned(tmp_path):
    made = experiment({"all": table(tmp_path / "d.csv", slice(None))}, [numbers(tmp_path / "a.txt", slice(None))], ROWS)
    source = {**made.data.model_dump()["files"]["all"], "missing": "drop"}
    dropping = experiment_from(
        {
            **made.model_dump(),
            "data": {"files": {"all": source}, "rows": ROWS},
            "teacher": {"answers": [str(tmp_path / "a.txt")], "align": "rows"},
        }
    )
    with pytest.raises(InputError, match=r"'data\.files\.all\.missing' is 'drop'"):
        right(dropping)


def test_rows_of_the_same_content_are_answered_by_the_first(tmp_path):
    (tmp_path / "d.csv").write_text("text,label\n" + "".join(f"w{k % 45},{NAMES[TRUTH[k % 45]]}\n" for k in range(90)))
    np.savetxt(tmp_path / "a.txt", np.concatenate([PROBS[:45], PROBS[:45, ::-1]]), fmt="%.3f")
    made = experiment(
        {"all": str(tmp_path / "d.csv")}, [str(tmp_path / "a.txt")], {"labelled": 15, "pool": 20, "test": 10}
    )
    roles, found = right(made)
    assert set(found.values()) == {1}
    assert "45 rows of the file are no answers: an earlier row of the data has the same content" in " ".join(
        roles.remarks
    )


def test_align_goes_with_answers():
    for option, value in (("align", "rows"), ("format", "libsvm")):
        with pytest.raises(InputError, match=rf"'teacher\.{option}' is about 'teacher\.answers'"):
            TeacherOptions(**{option: value})
    with pytest.raises(InputError, match=r"'teacher\.format' is 'libsmv'; did you mean 'libsvm'"):
        TeacherOptions(answers=("a",), format="libsmv")


def test_ids_that_stand_beside_other_examples_texts_are_refused(tmp_path):
    data = table(tmp_path / "d.csv", slice(None), key=True)
    rows = [f"k{row},words of number {row},{NAMES[TRUTH[row]]}" for row in range(90)]
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_text("id,text,label\n" + "\n".join(rows) + "\n")
    # A tool that counts from one: every id is that of the example before.
    moved = [f"k{(row - 1) % 90},words of number {row},{NAMES[TRUTH[row]]}" for row in range(90)]
    bad.write_text("id,text,label\n" + "\n".join(moved) + "\n")
    assert right(experiment({"all": data}, [str(good)], ROWS, key=True, align="id"))[1]["pool"] == 1
    with pytest.raises(InputError, match=r"90 of 90 answers stand beside the text of another example .* id 'k89'"):
        right(experiment({"all": data}, [str(bad)], ROWS, key=True, align="id"))


def test_init_takes_them_where_align_is_said(tmp_path):
    data, answers = table(tmp_path / "d.csv", slice(None)), numbers(tmp_path / "a.txt", slice(None))
    with pytest.raises(InputError, match=r"a\.txt has no ids, as LightGBM.* write --align rows"):
        propose([data], Choices(label="label", answers=(answers,)))
    changes = ("teacher.align=rows", "data.rows.labelled=30")
    made = propose([data], Choices(label="label", text=("text",), answers=(answers,), changes=changes))
    assert made.content["teacher"] == {"answers": answers, "align": "rows"}
    assert "row by row with the data" in " ".join(made.sentences())


def test_commands_take_align(tmp_path, capsys):
    data, answers = table(tmp_path / "d.csv", slice(None)), numbers(tmp_path / "a.txt", slice(None))
    rows = ["--set", "data.rows={labelled: 30, pool: 40, test: 20}", "--set", "train.epochs=1", "--set", "seeds=[0]"]
    words = [data, "--answers", answers, "--text", "text", "--set", "methods=[hard]", *rows]
    main(["init", *words, "--align", "rows", "--out", str(tmp_path / "e.yaml")])
    assert load(tmp_path / "e.yaml").teacher.align == "rows"
    main(["run", *words, "--align", "rows", "--out", str(tmp_path / "run")])
    assert experiment_in(tmp_path / "run").teacher.align == "rows"
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["run", *words, "--out", str(tmp_path / "none")])
    assert "write --align rows" in " ".join(capsys.readouterr().err.split())
    # An experiment file takes it too.
    text = (tmp_path / "e.yaml").read_text()
    assert "align: rows" in text
    (tmp_path / "by_id.yaml").write_text(text.replace("align: rows", "align: id"))
    main(["run", str(tmp_path / "by_id.yaml"), "--align", "rows", "--out", str(tmp_path / "x"), "--dry-run"])

    capsys.readouterr()
    main(["answers", answers, "--align", "rows", "--json"])
    assert json.loads(capsys.readouterr().out)["write"] == ["align: rows"]
    with_ids = tmp_path / "ids.csv"
    with_ids.write_text("id,label\na,ape\nb,cat\n")
    with pytest.raises(SystemExit):
        main(["answers", str(with_ids), "--align", "rows"])
    assert "has ids, by which it is joined; leave --align out" in " ".join(capsys.readouterr().err.split())
