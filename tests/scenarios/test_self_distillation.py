"""Self-distillation with ξ: the target and its identities, what is refused, the search for ξ, students in a row."""

import json
import math

import pytest
import torch
from torch import nn

from overproof import TrainOptions, distill, self_distill
from overproof.claims import noisy_batch
from overproof.cross_fitting import held_out_rows
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.functional import (
    generalized_cross_entropy,
    held_out_imitation,
    label_distribution,
    self_distilled_target,
    soft_cross_entropy,
)
from overproof.methods.composition import Method, Objective, override
from overproof.methods.losses import CrossEntropy, GeneralizedCrossEntropy, TemperedDivergence
from overproof.methods.published import method
from overproof.methods.targets import SelfDistilled, Soft, TopCandidates
from overproof.methods.targets.self_distilled import ImitationSearch
from overproof.methods.weights import Consensus
from overproof.models import build
from overproof.seeds import derived_seed
from overproof.synthetic import blobs, symmetric_noise
from overproof.training.imitation_search import Choice, HeldOutScore, StoredResults, choose, held_out_score

BATCH = noisy_batch()
TRAIN = TrainOptions(epochs=2, batch_size=32, learning_rate=0.01, optimizer="adamw")


def by_path(name, **options):
    built = method(name)
    for path, value in options.items():
        built = override(built, path.replace("__", "."), value)
    return built


# --- the target


@pytest.mark.parametrize("imitation", [-1.0, 0.3, 1.0, 2.5])
def test_one_loss_of_the_mixture_is_the_mixture_of_two_losses(imitation):
    label, answer = label_distribution(BATCH.label, BATCH.teacher_probs), BATCH.teacher_probs
    target = self_distilled_target(BATCH.label, answer, imitation)
    mixed = soft_cross_entropy(BATCH.student_logits, target)
    two = imitation * soft_cross_entropy(BATCH.student_logits, answer) + (1 - imitation) * soft_cross_entropy(
        BATCH.student_logits, label
    )
    torch.testing.assert_close(mixed, two, atol=1e-12, rtol=0)


def test_the_gradient_is_the_students_answer_less_the_target():
    logits = BATCH.student_logits.clone().requires_grad_()
    target = self_distilled_target(BATCH.label, BATCH.teacher_probs, 3.0)
    (gradient,) = torch.autograd.grad(soft_cross_entropy(logits, target).sum(), logits)
    torch.testing.assert_close(gradient, logits.detach().softmax(1) - target, atol=1e-12, rtol=0)


def test_beyond_one_the_loss_has_no_lower_bound():
    """The teacher thinks the given class unlikely: it is pushed away from without end."""
    label, answer = torch.tensor([0]), torch.tensor([[0.25, 0.75]])
    losses = [
        soft_cross_entropy(torch.tensor([[-size, size]]), self_distilled_target(label, answer, 2.0)).item()
        for size in (10.0, 100.0, 1000.0)
    ]
    assert losses == pytest.approx([-10.0, -100.0, -1000.0])
    bounded = soft_cross_entropy(torch.tensor([[-1000.0, 1000.0]]), self_distilled_target(label, answer, 1.0))
    assert bounded.item() == pytest.approx(500.0)


def test_the_ends_are_the_label_and_exactly_the_answer():
    assert torch.equal(SelfDistilled(imitation=1.0)(BATCH), BATCH.teacher_probs)
    assert torch.equal(SelfDistilled(imitation=0.0)(BATCH), label_distribution(BATCH.label, BATCH.teacher_probs))


