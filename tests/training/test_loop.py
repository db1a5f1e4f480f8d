"""The loop: what it minimises, that it resumes to the same bytes, and that it refuses what cannot work."""

import subprocess
import sys
from dataclasses import dataclass, replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from overproof.contract import Batch, PerExample
from overproof.errors import NotFiniteError
from overproof.methods.composition import Method, Objective
from overproof.methods.losses import CrossEntropy
from overproof.methods.published import method
from overproof.models import Dense
from overproof.noise import TransitionLikelihood
from overproof.seeds import derived_seed
from overproof.training.augmentation import augment
from overproof.training.checkpoint import EpochRecord, Resume
from overproof.training.epoch_counts import no_counts, summed
from overproof.training.examples import LoopData, TrainingRows
from overproof.training.loop import train
from overproof.training.options import TrainOptions, batch_sizes
from overproof.training.sampler import Shuffled

K = 3


def some_rows(num=60, seed=0, width=5) -> TrainingRows:
    g = torch.Generator().manual_seed(seed)
    probs = torch.randn(num, K, generator=g).softmax(1)
    return TrainingRows(
        inputs=Dense(values=torch.randn(num, width, generator=g)),
        place=torch.arange(num),
        label=torch.randint(K, (num,), generator=g),
        teacher_probs=Dense(values=probs),
        teacher_accuracy=torch.linspace(0.55, 0.95, num),
        num_candidates=torch.full((num,), 2),
        likelihood=TransitionLikelihood(transition=torch.eye(K)),
        class_share=torch.full((num,), 1 / K),
        draw_weight=torch.ones(num),
    )


