"""Examples without an answer: counted, left out or refused as the options say; the test needs none."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest

import overproof
from overproof.errors import InputError
from overproof.runs.answered import read_answered
from overproof.runs.caches import Caches
from overproof.runs.experiment import MethodOptions, experiment_from
from overproof.runs.folder.result_file import read_result
from overproof.runs.pipeline import open_run
from overproof.runs.plan import dry_run
from overproof.teachers import from_files
from overproof.teachers.options import TeacherOptions


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Rows of two classes: 120 without a label, 60 with one, and 40 of a test in a file of its own."""
    folder, draw = tmp_path_factory.mktemp("answered"), np.random.default_rng(0)
    rows = []
    for i in range(220):
        kind = "no" if i % 2 else "yes"
        x = draw.normal() + 2 * (kind == "yes")
        rows.append([f"r{i}", f"{x:.4f}", f"{draw.normal():.4f}", "" if 60 <= i < 180 else kind, kind])
    for name, part in (("all", rows[:180]), ("test", rows[180:])):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["key", "x", "z", "kind"], *(row[:4] for row in part)])
    return folder, rows


def experiment(table, *, left_out=(), test=True, **teacher):
    """An experiment whose answers lack some rows, say `?` in five, and are written otherwise in four."""
    folder, rows = table
    words = {i: "maybe" for i in range(70, 75)} | {i: " Yes." for i in range(80, 88, 2)}
    kept = [i for i in range(220 if test else 180) if i not in left_out]
    name = f"answers-{len(left_out)}-{test}.csv"
    with (folder / name).open("w", newline="") as file:
        csv.writer(file).writerows([["id", "label"], *([rows[i][0], words.get(i, rows[i][4])] for i in kept)])
    source = {"label": "kind", "id": "key"}
    files = {"all": {"path": str(folder / "all.csv"), **source}, "test": {"path": str(folder / "test.csv"), **source}}
    return experiment_from(
        {
            "data": {"files": files, "rows": {"labelled": "all"}},
            "teacher": {"answers": str(folder / name), **teacher},
            "student": {"name": "linear"},
            "train": {"epochs": 1},
            "methods": ["hard"],
            "seeds": [0],
        }
    )


def sizes(given) -> dict[str, int]:
    return {role: len(each) for role, each in read_answered(given, None, Caches()).for_seed(0).by_role().items()}


def test_examples_without_an_answer_are_left_out_but_for_their_labels(table):
    given = experiment(table, left_out=(3, 4, 100), unanswered="drop")
    assert sizes(given) == {"labelled": 60, "pool": 114, "test": 40}
    remarks = read_answered(given, None, Caches()).remarks
    assert any("4 answers spell a class otherwise and are read as it: ' Yes.' as 'yes' (4)" in each for each in remarks)
    assert any(
        each.endswith(
            "no answer to 8 of 180 labelled and pool examples ('maybe' (5), 3 have no row); 6 without a label are left "
            "out (`teacher.unanswered: drop`); 2 keep their label, which students are trained on, and the teacher's "
            "errors are estimated on the other 58 with a label."
        )
        for each in remarks
    )
    assert sizes(experiment(table, left_out=(3, 4, 100), unanswered="uniform")) == {
        "labelled": 60, "pool": 120, "test": 40,
    }  # fmt: skip
    aliases = experiment(table, unanswered="drop", aliases={"maybe": "no"})
    assert sizes(aliases) == {"labelled": 60, "pool": 120, "test": 40}


def test_they_are_left_out_where_labelled_rows_are_cross_validated_too(table):
    # Roles are drawn once before, to see what a saved student was trained on; that draw must not be kept.
    given = experiment(table, left_out=(3, 4, 100), test=False, unanswered="drop")
    data = given.data.model_copy(
        update={"files": {"all": given.data.files["all"]}, "rows": {"labelled": "all", "test": "cross-validate"}}
    )
    crossed = given.model_copy(update={"data": data})
    assert crossed.data.cross_validated
    assert sizes(crossed) == {"labelled": 60, "pool": 114}
    assert dry_run(crossed).counts == {"labelled": 60, "pool": 114}