def test_a_slope_gives_every_example_a_number_of_its_own():
    answers = torch.tensor([[0.5, 0.5], [0.75, 0.25]], dtype=torch.float64)
    batch = noisy_batch(2, 2)
    batch = type(batch)(
        **{name: getattr(batch, name) for name in batch.__slots__ if name not in ("teacher_probs", "label")},
        teacher_probs=answers,
        label=torch.tensor([1, 1]),
    )
    # ξ is 1 at margin 0 and 1 + 2 * .5 = 2 at margin .5.
    assert SelfDistilled(imitation=1.0, slope=2.0)(batch).tolist() == [[0.5, 0.5], [1.5, -0.5]]
    each = self_distilled_target(batch.label, answers, torch.tensor([1.0, 2.0], dtype=torch.float64))
    assert each.tolist() == [[0.5, 0.5], [1.5, -0.5]]


@pytest.mark.parametrize(
    ("target", "extrapolates"),
    [
        (SelfDistilled(), False),
        (SelfDistilled(imitation=0.0), False),
        (SelfDistilled(imitation=1.01), True),
        (SelfDistilled(imitation=-0.01), True),
        (SelfDistilled(imitation=0.5, slope=0.4), False),
        (SelfDistilled(imitation=0.5, slope=0.6), True),
        (SelfDistilled(imitation=0.5, slope=-0.6), True),
        (SelfDistilled(imitation="auto"), True),
        (SelfDistilled(imitation="auto", search=ImitationSearch(candidates=(0.0, 1.0))), False),
    ],
)
def test_it_is_known_who_leaves_the_simplex(target, extrapolates):
    assert target.extrapolates is extrapolates
    assert Method(labelled=Objective(target=target)).extrapolates is extrapolates
    entries = torch.cat([SelfDistilled(imitation=2.0)(BATCH), SelfDistilled(imitation=-1.0)(BATCH)])
    assert (entries < 0).any()


# --- what is refused


class Squared:
    """A loss of one's own that is not linear in its target."""

    def __call__(self, batch):
        return (batch.student_logits.softmax(1) - batch.target_probs).square().sum(1)


class Half:
    """A loss of one's own that is."""

    def __call__(self, batch):
        return 0.5 * soft_cross_entropy(batch.student_logits, batch.target_probs)


@pytest.mark.parametrize("loss", [CrossEntropy(), GeneralizedCrossEntropy(), Half()])
def test_losses_linear_in_the_target_are_taken(loss):
    assert Objective(target=SelfDistilled(), loss=loss).loss is loss


@pytest.mark.parametrize("loss", [TemperedDivergence(), Squared()])
def test_other_losses_are_refused_but_for_targets_that_mix(loss):
    with pytest.raises(InputError, match=f"linear in the target; {type(loss).__name__} is not."):
        Objective(target=SelfDistilled(), loss=loss)
    assert Objective(target=Soft(), loss=loss).loss is loss


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda: SelfDistilled(imitation=math.nan),
            "'imitation' of SelfDistilled is nan; it must be a finite number or 'auto'",
        ),
        (lambda: SelfDistilled(slope=math.inf), "'slope' of SelfDistilled is inf; it must be a finite number"),
        (lambda: ImitationSearch(candidates=()), "it must be a list of finite numbers, at least 1"),
        (lambda: ImitationSearch(candidates=(1.0, 0.0)), "must rise"),
        (lambda: ImitationSearch(candidates=(1.0, math.nan)), "finite"),
        (
            lambda: ImitationSearch(halvings=-1),
            "'halvings' of ImitationSearch is -1; it must be a whole number of at least 0",
        ),
        (
            lambda: TopCandidates(num_candidates=0),
            "'num_candidates' of TopCandidates is 0; it must be a whole number of at least 1",
        ),
        (
            lambda: GeneralizedCrossEntropy(power=0.0),
            r"'power' of GeneralizedCrossEntropy is 0\.0; it must be a number in \(0, 1\]",
        ),
        (
            lambda: GeneralizedCrossEntropy(power=1.1),
            r"'power' of GeneralizedCrossEntropy is 1\.1; it must be a number in \(0, 1\]",
        ),
        (lambda: by_path("self_distilled", generations=0), "'generations' is 0"),
        (lambda: by_path("self_distilled", labelled__target__imitation="much"), "'labelled.target.imitation'"),
    ],
)
def test_numbers_that_make_no_sense_are_one_sentence(make, words):
    with pytest.raises(InputError, match=words) as error:
        make()
    assert str(error.value).endswith(".")