def student(width=5, dropout=0.0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return nn.Sequential(nn.Linear(width, 8), nn.BatchNorm1d(8), nn.Dropout(dropout), nn.ReLU(), nn.Linear(8, K))


def trained(module, rows, *, method_name="soft", num_labelled=20, steps_per_epoch=4, held_out=None, **options):
    options = {
        "learning_rate": 0.05,
        "optimizer": "adamw",
        "epochs": 3,
        "batch_size": 16,
        "checkpoint_seconds": 0.0,
        **options,
    }
    resume = Resume(**{name: options.pop(name) for name in ("checkpoint", "observe") if name in options})
    return train(
        module,
        LoopData(rows=rows, num_labelled=num_labelled, transition=torch.eye(K), held_out=held_out),
        method=method(method_name) if isinstance(method_name, str) else method_name,
        options=TrainOptions(**options),
        steps_per_epoch=steps_per_epoch,
        seed=0,
        resume=resume,
    )


def weights(module):
    return torch.cat([value.flatten().float() for value in module.state_dict().values()])


def test_one_step_is_a_hand_written_step():
    """SGD on the mean over labelled and pool rows alike, labelled ones with their labels in full."""
    rows, module = some_rows(), nn.Linear(5, K)
    by_hand = nn.Linear(5, K)
    by_hand.load_state_dict(module.state_dict())
    trained(module, rows, epochs=1, steps_per_epoch=1, optimizer="sgd", warmup_share=0.0, weight_decay=0.0)

    num_labelled, num_pool = batch_sizes(TrainOptions(batch_size=16), 20, 40)
    labelled = Shuffled(20, derived_seed(0, "labelled")).take(0, num_labelled)
    pool = Shuffled(40, derived_seed(0, "pool")).take(0, num_pool) + 20
    target = torch.cat([F.one_hot(rows.label[labelled], K).float(), rows.teacher_probs.values[pool]])
    loss = F.cross_entropy(by_hand(rows.inputs.values[torch.cat([labelled, pool])]), target)
    optimizer = torch.optim.SGD(by_hand.parameters(), lr=0.05, momentum=0.9, nesterov=True)
    loss.backward()
    optimizer.step()
    torch.testing.assert_close(weights(module), weights(by_hand))


def test_a_signal_ends_a_training_after_its_step_and_its_state_is_saved(tmp_path, monkeypatch):
    from overproof import processes

    monkeypatch.setattr(processes, "_received", [])
    steps = []

    class Signalled(nn.Linear):
        def forward(self, inputs):
            steps.append(len(inputs))
            if len(steps) == 3:
                # Raises nothing here: the step is finished first.
                processes.interrupt(2)
            return super().forward(inputs)

    with pytest.raises(KeyboardInterrupt):
        trained(Signalled(5, K), some_rows(), checkpoint=tmp_path / "c.pt", checkpoint_seconds=3600.0)
    assert len(steps) == 3
    assert (tmp_path / "c.pt").exists()
    assert processes.received() == [2]


def test_the_mean_is_over_the_number_of_examples_not_the_sum_of_weights():
    @dataclass(frozen=True)
    class Half:
        def __call__(self, batch: Batch) -> PerExample:
            return torch.full_like(batch.teacher_accuracy, 0.5)

    rows, losses = some_rows(), []
    for weight in (Half(), replace(method("hard").pool).weight):
        composed = Method(noise=method("hard").noise, pool=Objective(weight=weight))
        module = student()
        history, _ = trained(module, rows, method_name=composed, num_labelled=0, epochs=1, steps_per_epoch=1)
        losses.append(history[0].loss)
    assert losses[0] == pytest.approx(losses[1] / 2, rel=1e-6)


@pytest.mark.parametrize("name", ["labelled_only", "hard", "soft", "slam", "wd", "calibrated_soft", "fidelity"])
def test_the_same_seed_gives_the_same_bytes_whatever_the_global_seed(name):
    outcomes = []
    for noise in (1, 2):
        torch.manual_seed(noise)
        module = student(dropout=0.5)
        rows = some_rows(20) if name == "labelled_only" else some_rows()
        trained(module, rows, method_name=name, held_out=some_rows(30, seed=5))
        outcomes.append(weights(module))
    assert torch.equal(*outcomes)


def test_training_leaves_the_global_generator_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    trained(student(dropout=0.5), some_rows())
    assert torch.equal(torch.rand(3), expected)


class Killed(Exception):
    pass


@pytest.mark.parametrize("name", ["soft", "wd", "slam"])
@pytest.mark.parametrize(
    "options",
    [{"ema": 0.9}, {"optimizer": "sgd"}, {"early_stop_epochs": 2}, {"ema": 0.9, "early_stop_epochs": 2}],
    ids=str,
)
def test_a_killed_run_resumes_to_the_same_bytes(tmp_path, name, options):
    rows, held_out = some_rows(), some_rows(30, seed=5)
    whole = student(dropout=0.3)
    whole_history, _ = trained(whole, rows, method_name=name, held_out=held_out, epochs=5, **options)

    def kill(record: EpochRecord) -> None:
        if record.epoch == 3:
            raise Killed

    resumed, checkpoint = student(dropout=0.3), tmp_path / "checkpoint.pt"
    with pytest.raises(Killed):
        trained(
            student(dropout=0.3), rows, method_name=name, held_out=held_out, epochs=5, checkpoint=checkpoint,
            observe=kill, **options,
        )  # fmt: skip
    history, _ = trained(resumed, rows, method_name=name, held_out=held_out, epochs=5, checkpoint=checkpoint, **options)
    assert torch.equal(weights(whole), weights(resumed))
    assert history == whole_history


def test_a_foreign_or_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "checkpoint.pt"
    trained(student(), some_rows(), checkpoint=path)
    with pytest.raises(ValueError, match="belongs to a run with other options"):
        trained(student(), some_rows(), checkpoint=path, epochs=4)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"checkpoint\.pt is damaged .its content does not match its checksum"):
        trained(student(), some_rows(), checkpoint=path)


def test_accumulating_gradients_changes_only_rounding():
    rows, module, split = some_rows(), nn.Linear(5, K).double(), None
    rows = replace(rows, inputs=Dense(values=rows.inputs.values.double()))
    split = nn.Linear(5, K).double()
    split.load_state_dict(module.state_dict())
    trained(module, rows)
    trained(split, rows, accumulate=3)
    torch.testing.assert_close(weights(module), weights(split), rtol=1e-5, atol=1e-6)
    trained(module, rows, steps_per_epoch=1)
    trained(split, rows, steps_per_epoch=1, accumulate=3)
    torch.testing.assert_close(weights(module), weights(split), rtol=1e-5, atol=1e-6)


