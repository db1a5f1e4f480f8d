"""The search for the method: judged out of sample, within its budget, resumable, the same from Python and YAML."""

import functools
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import one_hot

from overproof import TrainOptions, distill
from overproof.answers.predictions import compress
from overproof.api import run
from overproof.cross_fitting import folds
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.evaluation.findings import RunFacts
from overproof.evaluation.findings import chosen as chosen_finding
from overproof.functional.repeats import Repeats
from overproof.methods.composition import override
from overproof.methods.published import method
from overproof.methods.search import Search
from overproof.models import Dense, ModelSpec, build
from overproof.runs.experiment import experiment_from
from overproof.synthetic import blobs
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.peer_rounds.rounds import CorrectedAnswers, RoundRecord
from overproof.training.search import cross_validation as cross_validation_module
from overproof.training.search.candidates import Candidate, neighbours, preferred, regime
from overproof.training.search.choose import FEWEST, choose
from overproof.training.search.cross_validation import CrossValidation, Trial

QUICK = TrainOptions(epochs=2, batch_size=64, learning_rate=0.05)
NUM = 120
"""Labelled examples of the worlds below."""


def validation_of(folder: Path, *, probs=None, label=None, student="linear", validation=0, trust=True, group=None):
    """Cross-validation of a student on a world of three classes; the first examples are labelled, the last judge."""
    world = blobs(num_examples=420, num_classes=3, seed=0)
    examples = from_arrays(world.inputs, world.label)
    label = world.label if label is None else label
    built = build(ModelSpec(name=student), [examples], class_names=tuple("abc"), seed=0)
    answers = compress(world.teacher_probs if probs is None else probs).identified(examples.ids)
    everyone = AnsweredExamples(place=torch.arange(420), label=label, answers=answers)
    labelled = everyone.take(torch.arange(NUM))
    labelled = labelled if group is None else replace(labelled, group=group)
    pool = everyone.take(torch.arange(NUM, 420 - validation))
    data = TrainingData(
        inputs=built.encode(examples),
        labelled=labelled,
        pool=replace(pool, label=torch.full_like(pool.label, -1)),
        validation=everyone.take(torch.arange(420 - validation, 420)) if validation else None,
        trust_labelled_answers=trust,
    )
    return CrossValidation(
        fresh=lambda: built.fresh(seed=0),
        data=data,
        seed=1,
        fold=folds(labelled.label, 2, 0, labelled.repeats.group) if trust else None,
        without_fold=[pool.answers] * 2,
        content="",
        folder=folder,
        workers=1,
    )


# --- out of sample