# --- the other parts, by hand


def test_generalised_cross_entropy_lies_between_two_losses():
    logits, truth = BATCH.student_logits, label_distribution(BATCH.label, BATCH.teacher_probs)
    right = logits.softmax(1).gather(1, BATCH.label.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(generalized_cross_entropy(logits, truth, 1.0), 1 - right)
    torch.testing.assert_close(generalized_cross_entropy(logits, truth, 1e-6), -right.log(), rtol=1e-4, atol=0)
    torch.testing.assert_close(generalized_cross_entropy(logits, truth, 0.7), (1 - right**0.7) / 0.7)


def test_a_partial_label_pays_the_mean_over_its_candidates():
    answers = torch.tensor([[0.5, 0.3, 0.2]])
    batch = noisy_batch(1, 3)
    fields = {name: getattr(batch, name) for name in batch.__slots__ if name not in ("teacher_probs", "target_probs")}
    target = TopCandidates()(type(batch)(**fields, teacher_probs=answers, target_probs=answers))
    assert target.tolist() == [[0.5, 0.5, 0.0]]
    logits = batch.student_logits.float()
    first, second = (generalized_cross_entropy(logits, torch.eye(3)[[j]], 0.7) for j in (0, 1))
    torch.testing.assert_close(generalized_cross_entropy(logits, target, 0.7), (first + second) / 2)
    assert TopCandidates(num_candidates=9)(BATCH).eq(0.25).all()


def test_consensus_counts_agreement_and_nothing_else():
    agreed = BATCH.teacher_probs.argmax(1) == BATCH.label
    assert torch.equal(Consensus()(BATCH).bool(), agreed)
    assert 0 < agreed.sum() < len(agreed)


def test_without_a_pool_the_record_is_of_the_labelled_weights(noisy):
    world, label = noisy
    agreed = (world.teacher_probs[:200].argmax(1) == label[:200]).float().mean().item()
    for record in learn(noisy, "consensus").history:
        assert (record.weight_min, record.weight_max) == (0.0, 1.0)
        assert record.weight_mean == pytest.approx(agreed, abs=0.06)


# --- the search


def test_the_closed_form_is_the_best_mixture_and_noise_does_not_bias_it():
    world = blobs(20_000, 3, seed=0, displacement=1.0, temperature=1.0)
    teacher, student = world.teacher_probs, (world.teacher_probs + world.posterior) / 2
    # The student went half of the way to the posterior: two such steps arrive.
    assert held_out_imitation(world.label, teacher, student) == pytest.approx(2.0, abs=0.05)
    assert held_out_imitation(world.label, teacher, teacher) == 1.0
    # With an even share of labels drawn from all classes the posterior shrinks to its centre, and so does the best ξ.
    noisy = symmetric_noise(world.label, 3, 0.4, seed=1, include_true=True).label
    shrunk = 0.6 * world.posterior + 0.4 / 3
    best = ((shrunk - teacher) * (student - teacher)).sum() / (student - teacher).square().sum()
    assert held_out_imitation(noisy, teacher, student) == pytest.approx(best.item(), abs=0.08)


def test_the_scores_by_hand():
    answers, label = torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0, 1])
    assert held_out_score(ImitationSearch(), label, answers, answers).score == pytest.approx((0.125 + 0.5) / 2)
    assert held_out_score(ImitationSearch(criterion="accuracy"), label, answers, answers).score == 0.5