class WithBuffers(nn.Linear):
    """A module that counts its calls, and after some of them keeps a number that is not finite and not used."""

    def __init__(self, calls):
        super().__init__(5, K)
        self.last_call = calls
        self.register_buffer("calls", torch.tensor(0))
        self.register_buffer("scale", torch.tensor(1.0))

    def forward(self, inputs):
        self.calls += 1
        if self.calls == self.last_call:
            self.scale.fill_(float("inf"))
        return super().forward(inputs)


def test_weights_that_are_not_finite_are_found_where_the_loss_is():
    trained(WithBuffers(calls=99), some_rows(), epochs=2)
    with pytest.raises(NotFiniteError, match=r"weight 'scale' is not finite at step 8 of 12 \(epoch 2\)"):
        trained(WithBuffers(calls=6), some_rows(), epochs=3)


def test_the_moving_average_is_the_student():
    rows, plain, average = some_rows(), nn.Linear(5, K), nn.Linear(5, K)
    average.load_state_dict(plain.state_dict())
    start = weights(plain).clone()
    trained(plain, rows, epochs=1, steps_per_epoch=1)
    trained(average, rows, epochs=1, steps_per_epoch=1, ema=0.75)
    torch.testing.assert_close(weights(average), 0.75 * start + 0.25 * weights(plain))


def test_early_stopping_keeps_the_best_student_and_stops():
    rows, held_out = some_rows(), some_rows(40, seed=9)
    module = student()
    history, _ = trained(module, rows, held_out=held_out, epochs=40, early_stop_epochs=3, learning_rate=0.3)
    assert len(history) < 40
    best = min(record.held_out_loss for record in history)
    module.eval()
    found = F.cross_entropy(module(held_out.inputs.values), held_out.label).item()
    assert found == pytest.approx(best, rel=1e-5)


@pytest.mark.parametrize("patience", [1, 2, 5])
def test_early_stopping_waits_exactly_as_many_epochs_as_it_should(patience):
    """A student that learns nothing is best after its first epoch: training stops `patience` epochs later."""
    rows, held_out = some_rows(), some_rows(40, seed=9)
    still = {"learning_rate": 1e-30, "weight_decay": 0.0, "optimizer": "sgd"}
    history, _ = trained(nn.Linear(5, K), rows, held_out=held_out, epochs=12, early_stop_epochs=patience, **still)
    assert len({record.held_out_loss for record in history}) == 1
    assert len(history) == 1 + patience
    # And one that learns for a while: as many epochs after the best one.
    history, _ = trained(student(), rows, held_out=held_out, epochs=60, early_stop_epochs=patience, learning_rate=0.3)
    losses = [record.held_out_loss for record in history]
    assert len(losses) == losses.index(min(losses)) + 1 + patience
    # Without it, all epochs.
    assert len(trained(nn.Linear(5, K), rows, held_out=held_out, epochs=12, **still)[0]) == 12


def test_early_stopping_measures_the_average_that_it_keeps():
    rows, held_out, module = some_rows(), some_rows(40, seed=9), student()
    options = {"early_stop_epochs": 4, "learning_rate": 0.3, "epochs": 40}
    history, _ = trained(module, rows, held_out=held_out, ema=0.9, **options)
    averages = [record.held_out_loss for record in history]
    assert len(history) < 40
    module.eval()
    kept = F.cross_entropy(module(held_out.inputs.values), held_out.label).item()
    assert kept == pytest.approx(min(averages), rel=1e-5)
    assert len(history) - (averages.index(min(averages)) + 1) == 4
    # The live network has other losses.
    live, _ = trained(student(), rows, held_out=held_out, **options)
    assert abs(live[0].held_out_loss - averages[0]) > 0.01


