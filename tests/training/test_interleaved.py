"""Students that take their steps in turn are what they are alone, and find their batches made."""

import shutil

import pyarrow as pa
import pyarrow.csv
import pytest
import torch

from overproof.models import Dense, Ragged, Unpadded, as_read
from overproof.models.ngram_bag import NgramBag
from overproof.progress import Silent
from overproof.runs import students
from overproof.runs.experiment import MethodOptions, experiment_from
from overproof.runs.pipeline import Run
from overproof.training.distillation import distilled, distilling
from overproof.training.interleaved import in_turn, timed, to_its_end
from overproof.training.options import TrainOptions

ROWS = ("hard", "soft", "slam", "wd", "fidelity")


def ragged(lengths=(3, 0, 5, 1, 9), buckets=40) -> Ragged:
    g, offsets = torch.Generator().manual_seed(0), torch.tensor([0, *lengths]).cumsum(0)
    values = torch.randint(1, buckets, (int(offsets[-1]),), generator=g, dtype=torch.int32)
    return Ragged(values=values, offsets=offsets)


def bag(dim=None, dtype=torch.float64) -> NgramBag:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = NgramBag(40, 3, dim=dim, dropout=0.0)
        made.idf.copy_(torch.rand(40) + 1)
        made.idf[0] = 0
        torch.nn.init.normal_(made.table)
    return made.to(dtype)


# --- batches without padding


@pytest.mark.parametrize("rows", [[4, 0, 2, 2], [1], [1, 1], [3, 4], []])
def test_a_part_holds_the_features_of_its_rows_in_order(rows):
    whole, rows = ragged(), torch.tensor(rows, dtype=torch.int64)
    part, padded = whole.part(rows), whole.take(rows)
    assert len(part) == len(rows)
    assert part.values.tolist() == padded[padded > 0].tolist()
    assert part.offsets.diff().tolist() == (padded > 0).sum(dim=1).tolist()
    assert part.owner.tolist() == [i for i, row in enumerate(padded) for each in row if each > 0]


def test_the_last_four_parts_are_kept_and_no_large_one():
    whole = ragged()
    parts = [whole.part(torch.tensor([row])) for row in range(5)]
    assert all(whole.part(torch.tensor([row])) is parts[row] for row in (1, 2, 3, 4))
    assert whole.part(torch.tensor([0])) is not parts[0]
    # Asked for again, a part is young again.
    assert whole.part(torch.tensor([2])) is parts[2]
    many = torch.zeros(1025, dtype=torch.int64)
    assert whole.part(many) is not whole.part(many)


@pytest.mark.parametrize("dim", [None, 4])
def test_a_bag_says_the_same_of_padded_texts_and_learns_the_same(dim):
    whole, rows = ragged(), torch.tensor([4, 1, 0, 2])
    padded, unpadded = bag(dim), bag(dim)
    one, other = padded(whole.take(rows)), unpadded(Unpadded(inputs=whole).take(rows))
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
    for logits in (one, other):
        logits.square().sum().backward()
    for mine, theirs in zip(padded.parameters(), unpadded.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, theirs.grad, rtol=1e-12, atol=1e-12)
    # A text without n-grams: the bias alone.
    assert dim is not None or torch.equal(other[1], unpadded.bias)


def test_what_a_bag_says_of_a_text_is_the_same_in_any_company():
    whole, module = ragged((30, 2, 7, 0, 300)), bag(dtype=torch.float32)
    together = module(whole.part(torch.arange(5)))
    assert all(torch.equal(module(whole.part(torch.tensor([row])))[0], together[row]) for row in range(5))


def test_weights_are_made_once_for_equal_tables_and_never_for_others():
    texts, count = ragged(), []

    def make():
        count.append(0)
        return torch.tensor(float(len(count)))

    rareness = torch.arange(3.0)
    assert texts.once(rareness, make) is texts.once(rareness.clone(), make)
    assert texts.once(rareness + 1, make).item() == 2
    assert len(count) == 2


def test_only_bags_read_texts_without_padding():
    assert isinstance(as_read(bag(), ragged()), Unpadded)
    pixels = Dense(values=torch.zeros(2, 3))
    assert as_read(torch.nn.Linear(3, 2), pixels) is pixels


# --- steps in turn


def steps(name, num, said, fails_at=None):
    """A training of `num` steps that notes them."""
    for step in range(num):
        if step == fails_at:
            raise FloatingPointError(name)
        said.append((name, step))
        torch.rand(1)
        yield (step + 1) / num
    return name * 2


def test_who_has_done_least_is_next_and_results_keep_their_order():
    said, before = [], torch.get_rng_state()
    assert in_turn([steps("a", 2, said), steps("b", 1, said), steps("c", 4, said)]) == ["aa", "bb", "cc"]
    assert said == [("a", 0), ("b", 0), ("c", 0), ("c", 1), ("a", 1), ("c", 2), ("c", 3)]
    assert torch.equal(torch.get_rng_state(), before)
    assert in_turn([]) == []


def test_a_failure_ends_all_of_them():
    said = []
    others = steps("a", 3, said)
    with pytest.raises(FloatingPointError, match="b"):
        in_turn([others, steps("b", 3, said, fails_at=1)])
    assert list(others) == []


def test_a_timed_training_is_the_same_and_counts_its_own_turns_alone():
    said = []
    [(first, mine), (second, theirs)] = in_turn([timed(steps("a", 3, said)), timed(steps("b", 3, said))])
    assert (first, second) == ("aa", "bb")
    assert 0 < mine < 1
    assert 0 < theirs < 1


