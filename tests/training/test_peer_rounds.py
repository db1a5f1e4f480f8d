"""Peer rounds: nobody is judged on what it has seen, and a round that does not help leaves no trace."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from overproof.answers.ask import read
from overproof.answers.predictions import compress
from overproof.api import distill, run
from overproof.cross_fitting import folds
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.evaluation.findings import RunFacts, peer_rounds
from overproof.functional import one_hot
from overproof.methods.composition import override
from overproof.methods.published import method
from overproof.models import ModelSpec, build
from overproof.noise import Stacking, global_accuracy
from overproof.runs.experiment import experiment_from
from overproof.runs.experiment import load as load_experiment
from overproof.synthetic import favouring, two_views
from overproof.training import parallel as parallel_module
from overproof.training.examples import AnsweredExamples, TrainingData
from overproof.training.options import TrainOptions
from overproof.training.parallel import run_jobs
from overproof.training.peer_rounds import peers as peers_module
from overproof.training.peer_rounds import rounds as rounds_module
from overproof.training.peer_rounds.peers import PeerOptions, Peers
from overproof.training.peer_rounds.rounds import run_rounds

LEARNS = TrainOptions(epochs=3, batch_size=64, learning_rate=0.05)


def peers_of(
    world, folder: Path, *, labelled=200, name="slam", train=LEARNS, seed=0, validation=0, num_folds=2, **options
):
    """Peers of a linear student: the first examples are labelled, the last may be for validation, the rest is pool."""
    examples = from_arrays(world.inputs, world.label)
    names = tuple(map(str, range(world.posterior.shape[1])))
    student = build(ModelSpec(name="linear"), [examples], class_names=names, seed=seed)
    rows = torch.arange(len(world))
    everyone = AnsweredExamples(place=rows, label=world.label, answers=compress(world.teacher_probs))
    parts = {
        "labelled": rows[:labelled],
        "pool": rows[labelled : len(rows) - validation],
        **({"validation": rows[len(rows) - validation :]} if validation else {}),
    }
    answered = {role: everyone.take(part) for role, part in parts.items()}
    hidden = torch.full_like(answered["pool"].label, -1)
    return Peers(
        fresh=lambda: student.fresh(seed=seed),
        data=TrainingData(
            inputs=student.encode(examples),
            labelled=answered["labelled"],
            pool=replace(answered["pool"], label=hidden),
            validation=answered.get("validation"),
        ),
        ids={role: examples.ids[part.numpy()] for role, part in parts.items()},
        method=method(name),
        train=train,
        options=PeerOptions(**{"most": 2, "workers": 1, **options}),
        seed=seed,
        fold=folds(answered["labelled"].label, num_folds, seed),
        without_fold=[answered["pool"].answers] * num_folds,
        folder=folder,
    )


def right(answered: AnsweredExamples, label) -> float:
    return (answered.answers.pseudo_label == label).double().mean().item()


def files_of(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "costs.jsonl"
    }


# --- what it is worth


def test_the_gain_grows_with_what_the_students_view_adds_and_is_zero_at_zero(tmp_path):
    gains = {}
    for added in (0.0, 0.5, 1.0):
        gains[added] = []
        for seed in range(2):
            world = two_views(2700, 3, seed, added=added)
            done = run_rounds(peers_of(world, tmp_path / f"{added}-{seed}", seed=seed))
            truth = world.label[200:]
            before = (world.teacher_probs[200:].argmax(dim=1) == truth).double().mean().item()
            gains[added].append(right(done.answered["pool"], truth) - before)
    mean = {added: sum(each) / len(each) for added, each in gains.items()}
    # A point is two standard errors of a difference at 2,500 pool examples of which one in ten changes.
    assert min(gains[0.0]) > -0.01
    assert abs(mean[0.0]) < 0.005
    assert min(gains[0.5]) > 0.02
    assert mean[0.5] < 0.06
    assert min(gains[1.0]) > 0.08


def test_both_views_together_reach_what_can_be_known(tmp_path):
    world = two_views(3200, 3, seed=5)
    done = run_rounds(peers_of(world, tmp_path))
    best = (world.teacher_probs.double().log() + world.posterior.double().log()).argmax(dim=1)
    truth = world.label[200:]
    assert right(done.answered["pool"], truth) > (best[200:] == truth).double().mean().item() - 0.015
    first, last = done.records[0], done.records[-1]
    assert first.taken
    assert first.both < min(first.before, first.peer)
    assert not last.taken  # there is nothing left to find
    assert done.taken == len(done.records) - 1


# --- nobody is judged on what it has seen


def test_the_accuracy_of_the_stack_is_estimated_without_optimism(tmp_path):
    for seed in range(3):
        world = two_views(1700, 3, seed, added=0.6)
        done = run_rounds(peers_of(world, tmp_path / str(seed), seed=seed))
        assert done.taken
        mean, low, high = global_accuracy(done.answered["labelled"].label, done.answered["labelled"].answers.probs())
        truth = right(done.answered["pool"], world.label[200:])
        assert low < truth < high, (mean, truth)


class Memoriser:
    """Knows by heart what it was trained on, and guesses the rest."""

    def __init__(self, known: dict[int, torch.Tensor], num_classes: int):
        self.known, self.num_classes = known, num_classes

    def probs(self, seen):
        guess = torch.rand(len(seen.place), self.num_classes, generator=torch.Generator().manual_seed(1)).softmax(dim=1)
        for row, place in enumerate(seen.place.tolist()):
            if place in self.known:
                guess[row] = self.known[place]
        return guess


def memorising(student, data, **options):
    labelled, pool = data.labelled, data.pool
    num_classes = labelled.answers.num_classes
    certain = 0.98 * torch.eye(num_classes) + 0.02 / num_classes
    known = {place: certain[label] for place, label in zip(labelled.place.tolist(), labelled.label, strict=True)}
    known |= dict(zip(pool.place.tolist(), pool.answers.probs(), strict=True))
    return type("Done", (), {"student": Memoriser(known, num_classes)})


def test_a_peer_that_knows_by_heart_what_it_was_trained_on_gains_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(peers_module, "distilled", memorising)
    world = two_views(1200, 3, seed=0)
    given = peers_of(world, tmp_path)
    done = run_rounds(given)
    assert [record.taken for record in done.records] == [False, False]
    for record in done.records:
        assert record.stacking["weights"][1]["weight"] < 0.3
        assert record.peer > 1.05  # as good as guessing among three: log 3 = 1.0986
    assert done.answered is given.answered


def test_a_peer_that_peeks_would_be_believed(tmp_path, monkeypatch):
    """The test above can fail: scored on its own training rows the memoriser looks perfect."""

    def peeking(student, data, **options):
        return memorising(student, replace(data, labelled=given.answered["labelled"]))

    monkeypatch.setattr(peers_module, "distilled", peeking)
    given = peers_of(two_views(1200, 3, seed=0), tmp_path)
    done = run_rounds(given)
    assert done.records[0].taken
    assert done.records[0].both < 0.05


def taught(world, labelled: int, fold, given: Peers) -> Peers:
    """The same peers with a teacher that was trained on the labels: each votes by its nearness, fold by fold."""
    near = (-2 * torch.cdist(world.inputs, world.inputs[:labelled])).exp()

    def votes(rows):
        counts = near[:, rows] @ torch.nn.functional.one_hot(world.label[rows], 3).float() + 1e-3
        return counts / counts.sum(dim=1, keepdim=True)

    without = [votes((fold != number).nonzero()[:, 0]) for number in range(3)]
    labelled_probs = torch.stack(without)[fold, torch.arange(labelled)]
    answered = {
        "labelled": replace(given.answered["labelled"], answers=compress(labelled_probs)),
        "pool": replace(given.answered["pool"], answers=compress(torch.stack(without).mean(dim=0)[labelled:])),
    }
    return replace(
        given,
        data=given.data.with_roles(answered),
        fold=fold,
        without_fold=[compress(each[labelled:]) for each in without],
    )


@pytest.mark.parametrize("names_only", [False, True])
def test_an_examples_label_reaches_its_own_scores_in_no_round(tmp_path, monkeypatch, names_only):
    """With the weights of the stack held still, a label is never seen again: neither by way of the other peers nor by
    way of the teacher, which was trained on it."""

    def weigh(scores, label, **options):
        ones = torch.ones(len(scores)).double()
        fixed = Stacking(weight=ones, weight_low=0 * ones, weight_high=ones, bias=torch.zeros(3).double())
        return {role: fixed([each[role] for each in scores]) for role in scores[0]}, fixed

    monkeypatch.setattr(rounds_module, "stack_by_role", weigh)
    fold, scores = torch.arange(42) % 3, []
    for name, changed in (("as it is", None), ("changed", 7)):
        world = two_views(442, 3, seed=0)
        if changed is not None:
            world.label[changed] = (world.label[changed] + 1) % 3
        given = peers_of(world, tmp_path / name, labelled=42, name="soft", most=3)
        peers, recorded, scored = taught(world, 42, fold, given), [], Peers.scored
        if names_only:
            peers = naming(peers)

        def record(self, number, chains, after, recorded=recorded, scored=scored):
            recorded.append(scored(self, number, chains, after))
            return recorded[-1]

        with monkeypatch.context() as patch:
            patch.setattr(Peers, "scored", record)
            patch.setattr(rounds_module, "helps", lambda *arguments: True)
            run_rounds(peers)
        scores.append(recorded)
    # The labels alone and three rounds; where classes are named only, then students of the answers before and after.
    assert len(scores[0]) == (6 if names_only else 4)
    for before, after in zip(*scores, strict=True):
        same = (before.labelled["labelled"] == after.labelled["labelled"]).all(dim=1)
        assert same[fold == 1].all()  # row 7 among them
        assert not same[fold != 1].any()  # whose peers and teachers did see it
        assert torch.equal(before.chains[1], after.chains[1])
        assert not torch.equal(before.chains[0], after.chains[0])


def naming(peers: Peers) -> Peers:
    """The same peers with a teacher that answers with its likeliest class only."""

    def named(answers):
        return answers.with_probs(one_hot(answers.probs()))

    return replace(
        peers,
        data=peers.data.with_roles(
            {role: replace(each, answers=named(each.answers)) for role, each in peers.answered.items()}
        ),
        without_fold=[named(answers) for answers in peers.without_fold],
    )


def test_every_example_is_scored_by_peers_that_were_not_trained_on_it(tmp_path, monkeypatch):
    trained, world = [], two_views(700, 3, seed=0)
    real = peers_module.distilled

    def note(student, data, **options):
        trained.append((set(data.labelled.place.tolist()), set(data.pool.place.tolist())))
        return real(student, data, **options)

    monkeypatch.setattr(peers_module, "distilled", note)
    given = peers_of(world, tmp_path, labelled=90, num_folds=3, most=2)
    scores = given.scored(
        1, [{**given.answered, "pool": given.answered["pool"].take(given.trained_on(1, fold))} for fold in range(3)]
    )
    assert scores.pool.shape == (610, 3)
    for fold, (labelled, pool) in enumerate(trained):
        assert labelled == set((given.fold != fold).nonzero()[:, 0].tolist())
        asked = given.answered["pool"].place[given.predicted(1, fold)]
        assert not pool & set(asked.tolist())
        assert pool | set(asked.tolist()) == set(range(90, 700))
        assert torch.equal(given.trained_on(2, fold), given.predicted(1, fold))
    assert len({frozenset(pool) for _, pool in trained}) == 2


def test_the_key_of_peers_has_the_folds_and_the_labels_in_it(tmp_path):
    def key(**changes):
        given = peers_of(two_views(200, 3, seed=1), tmp_path, labelled=60)
        return replace(given, **changes).fingerprint

    given = peers_of(two_views(200, 3, seed=1), tmp_path, labelled=60)
    labelled = replace(given.data.labelled, label=given.data.labelled.label.roll(1))
    assert key() == given.fingerprint
    assert key(fold=given.fold.roll(1)) != key()
    assert key(data=replace(given.data, labelled=labelled)) != key()
    # The pool's labels are hidden from peers, and are no part of it.
    pool = replace(given.data.pool, label=torch.zeros_like(given.data.pool.label))
    assert key(data=replace(given.data, pool=pool)) == key()


def test_students_are_compared_after_the_last_round_that_was_taken():
    stack = Mock(spec=rounds_module._Stack)
    stack.peers = Mock()
    stack.loss_alone.return_value = torch.tensor([0.5, 0.25])
    stack.independent, stack.helps.return_value = None, True
    done = rounds_module._students_of(stack, [], after=(1, 3))
    assert [call.args[0] for call in stack.peers.scored.call_args_list] == [4, 4]
    assert stack.teacher_chains.call_args.args == (4,)
    assert (done.own, done.corrected, done.taken) == (0.375, 0.375, True)


# --- a teacher of hard labels


def test_a_teacher_with_margins_needs_no_posterior(tmp_path, monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("only for teachers of hard labels")

    for name in ("named_posterior", "named_posterior_by_role", "StudentRecord"):
        monkeypatch.setattr(rounds_module, name, refuse)
    given = peers_of(two_views(700, 3, seed=1), tmp_path, labelled=100)
    done = run_rounds(given)
    assert done.taken
    assert set(done.facts()) == {"taken", "records"}
    assert not given.hard_labels_only
    fingerprint = json.loads(given.fingerprint)
    assert (fingerprint["peers"]["name"], fingerprint["names_only"]) == (given.untrained.spec.name, False)
    with pytest.raises(AssertionError, match="only for"):
        run_rounds(naming(peers_of(two_views(700, 3, seed=1), tmp_path, labelled=100)))


def biased(seed: int, added: float):
    """Two views, and a teacher that says class 0 wherever it is in some doubt."""
    world = two_views(1700, 4, seed, added=added, radius=2.0)
    favoured, _ = favouring(world.teacher_probs, [0], 2.5)
    return replace(world, teacher_probs=favoured)


def test_a_named_class_weighs_what_it_is_worth(tmp_path):
    right_after = {}
    for posterior in (True, False):
        world = biased(seed=0, added=1.0)
        given = naming(peers_of(world, tmp_path / str(posterior), standard_errors=-1e6, most=1))
        if not posterior:
            given.__dict__["hard_labels_only"] = False
        done = run_rounds(given)
        right_after[posterior] = right(done.answered["pool"], world.label[200:])
        assert (done.students is not None) is posterior
    before = (world.teacher_probs.argmax(dim=1) == world.label)[200:].double().mean().item()
    assert right_after[True] > right_after[False] + 0.01
    assert right_after[True] > before + 0.05


def test_corrected_answers_are_handed_on_where_students_win_by_them_and_only_there(tmp_path):
    # A bias towards a class is what a student learns; corrected answers have less of it, and the labels show it.
    won = run_rounds(naming(peers_of(biased(seed=0, added=1.0), tmp_path / "biased", name="hard", most=1)))
    assert won.students.taken
    assert won.students.own - won.students.corrected > won.students.standard_error
    assert won.taken == sum(record.taken for record in won.records) > 0
    assert "answers used" in won.sentences()[-1]
    # Mistakes at random from where the student stands: it averages them out, and correction by its own view wins
    # nothing for it, although the answers are better.
    world = two_views(1700, 3, seed=0)
    given = naming(peers_of(world, tmp_path / "random", name="hard", most=1))
    lost = run_rounds(given)
    assert lost.records[0].taken
    assert lost.taken == 0
    assert lost.answered is given.answered
    assert lost.facts()["students"]["taken"] is False
    assert "not used" in lost.sentences()[-1]
    forced = run_rounds(naming(peers_of(world, tmp_path / "random", name="hard", most=1, standard_errors=-1e6)))
    assert forced.taken == 2
    assert right(forced.answered["pool"], world.label[200:]) > right(given.answered["pool"], world.label[200:]) + 0.03


def test_a_teacher_that_saw_the_labels_is_weighed_on_the_validation_examples(tmp_path):
    world = two_views(1500, 3, seed=2)
    given = peers_of(world, tmp_path, validation=200)
    knows = torch.nn.functional.one_hot(world.label[:200], 3).float()
    seen = AnsweredExamples(place=given.answered["labelled"].place, label=world.label[:200], answers=compress(knows))
    done = run_rounds(replace(given, data=replace(given.data, labelled=seen, trust_labelled_answers=False)))
    weights = [each["weight"] for each in done.records[0].stacking["weights"]]
    assert done.taken
    assert min(weights) > 0.5  # on the labelled examples the teacher is perfect and would get all of it
    assert abs(done.records[0].before - 0.4) < 0.15


# --- it is kept


def test_a_second_call_trains_nobody_and_a_kill_costs_one_peer(tmp_path, monkeypatch):
    world = two_views(700, 3, seed=1)
    whole = run_rounds(peers_of(world, tmp_path / "whole", labelled=100, num_folds=4))
    assert [record.taken for record in whole.records] == [True, True, False][: len(whole.records)]
    kept = files_of(tmp_path / "whole")
    calls = []
    real = peers_module.distilled

    def stops_at_the_third(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(peers_module, "distilled", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_rounds(peers_of(world, tmp_path / "killed", labelled=100, num_folds=4))
    assert len(calls) == 3
    again = run_rounds(peers_of(world, tmp_path / "killed", labelled=100, num_folds=4))
    assert len(calls) == 3 + 2 + 4 * (len(whole.records) - 1)
    assert files_of(tmp_path / "killed") == kept
    assert again.records == whole.records

    def refuse(*arguments, **options):
        raise AssertionError("trained twice")

    monkeypatch.setattr(peers_module, "distilled", refuse)
    assert run_rounds(peers_of(world, tmp_path / "whole", labelled=100, num_folds=4)).records == whole.records
    # Fewer rounds ask the same peers; a stricter rule others, where it does not take what those were trained on.
    assert run_rounds(peers_of(world, tmp_path / "whole", labelled=100, num_folds=4, most=1)).taken == 2
    monkeypatch.setattr(peers_module, "distilled", real)
    assert run_rounds(peers_of(world, tmp_path / "whole", labelled=100, num_folds=4, standard_errors=1e3)).taken == 0
    monkeypatch.setattr(peers_module, "distilled", refuse)
    assert run_rounds(peers_of(world, tmp_path / "whole", labelled=100, num_folds=4)).records == whole.records
    with pytest.raises(AssertionError, match="trained twice"):
        run_rounds(peers_of(world, tmp_path / "whole", labelled=100, num_folds=3))


def test_peers_that_train_together_write_the_same_bytes(tmp_path):
    torch.set_num_threads(2)  # the pool that a forked process must not touch
    try:
        torch.ones(512, 512) @ torch.ones(512, 512)
        for workers in (1, 3):
            run_rounds(
                peers_of(two_views(700, 3, seed=1), tmp_path / str(workers), labelled=100, num_folds=3, workers=workers)
            )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    assert files_of(tmp_path / "1") == files_of(tmp_path / "3")


def test_a_job_that_fails_says_why_and_the_others_are_done(tmp_path):
    def touch(name):
        return lambda: (tmp_path / name).touch()

    def fail():
        raise InputError("the third job cannot be done")

    with pytest.raises(InputError, match="third job"):
        run_jobs([touch("a"), touch("b"), fail, touch("c")], workers=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_jobs_run_in_processes_of_their_own_with_one_thread_each(tmp_path):
    def note(name):
        return lambda: (tmp_path / name).write_text(f"{os.getpid()} {torch.get_num_threads()}")

    torch.set_num_threads(2)
    try:
        run_jobs([note("a"), note("b")], workers=2)
        # The threads of this process are as they were.
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(1)
    found = [(tmp_path / name).read_text().split() for name in "ab"]
    assert len({process for process, _ in found} | {str(os.getpid())}) == 3
    assert [threads for _, threads in found] == ["1", "1"]


def test_where_a_fork_is_unsafe_the_jobs_run_in_this_process(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel_module, "place", lambda: (0, 2))
    run_jobs([(tmp_path / name).touch for name in "abc"], workers=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


def test_where_no_process_can_be_started_the_jobs_run_in_this_one(tmp_path, monkeypatch):
    def refuse():
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("os.fork", refuse)
    run_jobs([(tmp_path / name).touch for name in "abc"], workers=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("wd", None),
        ("soft", None),
        ("slam_normalized", None),
        ("dfnd", {"budget": 700}),
        ("slam", {"name": "confident", "budget": 0.6}),
        ("hard", {"name": "per_class", "quota": 200}),
    ],
)
def test_any_method_trains_the_peers(tmp_path, name, chosen):
    world = two_views(1200, 3, seed=3)
    peers = peers_of(world, tmp_path, name=name, most=1)
    if chosen:
        peers = replace(peers, method=override(peers.method, "select", chosen))
    done = run_rounds(peers)
    assert done.taken == 1
    before = (world.teacher_probs[200:].argmax(dim=1) == world.label[200:]).double().mean().item()
    assert right(done.answered["pool"], world.label[200:]) > before + 0.05


def test_peers_keep_half_of_a_budget_of_rows_and_the_same_share(tmp_path, monkeypatch):
    world, seen = two_views(1200, 3, seed=3), []
    actual = peers_module.distilled

    def watched(*args, method, **options):
        seen.append(getattr(method.select, "budget", None))
        return actual(*args, method=method, **options)

    monkeypatch.setattr(peers_module, "distilled", watched)
    for budget in (700, 0.7):
        peers = peers_of(world, tmp_path, name="dfnd", most=1, alone=False)
        run_rounds(replace(peers, method=override(peers.method, "select.budget", budget)))
    assert seen == [350, 350, 0.7, 0.7]


@pytest.mark.parametrize("given", [False, True])
def test_arrays_and_modules_take_rounds_too(given):
    world = two_views(1400, 2, seed=0)
    few, pool, rest = slice(0, 200), slice(200, 1200), slice(1200, 1400)

    def student_of(**options):
        torch.manual_seed(0)
        return distill(
            torch.nn.Linear(2, 2) if given else "linear",
            world.inputs[pool],
            world.teacher_probs[pool],
            world.inputs[few],
            world.label[few],
            world.teacher_probs[few],
            method="slam_auto",
            train=LEARNS,
            **options,
        )

    rounds = student_of(rounds=PeerOptions(most=1, workers=1))
    assert rounds.rounds["taken"] == 1
    assert student_of().rounds == {}
    untaken = student_of(rounds=PeerOptions(most=1, workers=1, standard_errors=1e6))
    assert torch.equal(untaken.student.probs(world.inputs[rest]), student_of().student.probs(world.inputs[rest]))
    assert not torch.equal(rounds.student.probs(world.inputs[rest]), student_of().student.probs(world.inputs[rest]))


# --- as a row of an experiment


@pytest.fixture
def content(tmp_path):
    import pyarrow
    import pyarrow.csv

    world = two_views(900, 2, seed=0)
    columns = {f"x{i}": pyarrow.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    columns["label"] = pyarrow.array([["no", "yes"][each] for each in world.label.tolist()])
    columns["key"] = pyarrow.array([f"row-{i}" for i in range(len(world))])
    pyarrow.csv.write_csv(pyarrow.table(columns), tmp_path / "views.csv")
    answers = {"id": columns["key"]}
    answers |= {name: pyarrow.array(world.teacher_probs[:, i].numpy()) for i, name in enumerate(("no", "yes"))}
    pyarrow.csv.write_csv(pyarrow.table(answers), tmp_path / "answers.csv")
    return {
        "data": {
            "files": {"all": {"path": str(tmp_path / "views.csv"), "label": "label", "id": "key"}},
            "rows": {"labelled": 100, "pool": 600, "test": 200},
        },
        "teacher": {"model": "answers", "answers": [str(tmp_path / "answers.csv")]},
        "student": {"name": "linear"},
        "train": {"epochs": 3, "learning_rate": 0.05},
        "methods": ["slam", {"method": "slam", "name": "slam_rounds", "rounds": {"most": 2, "workers": 1}}],
        "seeds": [0],
    }


def test_a_row_with_rounds_stands_in_the_table_and_says_what_it_found(content, tmp_path):
    result = run(experiment_from(content), tmp_path / "run")
    written = json.loads((tmp_path / "run/result.json").read_text())
    (facts,) = [each["rounds"] for each in written["students"] if each["method"] == "slam_rounds"]
    assert facts["taken"] >= 1
    (finding,) = [each for each in result.findings if each.startswith("slam_rounds")]
    for record in facts["records"]:
        for part in ("before", "peer", "both") if record["number"] == 0 else ("peer", "both"):
            assert f"{record[part]:.3f}" in finding
    assert "adds information that the teacher lacks" in finding
    students = {each["method"]: each for each in written["students"]}
    assert students["slam_rounds"]["pool_answers_right"] > students["slam"]["pool_answers_right"] + 0.02


def test_a_round_that_does_not_help_leaves_the_row_as_it_is_without_rounds(content, tmp_path):
    content["methods"][1]["rounds"]["standard_errors"] = 1e6
    result = run(experiment_from(content), tmp_path / "run")
    students = tmp_path / "run/students/seed-0"
    plain, rounds = (
        {name: (students / row / name).read_bytes() for name in ("student.safetensors", "student.json")}
        for row in ("slam", "slam_rounds")
    )
    assert plain == rounds
    plain, rounds = (json.loads((students / row / "row.json").read_text()) for row in ("slam", "slam_rounds"))
    assert rounds.pop("rounds")["taken"] == 0
    assert plain == rounds
    assert any("No round was taken" in each for each in result.findings)


@pytest.mark.parametrize(
    ("rounds", "words"),
    [
        (4, "rounds"),
        (-1, "rounds"),
        ("two", "rounds"),
        ({"most": 1, "fold": 2}, "folds"),
        ({"most": 1, "folds": 1}, "folds"),
    ],
)
def test_rounds_that_cannot_be_are_refused(content, rounds, words):
    content["methods"][1]["rounds"] = rounds
    with pytest.raises(InputError, match=words):
        experiment_from(content)


def test_peers_keep_to_the_folds_of_a_teacher_that_was_trained(content, tmp_path):
    content["teacher"] = {"model": "sklearn.linear_model:LogisticRegression", "folds": 3}
    content["methods"][1]["rounds"]["most"] = 1
    run(experiment_from(content), tmp_path / "run")
    labels = tmp_path / "run/labels/seed-0"
    apart = torch.stack([read(labels / f"pool-without-fold-{number}").probs() for number in range(3)])
    assert torch.allclose(apart.mean(dim=0), read(labels / "pool").probs(), atol=1e-3)
    assert not torch.allclose(apart[0], apart[1], atol=1e-2)
    (home,) = (labels / "peers").iterdir()
    for path in home.iterdir():
        kept = {path.name for path in path.iterdir()}
        assert kept == {"labelled", *(f"pool-by-{i}" for i in range(3))}
    content["methods"][1]["rounds"]["folds"] = 2
    with pytest.raises(InputError, match="there are 2 and 3"):
        experiment_from(content)
    content["methods"][1]["rounds"]["folds"] = "auto"
    content["teacher"] = [content["teacher"], {**content["teacher"], "folds": 4}]
    with pytest.raises(InputError, match="there are 3 and 4"):
        experiment_from(content)


def test_rounds_need_a_method_that_looks_at_the_pool(content):
    content["methods"] = [{"method": "labelled_only", "rounds": 1}]
    with pytest.raises(InputError, match="does not look at the pool"):
        experiment_from(content)


def test_several_teachers_are_stacked_and_the_table_says_how(content, tmp_path):
    """One scorer sees the first view (a file), the other learns the second from the labels: together both."""
    other = {"model": "sklearn.linear_model:LogisticRegression", "folds": 4}
    content |= {"teacher": [content["teacher"], other], "methods": ["hard"]}
    experiment = experiment_from(content)
    result = run(experiment, tmp_path / "both")
    assert load_experiment(tmp_path / "both/experiment.yaml") == experiment
    content["teacher"] = content["teacher"][0]
    alone = run(experiment_from(content), tmp_path / "alone")
    content["teacher"] = other
    learned = run(experiment_from(content), tmp_path / "learned")
    accuracy = [
        next(row for row in each.rows if row.method == "teacher").metrics["accuracy"]
        for each in (result, alone, learned)
    ]
    assert accuracy[0] > max(accuracy[1:]) + 0.02
    weights = json.loads((tmp_path / "both/labels/seed-0/weights.json").read_text())
    assert min(each["weight"] for each in weights["weights"]) > 0.4
    assert weights["log_loss"] < min(weights["log_loss_alone"])
    (finding,) = [each for each in result.findings if "stack of 2 scorers" in each]
    assert f"{weights['log_loss']:.3f}" in finding
    before = files_of(tmp_path / "both")
    run(experiment, tmp_path / "both")
    assert {name for name, each in files_of(tmp_path / "both").items() if before[name] != each} == {"log.txt"}


def test_rounds_and_stacks_cite_their_kin(content):
    def keys():
        return {paper.key for paper in experiment_from(content).papers()}

    assert {"blum1998combining", "wolpert1992stacked", "kontonis2023slam"} <= keys()
    content["methods"] = ["slam"]
    assert not {"blum1998combining", "wolpert1992stacked"} & keys()
    content["teacher"] = [content["teacher"], content["teacher"]]
    assert "wolpert1992stacked" in keys()


def test_several_teachers_cannot_be_weighed_without_labels(content, tmp_path):
    content["teacher"] = [content["teacher"], content["teacher"]]
    content["data"]["rows"]["labelled"] = 0
    content["methods"] = ["hard"]
    with pytest.raises(InputError, match="no labelled examples to weigh them on"):
        run(experiment_from(content), tmp_path / "run")


@pytest.mark.parametrize(
    ("peer", "both", "words"),
    [
        (0.5, 0.45, "corrects its answers."),
        (0.6, 0.59, "no more than an average"),
        (0.6, 0.5, "peers alone are no better than the teacher"),
    ],
)
def test_the_findings_name_the_source_of_a_rounds_gain(peer, both, words):
    record = {"number": 1, "before": 0.6, "peer": peer, "both": both, "standard_error": 0.002, "distance_before": 0.01}
    facts = {"rounds": {"taken": 1, "records": [{**record, "taken": True, "distance_after": 0.01}]}}
    (said,) = peer_rounds.find(RunFacts(trainings={("slam_rounds", 0): facts}))
    assert words in said


def test_the_findings_report_students_that_lose_by_a_round():
    record = {"number": 1, "before": 0.6, "peer": 0.5, "both": 0.4, "standard_error": 0.02, "taken": True}
    record |= {"distance_before": 0.01, "distance_after": 0.01}
    students = {"own": 0.45, "corrected": 0.48, "standard_error": 0.01, "taken": False}
    details = {
        ("slam_rounds", 0): {"rounds": {"taken": 0, "records": [record], "students": students}},
        ("slam_rounds", 1): {"rounds": {"taken": 0, "records": [record], "students": {**students, "own": 0.47}}},
    }
    (said,) = peer_rounds.find(RunFacts(trainings=details))
    assert "0.460 for students of the teacher's own answers, 0.480 for students of the corrected ones" in said
    assert "used by 0 of 2 seeds" in said
    assert said.endswith("but students of them are not, and the row equals the one without rounds.")
    details["slam_rounds", 1]["rounds"] |= {"taken": 1, "students": {**students, "taken": True}}
    (said,) = peer_rounds.find(RunFacts(trainings=details))
    assert "used by 1 of 2 seeds" in said
    assert said.endswith("corrects its answers.")


def test_classes_that_drift_are_reported():
    record = {"number": 1, "before": 0.6, "peer": 0.5, "both": 0.4, "standard_error": 0.02, "distance_before": 0.01}
    facts = {"rounds": {"taken": 1, "records": [{**record, "taken": True, "distance_after": 0.02}]}}
    assert len(peer_rounds.find(RunFacts(trainings={("slam_rounds", 0): facts}))) == 1
    facts["rounds"]["records"][0]["distance_after"] = 0.2
    said = peer_rounds.find(RunFacts(trainings={("slam_rounds", 0): facts}))
    assert "19.0% further from those of the labelled" in said[1]


def test_gaps_in_hard_labels_are_no_answers_of_the_first_class(tmp_path):
    world = two_views(600, 3, seed=0)
    named = one_hot(world.teacher_probs)
    peers = peers_of(replace(world, teacher_probs=named), tmp_path, name="hard")
    pool, silent = peers.data.pool, torch.arange(400) < 40
    answers = pool.answers.without(silent)
    peers = replace(peers, data=replace(peers.data, pool=replace(pool, answers=answers)), without_fold=[answers] * 2)
    assert peers.hard_labels_only
    by_role, without = rounds_module._teacher_in_stack(rounds_module._Stack(peers=peers))
    for probs in (by_role["pool"], *without):
        assert torch.equal(probs[silent], torch.full((40, 3), 1 / 3))
        assert (probs[~silent].amax(dim=1) > 0.4).all()