def test_measuring_the_average_does_not_change_the_training():
    rows, held_out = some_rows(), some_rows(40, seed=9)
    measured, unmeasured = student(dropout=0.3), student(dropout=0.3)
    trained(measured, rows, held_out=held_out, epochs=5, ema=0.8)
    trained(unmeasured, rows, epochs=5, ema=0.8)
    assert torch.equal(weights(measured), weights(unmeasured))


def test_a_loss_that_is_not_finite_stops_before_the_step():
    rows, module = some_rows(), nn.Linear(5, K)
    rows.inputs.values[30:] = float("nan")
    before = weights(module).clone()
    with pytest.raises(FloatingPointError, match="step 1 of 12"):
        trained(module, rows)
    assert torch.equal(weights(module), before)


@pytest.mark.parametrize(("name", "options"), [("wd", {}), ("hard", {"early_stop_epochs": 2})])
def test_held_out_labels_are_asked_for_in_words(name, options):
    with pytest.raises(ValueError, match="held out"):
        trained(student(), some_rows(), method_name=name, **options)


def test_weights_are_one_in_the_first_epoch_and_recorded_after_it():
    history, memories = trained(student(), some_rows(), method_name="wd", held_out=some_rows(50, seed=5))
    assert (history[0].weight_min, history[0].weight_max) == (1.0, 1.0)
    assert history[1].weight_min < 1
    assert history[1].weight_max <= 1
    assert memories["pool.weight"]
    assert not memories["pool.loss"]


@dataclass(frozen=True)
class Learned:
    """Cross-entropy of logits shifted by a learned vector: a part with trainable memory."""

    def start(self, transition):
        return {"shift": torch.zeros(len(transition), requires_grad=True)}

    def __call__(self, batch: Batch) -> PerExample:
        return CrossEntropy()(replace(batch, student_logits=batch.student_logits + batch.memory["shift"]))


def test_a_part_that_learns_needs_no_special_case_and_resumes(tmp_path):
    composed = Method(noise=method("hard").noise, pool=Objective(loss=Learned()))
    _, memories = trained(student(), some_rows(), method_name=composed, epochs=4)
    assert memories["pool.loss"]["shift"].abs().max() > 0

    def kill(record):
        if record.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        trained(student(), some_rows(), method_name=composed, epochs=4, checkpoint=tmp_path / "c", observe=kill)
    _, resumed = trained(student(), some_rows(), method_name=composed, epochs=4, checkpoint=tmp_path / "c")
    assert torch.equal(resumed["pool.loss"]["shift"], memories["pool.loss"]["shift"])


def test_batches_hold_at_least_one_of_each_kind():
    assert batch_sizes(TrainOptions(batch_size=8, labelled_share=0.0), 10, 1000) == (1, 7)
    assert batch_sizes(TrainOptions(batch_size=8, labelled_share=1.0), 10, 1000) == (7, 1)
    assert batch_sizes(TrainOptions(batch_size=8), 0, 1000) == (0, 8)
    assert batch_sizes(TrainOptions(batch_size=8), 10, 0) == (8, 0)


def test_a_crop_is_a_shift_and_a_flip_a_mirror():
    image = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4).expand(200, 1, 4, 4)
    padded = F.pad(image[0], (1, 1, 1, 1))
    crops = {tuple(padded[0, i : i + 4, j : j + 4].flatten().tolist()) for i in range(3) for j in range(3)}
    mirrored = {tuple(torch.tensor(crop).view(4, 4).flip(1).flatten().tolist()) for crop in crops}
    found = augment(image, "crop", 1, torch.Generator().manual_seed(0))
    assert {tuple(each.flatten().tolist()) for each in found} == crops
    found = augment(image, "crop_flip", 1, torch.Generator().manual_seed(0))
    seen = {tuple(each.flatten().tolist()) for each in found}
    assert seen <= crops | mirrored
    assert seen & mirrored
    assert seen & crops
    assert torch.equal(augment(image, "none", 1, torch.Generator()), image)


