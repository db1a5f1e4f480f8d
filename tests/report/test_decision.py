"""The first lines of terminal and report: which student to deploy, what it is worth, what comes next."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from overproof.evaluation.confusions import tally
from overproof.evaluation.findings.not_learned import NOT_LEARNED
from overproof.evaluation.judged import JudgedOn
from overproof.evaluation.verdict import Row, summarise
from overproof.report.decision import decision_of, hardly_named, recalls, rows_that_would_tell
from overproof.report.drawing import colours_of
from overproof.report.run_report import rows_in_detail
from overproof.report.sections import results_section
from overproof.runs.experiment import dump, experiment_from
from overproof.runs.folder.result_file import RunResult


def result(folder: Path, accuracies: dict[str, tuple[str, list[float]]], tallies=()) -> RunResult:
    rows = [
        Row(method=name, seed=seed, role=role, metrics={"accuracy": value, "macro_f1": value / 2, "num_examples": 1000})
        for name, (role, values) in accuracies.items()
        for seed, value in enumerate(values)
    ]
    students = [{"method": row.method, "seed": row.seed} for row in rows if row.method != "teacher"]
    return RunResult(
        folder=folder,
        name="x",
        class_names=("a", "b"),
        repeated={},
        rows=tuple(rows),
        summary=tuple(summarise(rows)),
        findings=(),
        students=tuple(students),
        tallies=tuple(tallies),
        judged_on=JudgedOn.of(1000, 0),
    )


def test_a_method_that_beats_is_deployed_with_its_worth_in_words(tmp_path):
    weights = tmp_path / "students" / "seed-0" / "auto" / "student.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(bytes(2_340_000))
    found = decision_of(
        result(
            tmp_path,
            {
                "labelled_only": ("reference", [0.60, 0.61]),
                "hard": ("conventional", [0.65, 0.66]),
                "auto": ("method", [0.75, 0.76]),
            },
        )
    )
    assert found.deploy.startswith(
        "Deploy auto (seed 0, the first of 2). It is right 75.0 % [72.2, 77.6] of the time on "
    )
    assert "on the test; mean of 2 seeds 75.5 % [" in found.deploy
    assert "that mean is 15.0 points above training on your labels alone" in found.deploy
    assert "'hard'" in found.deploy
    assert found.deploy.endswith("Macro F1 37.5 %, 2.3 MB.")
    assert (found.row, found.seed, found.accuracy, found.mean, found.num_seeds) == ("auto", 0, 0.75, 0.755, 2)
    assert found.beware == ()
    assert found.steps == (("deploy it", f"overproof export {tmp_path} --out x-student"),)


def test_a_row_that_finds_rare_classes_more_often_is_named(tmp_path):
    accuracies = {"labelled_only": ("reference", [0.6, 0.61]), "hard": ("conventional", [0.65, 0.66])}
    found = result(tmp_path, {**accuracies, "auto": ("method", [0.75, 0.76])})

    def with_f1(of_hard):
        values = {"labelled_only": 0.3, "hard": of_hard, "auto": 0.41}
        rows = [replace(row, metrics={**row.metrics, "macro_f1": values[row.method]}) for row in found.rows]
        return decision_of(replace(found, rows=tuple(rows))).beware

    assert with_f1(0.45) == ()
    assert with_f1(0.54) == (
        "hard has a macro F1 of 54.0 %, 13.0 points more (means over the seeds): it finds rare classes more often; "
        "deploy it where these matter as much as the others.",
    )


def test_students_that_have_not_learned_are_not_deployed(tmp_path):
    found = result(tmp_path, {"labelled_only": ("reference", [0.3]), "hard": ("conventional", [0.3])})
    unlearned = f"{NOT_LEARNED} after 4 epochs the training loss of hard is 1.7."
    decision = decision_of(replace(found, findings=("Something else.", unlearned)))
    assert decision.deploy == "Deploy none of these students: none has learned."
    assert (decision.beware, decision.steps) == ((unlearned,), ())
    assert decision_of(found).steps != ()


@pytest.mark.parametrize(("gain", "deployed"), [(0.1, "auto"), (-0.1, "hard")])
def test_the_bold_row_is_the_one_to_deploy(tmp_path, gain, deployed):
    accuracies = {"labelled_only": ("reference", [0.6, 0.61]), "hard": ("conventional", [0.65, 0.66])}
    found = result(tmp_path, {**accuracies, "auto": ("method", [0.65 + gain, 0.66 + gain])})
    table = results_section(found.summary).body
    assert re.findall(r'<tr class="deployed">\s*<th scope="row">(\w+)', table) == [deployed]
    assert decision_of(found).row == deployed


def test_commands_for_a_student_of_ones_own_code_can_be_typed_as_they_stand(tmp_path):
    accuracies = {"hard": ("conventional", [0.65, 0.66]), "slam": ("method", [0.66, 0.70])}
    content = {"data": {"files": {"all": {"path": "t.csv", "label": "y"}}, "rows": {"labelled": "all"}}}
    for student, ending in (("linear", ""), ("mine:Net", " --allow-import mine:Net"), ("sklearn.svm:SVC", "")):
        (tmp_path / "experiment.yaml").write_text(dump(experiment_from({**content, "student": student})))
        steps = decision_of(result(tmp_path, accuracies)).steps
        assert [
            command.endswith(f".csv{ending}") or command.endswith(f"x-student{ending}") for _, command in steps
        ] == [
            True,
            True,
        ]


def test_where_nothing_is_certain_the_next_labels_are_named(tmp_path):
    accuracies = {
        "teacher": ("reference", [0.9, 0.9]),
        "labelled_only": ("reference", [0.70, 0.71]),
        "hard": ("conventional", [0.65, 0.66]),
        "slam": ("method", [0.64, 0.68]),
    }
    found = decision_of(result(tmp_path / "a folder", accuracies))
    # The row that is deployed is the one to beat.
    assert found.deploy.startswith("Deploy labelled_only")
    assert any("--purpose verdict --between slam,labelled_only" in command for _, command in found.steps)
    assert all(f"'{tmp_path}/a folder'" in command for _, command in found.steps)
    assert found.beware == (
        "The teacher itself is right 90.0 % of the time (mean of 2 seeds); the student is smaller, not better.",
    )


def test_labels_that_cannot_tell_two_students_apart_are_not_proposed(tmp_path):
    def steps(rival=None, own=None, *, labels=(0.70, 0.71), auto=(0.64, 0.68)):
        accuracies = {
            "labelled_only": ("reference", [*labels]),
            "hard": ("conventional", [0.65, 0.66]),
            "auto": ("method", [*auto]),
        }
        found = result(tmp_path, accuracies)
        more = {"auto": rival or {}, "labelled_only": own or {}}
        students = tuple({**each, **more.get(each["method"], {})} for each in found.students)
        return [what for what, _ in decision_of(replace(found, students=students)).steps]

    asks = "find out whether auto is better than labelled_only, by labels where they differ"
    alone = {"num_pool": 0}
    assert steps({"num_pool": 500}, alone) == ["deploy it", asks]
    # Both are trained on the labels alone; one is what the other chose.
    assert steps({"num_pool": 0, "search": {"row": {"method": "self_distilled"}}}, alone) == ["deploy it"]
    assert steps({"num_pool": 500, "search": {"row": {"method": "labelled_only"}}}) == ["deploy it"]
    # The table tells them apart.
    assert steps({"num_pool": 500}, alone, labels=(0.9, 0.9), auto=(0.65, 0.652)) == ["deploy it"]


def test_a_difference_that_no_number_of_examples_within_reach_tells_has_no_number(tmp_path):
    found = decision_of(result(tmp_path, {"hard": ("conventional", [0.65, 0.66]), "slam": ("method", [0.64, 0.68])}))
    assert found.beware == (
        "The 1000 examples that judge cannot tell slam from hard (+0.5 points [-18.6, +19.6]); even 100 times as many "
        "would not, if that difference is the true one.",
    )
    # Nor would labels of people.
    assert [what for what, _ in found.steps] == ["deploy it"]
    # Where another row is deployed, that comparison decides nothing.
    labels = {"labelled_only": ("reference", [0.70, 0.71])}
    rows = {"hard": ("conventional", [0.65, 0.66]), "slam": ("method", [0.64, 0.68])}
    assert decision_of(result(tmp_path, labels | rows)).beware == ()


def test_examples_too_few_to_tell_say_how_many_would():
    def said(num, more, seeds=1, times=1):
        place = torch.arange(num * times)
        rows = [
            Row(method=name, role=role, seed=seed, metrics={"accuracy": own.double().mean().item(),
                "num_examples": num * times}, correct=own)
            for name, role, share in (("hard", "conventional", 70), ("slam", "method", 70 + more))
            for seed in range(seeds)
            for own in [place % num < share]
        ]  # fmt: skip
        return rows_that_would_tell(summarise(rows)[1])

    # Two of a hundred rows differ: z^2 (.02 - .02^2) / .02^2 = 188.2 rows, times 100/99 for the variance.
    assert said(100, 2) == [
        "The 100 examples that judge cannot tell slam from hard (+2.0 points [-0.8, +4.8]); about 200 would, if that "
        "difference is the true one."
    ]
    assert said(100, 2, times=2) == []
    # Twice the examples, and a little more than 1.9 times the two seeds.
    assert "; about 200 with 4 seeds would, if" in said(100, 2, seeds=2)[0]
    # What is decided, and what does not differ at all, needs none.
    assert said(100, 20) == said(100, 0) == []


@pytest.mark.parametrize("seeds", [[0.62, 0.70, 0.72], [0.72, 0.62, 0.70]])
def test_what_is_said_of_the_student_is_of_its_seed_and_no_seed_is_chosen_by_the_test(tmp_path, seeds):
    label = torch.tensor([0] * 30 + [1] * 20)
    tallies = [
        tally("hard", seed, torch.nn.functional.one_hot(named, 2).float(), label, None)
        for seed, named in enumerate([torch.zeros(50, dtype=torch.long), label, label])
    ]
    found = decision_of(result(tmp_path, {"hard": ("conventional", seeds)}, tallies))
    assert found.deploy.startswith(f"Deploy hard (seed 0, the first of 3). It is right {100 * seeds[0]:.1f} % [")
    assert "; mean of 3 seeds 68.0 % [" in found.deploy
    assert found.beware[:2] == ("Recall: a 100 %, b 0 %.", "It hardly ever names 'b'.")
    # One seed is its own mean.
    alone = decision_of(result(tmp_path, {"hard": ("conventional", [0.62])}))
    assert alone.deploy.startswith(
        "Deploy hard (seed 0). It is right 62.0 % [59.0, 65.0] of the time on the test, and no"
    )
    assert "mean" not in alone.deploy


def test_a_gain_over_the_labels_that_may_be_chance_is_called_that(tmp_path):
    def said(*hard):
        accuracies = {"labelled_only": ("reference", [0.70, 0.71]), "hard": ("conventional", [*hard])}
        return decision_of(result(tmp_path, accuracies)).deploy

    assert "that mean is 2.0 points above training on your labels alone, which may be chance" in said(0.69, 0.76)
    assert "2.0 points above training on your labels alone." in said(0.72, 0.73)


def test_classes_that_are_hardly_named_are_named():
    label = torch.tensor([0] * 30 + [1] * 20)
    named = torch.tensor([0] * 30 + [0] * 17 + [1] * 3)
    counted = tally("auto", 0, torch.nn.functional.one_hot(named, 2).float(), label, None)
    assert hardly_named([counted], "auto", ["a", "b"]) == ["b"]
    assert hardly_named([counted], "hard", ["a", "b"]) == []
    assert recalls([counted, counted], "auto", ["a", "b"]) == "Recall: a 100 %, b 15 %."
    assert recalls([counted], "hard", ["a", "b"]) == ""
    places = torch.arange(40) % 10
    wrong = torch.where((places == 3) & (torch.arange(40) > 20), 4, places)
    many = tally("auto", 0, torch.nn.functional.one_hot(wrong, 10).float(), places, None)
    assert recalls([many], "auto", [*"abcdefghij"]).startswith("Lowest recall of 10 classes: d 50 %, a 100 %, b 100 %")
    enough = tally("auto", 0, torch.nn.functional.one_hot(torch.cat([named[:46], label[46:]]), 2).float(), label, None)
    assert hardly_named([enough], "auto", ["a", "b"]) == []
    # Of a class with few examples nothing is said.
    few = tally("auto", 0, torch.eye(2)[torch.zeros(12, dtype=torch.long)], torch.tensor([0] * 3 + [1] * 9), None)
    assert hardly_named([few], "auto", ["a", "b"]) == []


def test_the_errors_of_the_student_to_deploy_are_shown_first(tmp_path):
    rows = {"hard": ("conventional", [0.65, 0.66]), "auto": ("method", [0.64, 0.68]), "slam": ("method", [0.6, 0.61])}
    labels = {"labelled_only": ("reference", [0.70, 0.71])}
    assert rows_in_detail(result(tmp_path, labels | rows)) == ["labelled_only", "auto", "hard"]
    assert rows_in_detail(result(tmp_path, rows)) == ["hard", "auto"]


def test_a_table_without_students_has_no_decision(tmp_path):
    assert decision_of(result(tmp_path, {"teacher": ("reference", [0.9])})) is None


@pytest.mark.parametrize("names", [["auto", "hard"], ["x", "y", "auto", "hard", "teacher", "z"]])
def test_a_method_has_the_same_colour_in_every_chart_and_no_other_has_it(names):
    shades = colours_of(names)
    assert len(set(shades.values())) == len(names)
    assert shades["auto"] == colours_of(["auto"])["auto"]
    assert {name: shades[name] for name in names} == shades