@pytest.mark.parametrize(("silent", "judged"), [((3, 4, *range(90, 160)), True), (range(7), False)])
def test_the_teacher_has_no_row_where_too_few_labelled_rows_have_an_answer_whatever_of_the_pool(table, silent, judged):
    given = experiment(table, left_out=tuple(silent), test=False, unanswered="drop")
    rows = {"labelled": "all", "test": "cross-validate"}
    data = given.data.model_copy(update={"files": {"all": given.data.files["all"]}, "rows": rows})
    remarks = read_answered(given.model_copy(update={"data": data}), None, Caches()).remarks
    assert any("the teacher is not judged, and has no row in the table" in each for each in remarks) != judged


@pytest.mark.parametrize(("wanted", "without_answer"), [(60, 4), (58, 2), (56, 0), (40, 0)])
def test_labels_without_an_answer_are_drawn_where_those_with_one_are_too_few(table, wanted, without_answer):
    given = experiment(table, left_out=(3, 4, 5, 6, 100), unanswered="drop")
    given = given.model_copy(update={"data": given.data.model_copy(update={"rows": {"labelled": wanted}})})
    roles = read_answered(given, None, Caches()).for_seed(0)
    silent = {"r3", "r4", "r5", "r6", "r100"} | {f"r{i}" for i in range(70, 75)}
    assert len(roles.labelled) == wanted
    assert len(silent & set(roles.labelled.keys.to_pylist())) == without_answer
    assert not silent & set(roles.pool.keys.to_pylist())


def test_their_labels_train_students_and_say_nothing_of_the_teacher(table, tmp_path):
    names = ("wd", "slam", "born_again")
    given = experiment(table, left_out=(3, 4), unanswered="drop").model_copy(
        update={"methods": tuple(MethodOptions(method=name) for name in names)}
    )
    result = overproof.run(given, tmp_path / "run")
    wd, slam, born_again = (next(each for each in result.students if each["method"] == name) for name in names)
    # A third of the 58 with an answer is held out; all others are trained on.
    assert (wd["num_labelled"], wd["num_held_out"]) == (40, 20)
    assert (slam["num_labelled"], born_again["num_labelled"]) == (60, 58)
    assert any("'born_again' learns from the teacher's answers to labelled" in each for each in result.findings)
    # The teacher is right on all 58, and on the test.
    assert born_again["teacher_accuracy"]["mean"] == pytest.approx(1.0)
    assert born_again["teacher_accuracy"]["num"] == 58
    assert not any("contradicts" in each for each in result.findings)


def test_a_test_of_another_labeller_contradicts_the_labels(table, tmp_path):
    given, (_, rows) = experiment(table, unanswered="drop"), table
    with (tmp_path / "test.csv").open("w", newline="") as file:
        flipped = [
            [*row[:3], row[3] if i % 4 else {"no": "yes", "yes": "no"}[row[3]]] for i, row in enumerate(rows[180:])
        ]
        csv.writer(file).writerows([["key", "x", "z", "kind"], *flipped])
    test = replace(given.data.files["test"], path=str(tmp_path / "test.csv"))
    files = {**given.data.files, "test": test}
    other = given.model_copy(update={"data": given.data.model_copy(update={"files": files})})
    found = overproof.run(other, tmp_path / "run").findings
    (said,) = [each for each in found if each.startswith("The test contradicts that")]
    assert "the teacher is right on 75.0% of it" in said
    assert "25.0 points below the labelled examples" in said
    # A teacher that is trained here answers them out of fold, unless others than its training data are there.
    assert not given.labelled_by_fold
    trained = {
        "teacher": {"model": "linear", "folds": 3},
        "student": {"name": "linear"},
        "methods": ["hard"],
        "seeds": [0],
    }
    for more, by_fold in (({}, True), ({"validation": 20}, False)):
        data = {
            "files": {"all": {"path": "a.csv", "label": "kind"}},
            "rows": {"labelled": 20, "pool": 50, "test": 20, **more},
        }
        assert experiment_from({"data": data, **trained}).labelled_by_fold == by_fold