def test_coarse_then_fine_and_nothing_is_asked_twice():
    asked = []

    def ask(imitation):
        asked.append(imitation)
        return HeldOutScore(score=abs(imitation - 2.2), closed_form=5.0)

    choice = choose(ImitationSearch(candidates=(0.0, 1.0, 2.0, 4.0), halvings=2), ask)
    # The guess is cut to 4; then 1.5 and 3 beside 2; then 1.75 and 2.5.
    assert asked == [0.0, 1.0, 2.0, 4.0, 1.5, 3.0, 1.75, 2.5]
    assert choice.imitation == 2.0
    assert choice.closed_form == 5.0
    assert [imitation for imitation, _ in choice.tried] == sorted(asked)
    # The guess is that of the candidate 1, whatever other candidates there are.
    guessed = choose(ImitationSearch(candidates=(1.0, 8.0), halvings=0), ask)
    assert (guessed.closed_form, guessed.imitation) == (5.0, 1.0)
    assert [imitation for imitation, _ in guessed.tried] == [1.0, 5.0, 8.0]
    assert choose(ImitationSearch(candidates=(0.0, 8.0), halvings=0), ask).closed_form is None
    alone = choose(ImitationSearch(candidates=(3.0,), halvings=3), ask)
    assert alone == Choice(imitation=3.0, criterion="squared", closed_form=None, tried=((3.0, abs(3.0 - 2.2)),))


# --- training


@pytest.fixture(scope="module")
def noisy():
    world = blobs(num_examples=300, num_classes=3, seed=0)
    return world, symmetric_noise(world.label, 3, 0.4, seed=0).label


def learn(noisy, name, checkpoint=None, train=TRAIN, **options):
    world, label = noisy
    built = by_path(name, **options) if isinstance(name, str) else name
    return distill(
        "mlp", world.inputs[200:], world.teacher_probs[200:], world.inputs[:200], label[:200],
        world.teacher_probs[:200], method=built, train=train, checkpoint=checkpoint,
    )  # fmt: skip


def weights_of(result):
    return torch.cat([value.flatten() for value in result.student.module.state_dict().values()])


def test_the_ends_train_the_students_they_should(noisy):
    label = weights_of(learn(noisy, "labelled_only"))
    assert torch.equal(weights_of(learn(noisy, "self_distilled", labelled__target__imitation=0.0)), label)
    answer = weights_of(learn(noisy, "born_again"))
    assert torch.equal(weights_of(learn(noisy, "self_distilled", labelled__target__imitation=1.0)), answer)
    assert not torch.equal(label, answer)


def test_a_chosen_number_trains_the_student_of_that_number(noisy):
    found = learn(noisy, "self_distilled")
    (choice,) = found.choices
    # At least one middle in every halving, also where the best is the smallest.
    assert len(choice.tried) >= len(ImitationSearch().candidates) + ImitationSearch().halvings
    assert choice.imitation == min(choice.tried, key=lambda each: each[1])[0]
    typed = learn(noisy, "self_distilled", labelled__target__imitation=choice.imitation)
    assert torch.equal(weights_of(found), weights_of(typed))
    assert found.num_labelled == 200
    assert typed.choices == ()


def test_tries_do_not_train_on_the_labels_that_judge_them(noisy, monkeypatch):
    import overproof.training.distillation as module

    train, seen = module.train, []

    def watched(student, data, **options):
        judges = data.held_out
        seen.append((set(data.rows.place.tolist()), set() if judges is None else set(judges.place.tolist())))
        return train(student, data, **options)

    monkeypatch.setattr(module, "train", watched)
    learn(noisy, "self_distilled")
    *tries, (last, _) = seen
    everyone = set(range(200))
    assert last == everyone
    assert all(trained | judges == everyone and not trained & judges for trained, judges in tries)
    assert all(len(judges) == 67 for _, judges in tries)


def test_extrapolation_needs_weight_decay(noisy):
    free = TRAIN.model_copy(update={"weight_decay": 0.0})
    for imitation in (1.5, -0.5, "auto"):
        with pytest.raises(InputError, match="weight_decay' is 0, but the method's target may have negative"):
            learn(noisy, "self_distilled", train=free, labelled__target__imitation=imitation)
    assert learn(noisy, "self_distilled", train=free, labelled__target__imitation=0.5).num_labelled == 200