def content(tmp_path, **changes):
    g = torch.Generator().manual_seed(0)
    label = torch.randint(2, (260,), generator=g)
    words = torch.randint(0, 40, (260, 12), generator=g) + 20 * label.unsqueeze(1)
    texts = [" ".join(f"w{word}" for word in row) for row in words.tolist()]
    pa.csv.write_csv(pa.table({"text": texts, "class": [f"c{y}" for y in label.tolist()]}), tmp_path / "texts.csv")
    return {
        "name": "turns",
        "data": {
            "files": {"all": {"path": str(tmp_path / "texts.csv"), "input": "text", "label": "class"}},
            "rows": {"labelled": 60, "pool": 150, "test": 50},
        },
        "teacher": {"model": "ngram", "options": {"buckets": 64}, "folds": 2, "train": {"epochs": 2}},
        "student": {"name": "ngram", "options": {"buckets": 512}},
        "train": {"epochs": 3, "batch_size": 32, "checkpoint_seconds": 0.0},
        "methods": list(ROWS),
        "seeds": [0],
        **changes,
    }


def bytes_of(folder):
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in ("log.txt", "costs.jsonl"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """An experiment whose teacher has answered, and its folder."""
    folder = tmp_path_factory.mktemp("turns")
    experiment = experiment_from(content(folder))
    Run(experiment=experiment, folder=folder / "asked", progress=Silent()).label()
    return experiment, folder / "asked"


@pytest.fixture(scope="module")
def whole(asked):
    """All of its students, trained side by side."""
    experiment, folder = asked
    return trained(experiment, folder, folder.parent / "whole")


def trained(experiment, folder, copied):
    if not copied.exists():
        shutil.copytree(folder, copied)
    Run(experiment=experiment, folder=copied, progress=Silent()).distill()
    return bytes_of(copied)


def test_a_run_in_turn_is_the_run_one_by_one_byte_for_byte(asked, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(students, "MOST_TOGETHER", 1)
    assert trained(*asked, tmp_path / "alone") == whole
    # Its rows, labels alone, and the oracle.
    assert sum(name.endswith("row.json") for name in whole) == len(ROWS) + 2


def test_a_batch_is_made_once_for_all_who_ask_for_it(asked, monkeypatch):
    work = Run(experiment=asked[0], folder=asked[1], progress=Silent())
    material, made, original = work._students.inputs_of(0), [], Ragged.part

    def watched(self, rows):
        part = original(self, rows)
        if not any(part is other for other in made):
            made.append(part)
        return part

    monkeypatch.setattr(Ragged, "part", watched)
    options = TrainOptions(epochs=2, batch_size=32, learning_rate=0.1, optimizer="sgd")

    def one(name):
        return distilling(
            material.fresh(),
            material.inputs,
            material.answered["labelled"],
            material.answered["pool"],
            method=work.experiment.method_of(MethodOptions(method=name)),
            options=options,
            seed=3,
        )

    alone = [to_its_end(one(name)) for name in ("hard", "soft", "slam")]
    apart = len(made)
    made.clear()
    together = in_turn([one(name) for name in ("hard", "soft", "slam")])
    num_steps = 2 * max(1, round(150 / (32 - 8)))
    assert len(made) <= apart / 3 + 1
    assert len(made) >= num_steps // 2
    for mine, theirs in zip(alone, together, strict=True):
        weights = zip(mine.student.module.parameters(), theirs.student.module.parameters(), strict=True)
        assert all(torch.equal(one, other) for one, other in weights)


@pytest.mark.parametrize("dies_at", [2, 13, 40])
def test_killed_between_any_two_steps_it_goes_on_to_the_same_bytes(asked, whole, tmp_path, monkeypatch, dies_at):
    count, original = [], students.distilling

    def dying(*args, **options):
        training = original(*args, **options)
        while True:
            count.append(0)
            if len(count) == dies_at:
                raise KeyboardInterrupt
            try:
                yield next(training)
            except StopIteration as stop:
                return stop.value

    monkeypatch.setattr(students, "distilling", dying)
    with pytest.raises(KeyboardInterrupt):
        trained(*asked, tmp_path / "killed")
    monkeypatch.setattr(students, "distilling", original)
    # Some are a step further than others.
    assert not list((tmp_path / "killed").rglob("row.json")) or dies_at > 40
    assert trained(*asked, tmp_path / "killed") == whole


def test_tables_and_large_students_are_trained_one_by_one(asked, tmp_path, monkeypatch):
    work = Run(experiment=asked[0], folder=asked[1], progress=Silent())
    material, rows = work._students.inputs_of(0), work._students.rows(0)
    assert [len(group) for group in work._students.groups(material, rows)] == [len(rows)]
    monkeypatch.setattr(students, "MOST_NUMBERS", 2 * 1026)
    assert {len(group) for group in work._students.groups(material, rows[:4])} == {2}
    # Short texts and a large table: nothing is won.
    monkeypatch.setattr(students, "SHARED_SHARE", 2.0)
    assert {len(group) for group in work._students.groups(material, rows)} == {1}
    numbers = {"name": "linear", "options": {}}
    pa.csv.write_csv(
        pa.table({"x": torch.randn(260).tolist(), "class": [f"c{i % 2}" for i in range(260)]}), tmp_path / "t.csv"
    )
    files = {"all": {"path": str(tmp_path / "t.csv"), "label": "class"}}
    table = content(tmp_path, student=numbers, teacher={"model": "linear", "folds": 2, "train": {"epochs": 1}})
    table["data"]["files"] = files
    work = Run(experiment=experiment_from(table), folder=tmp_path / "table", progress=Silent())
    assert {len(group) for group in work._students.groups(work._students.inputs_of(0), rows)} == {1}


def test_distilled_takes_all_steps(tmp_path):
    assert distilled.__doc__ == distilling.__doc__