def test_a_student_that_memorises_random_labels_is_judged_at_chance(tmp_path):
    random = torch.randint(3, (420,), generator=torch.Generator().manual_seed(7))
    found = validation_of(tmp_path, label=random, student="mlp")
    learns = TrainOptions(epochs=40, batch_size=60, learning_rate=0.02)
    (probs,) = found.probs([Trial(method=method("labelled_only"), train=learns)])
    right = (probs.argmax(dim=1) == random[:NUM]).double().mean().item()
    assert abs(right - 1 / 3) < 0.14
    # Judged on what it was trained on, the same student would be far above chance.
    found = replace(found, fold=torch.zeros_like(found.fold), content="in sample", without_fold=found.without_fold[:1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cross_validation_module, "rows_without", lambda fold, number: torch.arange(NUM))
        (probs,) = found.probs([Trial(method=method("labelled_only"), train=learns)])
    assert (probs.argmax(dim=1) == random[:NUM]).double().mean() > 0.55


@pytest.fixture
def spied(monkeypatch):
    """What the students of a search are trained on."""
    seen = []
    real = cross_validation_module.distilled

    def spy(student, data, **options):
        seen.append(data)
        return real(student, data, **options)

    monkeypatch.setattr(cross_validation_module, "distilled", spy)
    return seen


def test_no_student_sees_its_fold_nor_answers_of_a_teacher_that_did(tmp_path, spied):
    found = validation_of(tmp_path)
    apart = [compress(torch.tensor([[0.4, 0.3, 0.3]]).repeat(300, 1)), found.data.pool.answers]
    found = replace(found, without_fold=apart)
    found.probs([Trial(method=method("hard"), train=QUICK)])
    for number, data in enumerate(spied):
        assert sorted(data.labelled.place.tolist()) == (found.fold != number).nonzero()[:, 0].tolist()
        assert (data.pool.label == -1).all()
        assert torch.equal(data.pool.answers.class_probs, apart[number].class_probs)


def test_examples_of_a_group_are_not_on_both_sides(tmp_path, spied):
    group = torch.arange(NUM) // 4
    found = validation_of(tmp_path, group=group)
    found.probs([Trial(method=method("hard"), train=QUICK)])
    for data in spied:
        trained_on = set(data.labelled.group.tolist())
        judged = set(group.tolist()) - trained_on
        assert len(judged) * 4 + len(data.labelled) == NUM


def test_validation_examples_are_judged_by_the_mean_and_never_trained_on(tmp_path, spied):
    found = validation_of(tmp_path, validation=50)
    (probs,) = found.probs([Trial(method=method("hard"), train=QUICK)])
    assert len(probs) == len(found.label) == NUM + 50
    assert all((data.labelled.place < NUM).all() and (data.pool.place < 370).all() for data in spied)
    assert torch.allclose(probs.sum(dim=1), torch.ones(NUM + 50), atol=1e-5)


def test_where_the_teacher_saw_the_labels_only_validation_examples_judge(tmp_path, spied):
    found = validation_of(tmp_path, validation=50, trust=False)
    (probs,) = found.probs([Trial(method=method("hard"), train=QUICK)])
    assert len(probs) == 50
    assert len(spied) == 1
    assert len(spied[0].labelled) == NUM


def test_a_part_of_the_pool_is_the_same_for_all_candidates_and_keeps_the_epochs(tmp_path, spied):
    found = validation_of(tmp_path)
    found.probs([Trial(method=method(name), train=QUICK, pool_share=0.5) for name in ("hard", "soft")])
    places = [data.pool.place.tolist() for data in spied]
    assert len(places[0]) == 150
    assert places == [places[0]] * 4
    assert places[0] == sorted(places[0])


# --- stored


def test_stored_predictions_are_read_and_damaged_ones_made_again(tmp_path, spied):
    trial = Trial(method=method("hard"), train=QUICK)
    (first,) = validation_of(tmp_path).probs([trial])
    (again,) = validation_of(tmp_path).probs([trial])
    assert torch.equal(first, again)
    assert len(spied) == 2
    path = sorted(tmp_path.glob("*.safetensors"))[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    (repaired,) = validation_of(tmp_path).probs([trial])
    assert torch.equal(first, repaired)
    assert len(spied) == 3


@pytest.mark.parametrize(
    "changed",
    [
        {"trial": Trial(method=method("soft"), train=QUICK)},
        {"trial": Trial(method=method("hard"), train=QUICK.model_copy(update={"learning_rate": 0.01}))},
        {"trial": Trial(method=method("hard"), train=QUICK, pool_share=0.5)},
        {"seed": 2},
        {"content": "other data"},
    ],
)
def test_other_trials_seeds_and_data_are_stored_apart(tmp_path, spied, changed):
    trial = Trial(method=method("hard"), train=QUICK)
    validation_of(tmp_path).probs([trial])
    other = changed.pop("trial", trial)
    replace(validation_of(tmp_path), **changed).probs([other])
    assert len(spied) == 4


def test_how_often_a_state_is_saved_changes_no_key():
    often = QUICK.model_copy(update={"checkpoint_seconds": 0.0})
    assert Trial(method=method("hard"), train=QUICK).key == Trial(method=method("hard"), train=often).key


# --- the choice


class Prescribed(CrossValidation):
    """A cross-validation whose candidates have prescribed predictions, counted."""

    num_folds = 2

    def __init__(self, probs, *, num=200, hard=False, repeats=None) -> None:
        label = torch.arange(num) % 2
        drawn = torch.rand(num, generator=torch.Generator().manual_seed(0)) / 2 + 0.5
        answers = compress(torch.eye(2)[label] if hard else torch.stack([drawn, 1 - drawn], dim=1))
        part = AnsweredExamples(place=torch.arange(num), label=label, answers=answers)
        data = TrainingData(inputs=Dense(values=torch.zeros(num, 2)), labelled=part, pool=part)
        repeats = Repeats.none(num) if repeats is None else repeats
        self.__dict__.update(label=label, by_name=probs, asked=[], seed=0, repeats=repeats, data=data)

    def fresh(self):
        return build(ModelSpec(name="linear"), [from_arrays(torch.randn(4, 2))], class_names=("a", "b"), seed=0)

    def num_pool(self, share: float) -> int:
        return round(share * len(self.data.pool))

    def probs(self, trials):
        found = []
        for trial in trials:
            name = next(
                each.name
                for each in ALL
                if each.build() == trial.method
                and trial.train == QUICK.model_copy(update=each.train(QUICK, self.fresh()))
            )
            self.asked.append(name)
            found.append(self.by_name(name, self.label))
        return found


ALL = [
    Candidate(method=name, learning_rate=rate, balanced=balanced)
    for name in ("hard", "soft", "slam_auto", "forward", "labelled_only", "fidelity")
    for rate in (1.0, 0.25, 0.0625, 4.0)
    for balanced in ((False, True) if name != "fidelity" else (False,))
]


def right_on(share: dict[str, float], otherwise: float = 0.6):
    """Predictions that are right on a share of the examples, .8 to the class; the same examples for all."""

    def probs(name: str, label: torch.Tensor) -> torch.Tensor:
        right = torch.arange(len(label)) * 7919 % len(label) < share.get(name, otherwise) * len(label)
        return one_hot(torch.where(right, label, 1 - label), 2) * 0.6 + 0.2

    return probs


def chosen(found, **options):
    return choose(found, Search(**options), QUICK)


def test_the_lowest_log_loss_is_chosen_where_it_is_clear():
    result = chosen(Prescribed(right_on({"forward": 0.95})), methods=("hard", "forward", "labelled_only"))
    assert result.record.chosen == "forward"
    assert result.method == method("forward")
    assert result.record.tried[0].name == "forward"
    assert result.record.tried[0].behind == 0


def test_within_a_standard_error_the_simpler_is_chosen_and_with_none_the_lowest():
    close = right_on({"hard": 0.8, "forward": 0.805, "forward, learning rate x 0.25": 0.81})
    methods = ("hard", "forward", "labelled_only")
    assert chosen(Prescribed(close), methods=methods, standard_errors=1).record.chosen == "forward"
    assert (
        chosen(Prescribed(close), methods=methods, standard_errors=0).record.chosen == "forward, learning rate x 0.25"
    )


def test_labels_alone_are_chosen_where_they_are_clearly_better():
    result = chosen(Prescribed(right_on({"labelled_only": 0.95})), methods=("hard", "slam_auto", "labelled_only"))
    assert result.record.chosen == "labelled_only"


def test_training_options_are_changed_one_by_one_from_the_best_so_far():
    better = right_on(
        {
            "hard": 0.7,
            "hard, learning rate x 0.25": 0.8,
            "hard, learning rate x 0.25, balanced classes": 0.95,
            "hard, balanced classes": 0.7,
        }
    )
    found = Prescribed(better)
    result = chosen(found, methods=("hard", "labelled_only"))
    assert result.record.chosen == "hard, learning rate x 0.25, balanced classes"
    assert result.train.learning_rate == pytest.approx(0.05 / 4)
    assert result.record.row == {
        "method": "hard",
        "options": {"labelled.weight": "class_balanced", "pool.weight": "class_balanced"},
        "train": {"learning_rate": 0.0125},
    }
    assert found.asked.index("hard, learning rate x 0.25") < found.asked.index(
        "hard, learning rate x 0.25, balanced classes"
    )


def test_a_higher_learning_rate_is_tried_where_the_lower_one_is_no_better_and_others_not_at_the_clearly_worse():
    high = {name: 0.9 for name in ("forward, learning rate x 4", "forward, learning rate x 4, balanced classes")}
    low = {f"{name}, learning rate x 0.25": 0.5 for name in ("hard", "forward")}
    found = Prescribed(right_on({**high, **low}, otherwise=0.7))
    result = chosen(found, methods=("hard", "forward", "labelled_only"), budget=7)
    assert result.record.chosen == "forward, learning rate x 4"
    assert found.asked.index("forward, learning rate x 0.25") < found.asked.index("forward, learning rate x 4")
    assert "hard, learning rate x 4" in found.asked
    assert not any(each.startswith("hard, learning rate x 0.25") for each in found.asked)


def test_other_methods_are_tried_at_the_best_learning_rate_first_and_then_from_the_highest():
    """All are equally good, so that no rate is clearly worse and the order decides what the budget pays for."""
    found = Prescribed(right_on({}))
    chosen(found, methods=("hard", "forward", "labelled_only"), balanced=False, weight_decays=(1.0,))
    first = found.asked[0].partition(",")[0]
    (other,) = {each.partition(",")[0] for each in found.asked} - {first, "labelled_only"}
    rates = [each for each in found.asked if each.startswith(other)]
    assert rates[:3] == [other, f"{other}, learning rate x 4", f"{other}, learning rate x 0.25"]


@pytest.mark.parametrize("budget", [1, 3, 8])
def test_no_more_than_the_budget_is_spent(budget):
    found = Prescribed(right_on({}))
    result = chosen(found, budget=budget)
    assert len(found.asked) <= budget
    assert result.record.cost == len(found.asked)
    assert len(set(found.asked)) == len(found.asked)
    if budget == 1:
        assert ("soft", "the budget is used up") in result.record.left_out


def test_what_is_spent_on_rounds_is_not_spent_on_candidates():
    found = Prescribed(right_on({}))
    choose(found, Search(budget=8), QUICK, costs=4.0)
    assert len(found.asked) <= 4


def test_with_few_labels_the_usual_choice_is_taken_and_nothing_is_trained():
    found = Prescribed(right_on({"forward": 0.95}), num=FEWEST - 2)
    result = chosen(found)
    assert result.record.too_few
    assert found.asked == []
    assert result.record.chosen == "slam_auto"
    assert "too few" in result.record.reason


def test_copies_of_labelled_examples_do_not_make_them_many():
    repeats = Repeats.of(list(range(40)) * 5)
    result = chosen(Prescribed(right_on({"forward": 0.95}), repeats=repeats))
    assert result.record.num_judged == 40
    assert result.record.too_few


def test_soft_is_not_tried_for_a_teacher_of_hard_labels():
    found = Prescribed(right_on({}), hard=True)
    result = chosen(found)
    assert "soft" not in found.asked
    assert ("soft", "with hard labels it is the same as 'hard'") in result.record.left_out


def test_what_cannot_be_trained_is_left_out_with_its_reason_and_nothing_left_is_an_error():
    found = Prescribed(right_on({}))
    result = chosen(found, methods=("hard", "self_distilled"))
    assert ("self_distilled", "it takes several trainings") in result.record.left_out
    with pytest.raises(InputError, match="none can be trained here: it takes several trainings"):
        chosen(found, methods=("self_distilled",))


def test_methods_with_weights_of_their_own_are_not_balanced():
    problem = Candidate(method="fidelity", balanced=True).problem(
        Prescribed(right_on({})).fresh(), QUICK, unseen=True, validation=False
    )
    assert problem == "it has weights of its own"


def test_the_prior_depends_on_what_the_teacher_gives():
    assert regime(hard_labels=True, sets=False, num_classes=20) == "hard labels"
    assert regime(hard_labels=False, sets=False, num_classes=3) != regime(hard_labels=False, sets=False, num_classes=4)


def test_the_preference_puts_the_fewest_changes_first_and_labels_alone_last():
    tried = [
        Candidate(method="labelled_only"),
        Candidate(method="hard", balanced=True),
        Candidate(method="fidelity"),
        Candidate(method="hard"),
    ]
    names = [each.name for each in preferred(tried, ("slam_auto", "hard"))]
    assert names == ["hard", "fidelity", "hard, balanced classes", "labelled_only"]


def test_neighbours_are_one_step_away():
    near = neighbours(Candidate(method="hard", learning_rate=0.25), (1.0, 0.25, 4.0, 0.0625), (1.0,), balanced=False)
    assert [each.learning_rate for each in near] == [0.0625, 1.0]


# --- as a user calls it


@functools.cache
def world():
    return blobs(num_examples=700, num_classes=3, seed=0)


def distilled(probs, tmp_path=None, **options):
    known = world()
    return distill(
        "mlp",
        known.inputs[200:],
        probs[200:],
        known.inputs[:200],
        known.label[:200],
        probs[:200],
        method=override(method("auto"), "search.budget", options.pop("budget", 8.0)),
        train=TrainOptions(epochs=4, batch_size=64),
        checkpoint=None if tmp_path is None else tmp_path / "state.pt",
        **options,
    )


def test_a_teacher_that_knows_nothing_is_not_followed():
    named = torch.randint(3, (700,), generator=torch.Generator().manual_seed(7))
    result = distilled(one_hot(named, 3) * 0.9 + 0.1 / 3)
    assert result.search.chosen.partition(",")[0] in ("labelled_only", "forward", "slam_auto")
    right = result.student.probs(world().inputs[200:]).argmax(dim=1) == world().label[200:]
    assert right.double().mean() > 0.9
    assert result.method is not None
    assert result.method.search is None


def test_the_chosen_row_named_without_a_search_gives_the_same_student(tmp_path):
    result = distilled(world().teacher_probs)
    row = result.search.row
    built = method(row["method"])
    for path, value in row.get("options", {}).items():
        built = override(built, path, value)
    options = TrainOptions(epochs=4, batch_size=64, **row.get("train", {}))
    known = world()
    named = distill(
        "mlp",
        known.inputs[200:],
        known.teacher_probs[200:],
        known.inputs[:200],
        known.label[:200],
        known.teacher_probs[:200],
        method=built,
        train=options,
        rounds=row.get("rounds", 0),
    )
    for name, value in result.student.module.state_dict().items():
        assert torch.equal(value, named.student.module.state_dict()[name])


def test_the_same_call_again_reads_what_is_stored(tmp_path, monkeypatch):
    first = distilled(world().teacher_probs, tmp_path, budget=3.0)
    stored = {path: path.read_bytes() for path in (tmp_path / "search").iterdir()}
    assert stored
    monkeypatch.setattr(cross_validation_module, "distilled", None)
    again = distilled(world().teacher_probs, tmp_path, budget=3.0)
    assert again.search == first.search
    assert {path: path.read_bytes() for path in (tmp_path / "search").iterdir()} == stored


def test_an_unfitted_classifier_answers_the_pool_without_each_half(monkeypatch):
    from sklearn.linear_model import LogisticRegression

    seen = []
    real = cross_validation_module.distilled

    def spy(student, data, **options):
        seen.append(data)
        return real(student, data, **options)

    monkeypatch.setattr(cross_validation_module, "distilled", spy)
    known = world()
    monkeypatch.setattr(cross_validation_module, "run_jobs", lambda jobs, workers: [job() for job in jobs])
    distill(
        "linear",
        known.inputs[200:].numpy(),
        LogisticRegression(),
        known.inputs[:200].numpy(),
        known.label[:200].numpy(),
        method=override(method("auto"), "search.budget", 2.0),
        train=TrainOptions(epochs=2, batch_size=64),
    )
    fold = folds(known.label[:200], 2, 0)
    for data, number in zip(seen[:2], (0, 1), strict=True):
        rows = (fold != number).nonzero()[:, 0]
        fitted = LogisticRegression().fit(known.inputs[rows].numpy(), known.label[rows].numpy())
        expected = torch.from_numpy(fitted.predict_proba(known.inputs[data.pool.place].numpy())).float()
        assert torch.allclose(data.pool.answers.probs(), expected, atol=2e-3)


def experiment(tmp_path, **changes):
    known = world()
    rows = [",".join([*(f"x{i}" for i in range(known.inputs.shape[1])), "y"])]
    for inputs, label in zip(known.inputs.tolist(), known.label.tolist(), strict=True):
        rows.append(",".join([*(f"{value:.6f}" for value in inputs), f"class-{label}"]))
    (tmp_path / "all.csv").write_text("\n".join(rows) + "\n")
    content = {
        "name": "search",
        "data": {
            "files": {"all": {"path": str(tmp_path / "all.csv"), "label": "y"}},
            "rows": {"labelled": 100, "pool": 300, "test": 200},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 5},
        "student": {"name": "linear"},
        "train": {"epochs": 2, "batch_size": 64},
        "methods": [
            {"method": "auto", "options": {"search.budget": 2, "search.rounds": 0}},
            {"method": "hard_tuned", "options": {"search.budget": 1}},
            {"method": "soft_tuned", "options": {"search.budget": 1}},
        ],
        "seeds": [0],
    }
    return experiment_from({**content, **changes})


def test_a_run_compares_it_with_tuned_conventional_rows_and_writes_what_it_tried(tmp_path):
    result = run(experiment(tmp_path), tmp_path / "run", report=True)
    roles = {row.method: row.role for row in result.summary}
    assert roles["hard_tuned"] == roles["soft_tuned"] == "conventional"
    assert roles["auto"] == "method"
    facts = json.loads((tmp_path / "run/students/seed-0/auto/row.json").read_text())["search"]
    assert facts["tried"]
    assert facts["num_judged"] == 100
    assert any(sentence.startswith("auto chose ") for sentence in result.findings)
    assert facts["tried"][0]["name"] in (tmp_path / "run/report.html").read_text()
    # The teacher's answers without each half are stored, and the students' predictions shared by the rows.
    assert (tmp_path / "run/labels/seed-0/pool-without-half-1").is_dir()
    assert "search: auto, seed 0, chose" in (tmp_path / "run/log.txt").read_text()


def test_conventional_rows_beside_it_are_tuned_too_and_alone_they_are_not(tmp_path):
    def rows(*methods):
        return [each.row for each in experiment(tmp_path, methods=list(methods)).rows()]

    assert rows("auto") == ["labelled_only", "hard", "soft", "hard_tuned", "soft_tuned", "auto"]
    assert rows("hard_tuned") == ["labelled_only", "hard", "soft", "hard_tuned"]
    assert rows("wd") == ["labelled_only", "hard", "soft", "wd"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 1}}, "labelled examples are in the"),
        ({"methods": [{"method": "auto", "options": {"search.budget": -1}}]}, "search.budget"),
        ({"methods": [{"method": "auto", "options": {"search.methods": ["slamm"]}}]}, "slamm"),
    ],
)
def test_experiments_that_cannot_choose_are_refused(tmp_path, changes, words):
    with pytest.raises(InputError, match=words):
        run(experiment(tmp_path, **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_finding_says_when_the_labels_were_too_few():
    record = chosen(Prescribed(right_on({}), num=20)).record
    facts = RunFacts(trainings={("auto", 0): {"search": record.facts()}})
    (sentence,) = chosen_finding.find(facts)
    assert sentence.startswith("Warning: auto could not choose: 20 independent labelled examples are too few")


def test_corrected_answers_are_used_only_where_they_are_better_than_a_student_of_the_teachers_own():
    own: dict = {}
    corrected: dict = {}
    record = RoundRecord(
        number=1, before=1.6, peer=1.5, both=1.4, standard_error=0.01, taken=True, stacking={}, moved=0.3, drift=0.0,
        distance_before=0.0, distance_after=0.0,
    )  # fmt: skip
    found = CorrectedAnswers(answered=corrected, records=(record, replace(record, number=2, both=1.45, taken=False)))
    assert found.better_than(1.41, own) is found
    kept = found.better_than(1.4, own)
    assert kept.answered is own
    assert kept.taken == 0
    assert kept.facts()["learned"] == 1.4
    assert "a labelled log-loss of 1.4000, which is not above theirs" in kept.sentences()[-1]
    none = CorrectedAnswers(answered=own, records=(replace(record, taken=False),))
    assert none.better_than(1.0, own) is none