def test_several_teachers_are_weighed_where_all_of_them_answer(table, tmp_path):
    linear = {"model": "sklearn.linear_model:LogisticRegression", "folds": 3}
    given = experiment(table, left_out=(3, 4), unanswered="drop", others=[linear])
    overproof.run(given, tmp_path / "run")
    run = open_run(tmp_path / "run", allow_import=[linear["model"]])
    answers = run.teacher.for_seed(0)["labelled"]
    keys = run.seed_roles(0).labelled.keys.to_pylist()
    assert {key for key, answered in zip(keys, answers.answered.tolist(), strict=True) if not answered} == {"r3", "r4"}
    assert answers.probs()[~answers.answered].tolist() == [[0.5, 0.5]] * 2
    assert (answers.probs()[answers.answered].sum(dim=1) - 1).abs().max() < 1e-3


def test_cross_validated_labels_without_an_answer(table, tmp_path):
    given = experiment(table, left_out=(3, 4), test=False, unanswered="drop")
    data = given.data.model_copy(
        update={"files": {"all": given.data.files["all"]}, "rows": {"labelled": "all", "test": "cross-validate"}}
    )
    result = overproof.run(given.model_copy(update={"data": data}), tmp_path / "run")
    assert {row.method: row.metrics["num_examples"] for row in result.rows} == dict.fromkeys(
        ("teacher", "labelled_only", "hard", "soft"), 60
    )
    # Two guesses of 60, each right half of the time.
    teacher = next(row for row in result.rows if row.method == "teacher")
    assert teacher.metrics["accuracy"] == pytest.approx(59 / 60)
    assert teacher.metrics["num_no_class"] == 2


def test_a_teacher_that_is_trained_on_the_labels_is_named(table):
    given = experiment(table)
    named = read_answered(given.model_copy(update={"teacher": TeacherOptions()}), None, Caches()).remarks[0]
    assert named == (
        "The teacher: gradient boosted trees (scikit-learn), trained on the 60 labels and cross-fitted in 5 folds."
    )
    assert not any(each.startswith("The teacher:") for each in read_answered(given, None, Caches()).remarks)