WORKER = """
import sys, torch, torch.distributed as dist
sys.path.insert(0, "tests/training")
from test_loop import some_rows, trained, weights
from torch import nn
if dist.is_torchelastic_launched():
    dist.init_process_group("gloo")
torch.manual_seed(3)
module = nn.Linear(5, 3)
trained(module, some_rows(), epochs=2)
if not dist.is_initialized() or dist.get_rank() == 0:
    torch.save(weights(module), sys.argv[1])
"""


@pytest.mark.slow
def test_two_processes_train_what_one_does(tmp_path):
    """Data parallel under torchrun: the same batches, the same mean, up to rounding."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--master-port=29511"]
    for launcher, name in (([sys.executable], "one"), (torchrun, "two")):
        done = subprocess.run([*launcher, str(script), str(tmp_path / name)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    one, two = (torch.load(tmp_path / name, weights_only=True) for name in ("one", "two"))
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


@dataclass(frozen=True)
class HalfWhereUnsure:
    """One half where the teacher's accuracy is below .75, two elsewhere."""

    def __call__(self, batch: Batch) -> PerExample:
        return torch.where(batch.teacher_accuracy < 0.75, 0.5, 2.0)


def test_an_epoch_is_counted_and_counting_is_seen_by_nobody(monkeypatch):
    """Weights, hits and agreements add up to what passed, counted in one go or batch by batch."""
    rows, weighted = some_rows(), Method(pool=Objective(weight=HalfWhereUnsure()))
    num_labelled, num_pool = (4 * size for size in batch_sizes(TrainOptions(batch_size=16), 20, 40))
    module = student()
    history, _ = trained(module, rows, method_name=weighted, epochs=8)
    assert [sum(record.weight_counts) for record in history] == [num_pool] * 8
    assert all(record.weight_counts[10] + record.weight_counts[20] == num_pool for record in history)
    assert all(0 < record.weight_counts[20] < num_pool for record in history)
    for record in history:
        assert record.labelled_right * num_labelled == pytest.approx(round(record.labelled_right * num_labelled))
        assert record.pool_agreement * num_pool == pytest.approx(round(record.pool_agreement * num_pool))
    assert history[-1].pool_agreement > history[0].pool_agreement
    monkeypatch.setattr("overproof.training.epoch_counts.MAX_WAITING", 1)
    again = student()
    assert trained(again, rows, method_name=weighted, epochs=8)[0] == history
    assert torch.equal(weights(again), weights(module))


def test_a_pass_is_counted_by_hand():
    """Labelled 0 and 1, named 0 and 0; the pool's teacher says 1, 2, 2 and the student 1, 2, 0."""
    named, said = [0, 0, 1, 2, 0], [2, 2, 1, 2, 2]
    batch = Batch(
        student_logits=F.one_hot(torch.tensor(named), K).float(),
        target_probs=F.one_hot(torch.tensor(said), K).float(),
        teacher_probs=F.one_hot(torch.tensor(said), K).float(),
        label=torch.tensor([0, 1, -1, -1, -1]),
        teacher_accuracy=torch.ones(5),
        num_candidates=torch.full((5,), 2),
        transition=torch.eye(K),
        answer_likelihood=torch.ones(5, K),
        class_share=torch.ones(5),
    )
    counts = no_counts(torch.device("cpu"))
    counts.add(batch, torch.tensor([1.0, 1.0, 0.0, 0.05, 3.0]), 2)
    totals = summed(counts.flush())
    assert (totals.labelled_right, totals.pool_agreement) == (0.5, pytest.approx(2 / 3))
    assert totals.weight_counts == (1, 1, *[0] * 18, 1)
    # The bins are .05 wide, and the last one is open.
    for weight, place in {0.0: 0, 0.049: 0, 0.051: 1, 0.26: 5, 0.74: 14, 0.949: 18, 0.99: 19, 1.0: 20, 1.2: 20}.items():
        one = no_counts(torch.device("cpu"))
        one.add(batch, torch.tensor([0.5, 0.5, weight, weight, weight]), 2)
        assert summed(one.flush()).weight_counts == tuple(3 * (each == place) for each in range(21))
    alone = no_counts(torch.device("cpu"))
    alone.add(batch, torch.ones(5), 5)
    assert summed(alone.flush()).pool_agreement is None