def test_two_generations_are_two_runs_in_a_row(noisy):
    world, label = noisy
    both = learn(noisy, "born_again", generations=2)
    assert not torch.equal(weights_of(both), weights_of(learn(noisy, "born_again")))
    three = learn(noisy, "born_again", generations=3)
    assert not torch.equal(weights_of(both), weights_of(three))
    # The second learns from the first alone: what the teacher said of the labelled examples is forgotten.
    other = distill(
        "mlp", world.inputs[200:], world.teacher_probs[200:], world.inputs[:200], label[:200],
        world.teacher_probs[:200].flip(1), method=by_path("retrained", generations=2), train=TRAIN,
    )  # fmt: skip
    agreement = (
        other.student.probs(world.inputs[:200]).argmax(1) == world.teacher_probs[:200].flip(1).argmax(1)
    ).float()
    assert agreement.mean() > 0.9


def test_a_start_from_the_teacher(noisy):
    world, label = noisy
    module = build("mlp", [from_arrays(world.inputs)], class_names="abc", seed=5).module

    def start(teacher, train):
        return distill(
            "mlp", world.inputs[200:], world.teacher_probs[200:], world.inputs[:200], label[:200],
            world.teacher_probs[:200], method="partial_label", train=train, teacher=teacher,
        )  # fmt: skip

    still = TRAIN.model_copy(update={"epochs": 1, "learning_rate": 1e-12, "weight_decay": 0.0})
    kept = start(module, still).student.module.state_dict()
    for name, value in module.state_dict().items():
        torch.testing.assert_close(kept[name], value, atol=1e-6, rtol=0)
    with pytest.raises(InputError, match="starts from the teacher's own weights, and none are given"):
        start(None, still)
    with pytest.raises(InputError, match="the teacher is of another kind"):
        start(nn.Linear(2, 3), still)


def test_several_generations_cannot_choose_on_labels_they_learned_from(noisy):
    with pytest.raises(InputError, match="several generations"):
        learn(noisy, "self_distilled", generations=2)


def test_several_generations_cannot_ask_the_teacher_anew(noisy):
    online = TRAIN.model_copy(update={"teacher_answers": "online"})
    with pytest.raises(InputError, match="all but the first learn from a student"):
        learn(noisy, "born_again", train=online, generations=2)


# --- a kill anywhere


class Killed(Exception):
    pass


@pytest.mark.parametrize("in_the_search", [True, False])
def test_a_killed_search_goes_on_and_ends_in_the_same_bytes(noisy, tmp_path, monkeypatch, in_the_search):
    import overproof.training.distillation as module

    few = {"labelled__target__search__candidates": [0.0, 1.0, 2.0], "labelled__target__search__halvings": 0}
    whole = learn(noisy, "self_distilled", **few)
    train, finished = module.train, []
    last = 1 if in_the_search else len(whole.choices[0].tried)

    def dies(*arguments, **options):
        if len(finished) == last:
            raise Killed
        finished.append(options["method"].labelled.target.imitation)
        return train(*arguments, **options)

    monkeypatch.setattr(module, "train", dies)
    with pytest.raises(Killed):
        learn(noisy, "self_distilled", checkpoint=tmp_path / "killed.pt", **few)
    last = 1000
    again = learn(noisy, "self_distilled", checkpoint=tmp_path / "killed.pt", **few)
    assert torch.equal(weights_of(whole), weights_of(again))
    assert whole.choices == again.choices
    # No student of the search was trained twice; the last one is that of the chosen number.
    *tries, chosen = finished
    assert sorted(tries) == [imitation for imitation, _ in whole.choices[0].tried]
    assert chosen == whole.choices[0].imitation