def test_they_are_refused_where_nothing_is_said(table, tmp_path):
    with pytest.raises(InputError, match=r"no answer for 5 of the 120 examples of all .*'maybe' \(5\).* aliases name"):
        overproof.run(experiment(table), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    # What a run refuses, its plan refuses.
    with pytest.raises(InputError, match=r"no answer for 5 of the 120 examples of all .*'maybe' \(5\).* aliases name"):
        dry_run(experiment(table))
    labelled = [*range(60), *range(180, 220)]
    with pytest.raises(InputError, match="answers none of the 60 labelled examples, which show where the teacher errs"):
        read_answered(experiment(table, left_out=labelled, unanswered="drop"), None, Caches())
    with pytest.raises(InputError, match="answers none of the 180 labelled and pool examples; are their ids"):
        read_answered(experiment(table, left_out=range(180), unanswered="drop"), None, Caches())


def test_few_gaps_in_the_test_are_guesses(table):
    given = experiment(table, left_out=(190, 191, 200), unanswered="drop")
    roles = read_answered(given, None, Caches())
    sentence = (
        "no answer to 3 of 40 test examples; each counts as a guess in the teacher's row, as 1/2 of a right answer, "
        "and in no confusion, disagreement or agreement with it"
    )
    assert any(sentence in each for each in roles.remarks)
    files = {"test": roles.fixed["test"], "pool": roles.for_seed(0).pool}
    answers = from_files(given.teacher.answers, files, roles.class_names)
    assert sorted(answers) == ["pool", "test"]
    assert int((~answers["test"].answered).sum()) == 3
    given = experiment(table, left_out=(190, 191, 200, 201), unanswered="drop")
    assert "test" in from_files(given.teacher.answers, files, roles.class_names), "90 % are enough"
    given = experiment(table, left_out=(190, 191, 200, 201, 202), unanswered="drop")
    assert sorted(from_files(given.teacher.answers, files, roles.class_names)) == ["pool"]


def test_the_test_needs_no_answers(table, tmp_path):
    given = experiment(table, test=False, unanswered="drop")
    result = overproof.run(given, tmp_path / "run", report=True)
    assert {row.method for row in result.rows} == {"labelled_only", "hard", "soft"}
    assert "agreement" not in result.rows[0].metrics
    assert any("no answer to 40 of 40 test examples" in each and "not judged" in each for each in result.findings)
    assert json.loads((tmp_path / "run/result.json").read_text())["rows"]
    assert read_result(tmp_path / "run").summary
    assert "<html" in (tmp_path / "run/report.html").read_text()


def test_a_guess_is_no_answer_of_the_first_class(table, tmp_path):
    """Five gaps in the pool, three in the test and two among the labels; all of them are of the class `yes`."""
    silent = (190, 192, 194)
    given = experiment(table, left_out=(4, 6, *range(100, 110, 2), *silent), unanswered="uniform").model_copy(
        update={"methods": tuple(MethodOptions(method=name) for name in ("hard", "soft", "slam"))}
    )
    result = overproof.run(given, tmp_path / "run", report=True)
    names = list(result.class_names)
    teacher = next(row for row in result.rows if row.method == "teacher")
    # The true class of the three is the last one, so that the first is wrong for all of them.
    truth = {row[0]: row[4] for row in table[1]}
    assert [names.index(truth[f"r{i}"]) for i in silent] == [1, 1, 1]
    assert teacher.metrics["accuracy"] == pytest.approx((37 + 3 / 2) / 40)
    assert (teacher.metrics["num_no_class"], teacher.metrics["agreement"]) == (3, 1.0)
    assert "accuracy_where_teacher_wrong" not in teacher.metrics
    assert result.summary[0].method == "teacher"
    low, high = result.summary[0].low, result.summary[0].high
    assert low < 38.5 / 40 < high
    tallies = {each.method: each for each in result.tallies}
    # 17 of the class with the gaps, 20 of the other; no confusion, no disagreement about the gaps.
    assert tallies["teacher"].confusion == [[20, 0], [0, 17]]
    assert sum(sum(each) for each in tallies["hard"].confusion) == 40
    assert not {each["row"] for each in tallies["hard"].disagreements} & {10, 12, 14}
    trained = {each["method"]: each for each in result.students}
    # The five of the pool and the five words that are no class are left out where a class is named.
    left_out = {name: (each["num_pool"], each.get("num_classless", 0)) for name, each in trained.items()}
    assert [left_out[name] for name in ("hard", "soft", "slam")] == [(110, 10), (120, 0), (110, 10)]
    assert trained["hard"]["selection"] == {"num_pool": 110, "num_kept": 110}
    assert any(
        each.startswith("10 pool examples have no answer, or one that") and each.endswith("left out of hard, slam.")
        for each in result.findings
    )
    # The teacher is right on all 58 labels with an answer: the two without one say nothing.
    assert trained["slam"]["teacher_accuracy"]["mean"] == 1.0
    assert trained["slam"]["noise"]["num_examples"] <= 58


def test_a_pool_without_any_class_is_refused_where_a_class_is_learned(table, tmp_path):
    given = experiment(table, left_out=[*range(60, 180)], unanswered="uniform")
    with pytest.raises(InputError, match="None of the 120 pool examples has an answer that names a class"):
        overproof.run(given, tmp_path / "run")