def test_finished_generations_are_not_trained_again(noisy, tmp_path, monkeypatch):
    import overproof.training.distillation as module

    whole = learn(noisy, "born_again", generations=3)
    train, calls = module.train, []

    def dies_in_the_third(*arguments, **options):
        calls.append(0)
        if len(calls) == 3:
            raise Killed
        return train(*arguments, **options)

    monkeypatch.setattr(module, "train", dies_in_the_third)
    with pytest.raises(Killed):
        learn(noisy, "born_again", generations=3, checkpoint=tmp_path / "c.pt")
    again = learn(noisy, "born_again", generations=3, checkpoint=tmp_path / "c.pt")
    assert len(calls) == 4
    assert torch.equal(weights_of(whole), weights_of(again))


def test_notes_of_another_run_and_broken_ones_are_refused(tmp_path):
    StoredResults(folder=tmp_path, fingerprint="one").add("a", 1)
    assert StoredResults(folder=tmp_path, fingerprint="one").values == {"a": 1}
    with pytest.raises(InputError, match="other options or data"):
        StoredResults(folder=tmp_path, fingerprint="two")
    (tmp_path / "notes.json").write_text(json.dumps([1]))
    with pytest.raises(InputError, match="is damaged"):
        StoredResults(folder=tmp_path, fingerprint="one")


# --- arrays of one's own


def test_arrays_with_noisy_labels_teach_themselves(noisy, tmp_path, monkeypatch):
    world, label = noisy
    few = by_path(
        "self_distilled", labelled__target__search__candidates=[0.0, 1.0, 2.0], labelled__target__search__halvings=0
    )

    def learned(method, checkpoint=None, **held_out):
        return self_distill(
            "mlp", world.inputs[:200], label[:200], method=method, train=TRAIN, checkpoint=checkpoint, **held_out
        )

    others = {"held_out": world.inputs[200:], "held_out_labels": label[200:]}
    found = learned(few, tmp_path / "a.pt", **others)
    assert torch.equal(weights_of(found), weights_of(learned(few, **others)))
    assert (found.num_labelled, found.num_held_out, len(found.choices)) == (200, 100, 1)
    # Without held-out examples a third of the inputs is held out, the same that anybody could give.
    drawn = learned(few)
    chosen = held_out_rows(label[:200], 1 / 3, derived_seed(0, "held out"))
    assert (drawn.num_labelled, drawn.num_held_out) == (int((~chosen).sum()), int(chosen.sum())) == (133, 67)
    given = {"held_out": world.inputs[:200][chosen], "held_out_labels": label[:200][chosen], "train": TRAIN}
    by_hand = self_distill("mlp", world.inputs[:200][~chosen], label[:200][~chosen], method=few, **given)
    assert torch.equal(weights_of(drawn), weights_of(by_hand))
    # ξ = 0 is the fit to the labels; a start from the teacher begins where that fit, from other first weights, ended.
    fitted = learned(by_path("self_distilled", labelled__target__imitation=0.0))
    assert torch.equal(weights_of(fitted), weights_of(learned("labelled_only")))
    assert not torch.equal(weights_of(fitted), weights_of(learned("born_again")))
    assert learned("partial_label").num_labelled == 200


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"held_out_share": 1.0}, "held_out_share is 1; a share above 0 and below 1"),
        ({"held_out": torch.zeros(2, 2)}, "go together"),
        ({"method": "slam"}, "The teacher was trained on the labelled examples"),
        ({"method": "born_again", "labels": torch.zeros(300, dtype=torch.long)}, "one class only"),
        ({"method": "born_again", "labels": torch.full((300,), -1)}, "row 0: the label is unknown"),
        ({"method": "born_again", "labels": torch.zeros(2, dtype=torch.long)}, "2"),
        ({"method": "born_again", "inputs": torch.full((300, 2), torch.nan)}, "inputs has a missing value"),
    ],
)
def test_arrays_that_do_not_fit_are_named(noisy, arguments, words):
    world, label = noisy
    with pytest.raises(InputError, match=words) as error:
        self_distill("mlp", **{"inputs": world.inputs, "labels": label, "train": TRAIN, **arguments})
    assert str(error.value).endswith(".")
