"""What an LLM or a crowd says, as probabilities: hand numbers for residual mass, confidences and votes."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from overproof.answers.files import read_all_answers, read_answers
from overproof.answers.votes import Votes, agreement, posterior, reliability
from overproof.errors import InputError

CLASSES = ("cat", "cow", "dog")
KEYS = pa.array(["a", "b"])


def lines(folder: Path, *rows: dict) -> Path:
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def probs_of(path: Path, keys=KEYS, classes=CLASSES, **more) -> list:
    return read_answers(path, keys, classes, **more).probs().tolist()


def close(found: list, expected: list) -> bool:
    # Half precision keeps eleven bits.
    return np.allclose(found, expected, atol=2**-11)


# --- probabilities and logarithms


def test_an_object_of_probabilities_goes_by_name(tmp_path: Path):
    path = lines(
        tmp_path,
        {"id": "b", "probs": {"dog": 0.5, "cat": 0.25, "cow": 0.25}},
        {"id": "a", "probs": {"cat": 1.0, "cow": 0.0, "dog": 0.0}},
    )
    assert probs_of(path) == [[1.0, 0.0, 0.0], [0.25, 0.25, 0.5]]
    answers, ids, names = read_all_answers(path)
    assert (names, ids.to_pylist()) == (CLASSES, ["b", "a"])
    assert answers.probs().tolist() == [[0.25, 0.25, 0.5], [1.0, 0.0, 0.0]]


def test_numbers_beside_a_label_are_no_classes(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("id,label,confidence,seconds\na,cat,0.75,3\nb,dog,0.5,4\n")
    answers, ids, names = read_all_answers(path)
    assert (names, ids.to_pylist()) == (("cat", "dog"), ["a", "b"])
    assert answers.probs().tolist() == [[0.75, 0.25], [0.5, 0.5]]


def test_a_list_follows_the_order_that_is_given(tmp_path: Path):
    path = lines(tmp_path, {"id": "a", "probs": [0.5, 0.25, 0.25]}, {"id": "b", "probs": [0.0, 1.0, 0.0]})
    assert probs_of(path, classes=CLASSES) == [[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]]
    own = ("dog", "cat", "cow")
    assert probs_of(path, classes=own) == probs_of(path, classes=CLASSES)
    turned = read_answers(path, KEYS, CLASSES, classes=own).probs().tolist()
    assert turned == [[0.25, 0.25, 0.5], [1.0, 0.0, 0.0]]
    with pytest.raises(InputError, match="missing classes 'cow' and extra classes 'owl'"):
        read_answers(path, KEYS, CLASSES, classes=("dog", "cat", "owl"))


def test_of_logarithms_the_missing_mass_is_spread_but_never_beyond_the_smallest_named(tmp_path: Path):
    log = math.log
    path = lines(
        tmp_path,
        # .2 missing, one class unnamed, which would get .2: no more than the smallest named one, .125; over 1 - .075.
        {"id": "a", "logprobs": {"cat": log(0.675), "dog": log(0.125)}},
        # All named, .25 of the mass on words that are no class.
        {"id": "b", "logprobs": {"cat": log(0.25), "cow": log(0.375), "dog": log(0.125)}},
    )
    assert close(probs_of(path), [[0.675 / 0.925, 0.125 / 0.925, 0.125 / 0.925], [1 / 3, 1 / 2, 1 / 6]])
    path = lines(
        tmp_path,
        {"id": "a", "top_classes": ["dog", "cat"], "top_logprobs": [log(0.5), log(0.375)]},
        {"id": "b", "top_classes": ["cow"], "top_logprobs": [log(0.5)]},
    )
    assert close(probs_of(path), [[0.375, 0.125, 0.5], [0.25, 0.5, 0.25]])


def test_a_thousand_classes_and_five_logarithms(tmp_path: Path):
    names = tuple(f"class {index:03}" for index in range(1000))
    rows = [
        {"id": key, "top_classes": [names[7 * i + j] for j in range(5)], "top_logprobs": [math.log(0.16)] * 5}
        for i, key in enumerate(["a", "b"])
    ]
    probs = read_answers(lines(tmp_path, *rows), KEYS, names).probs()
    assert probs.shape == (2, 1000)
    assert close(probs.sum(dim=1).tolist(), [1, 1])
    assert close(probs[1, 7:12].tolist(), [0.16] * 5)
    assert close(probs[1, 500].item(), 0.2 / 995)


def test_a_confidence_is_the_probability_of_the_label(tmp_path: Path):
    path = lines(tmp_path, {"id": "a", "label": "cow", "confidence": 0.5}, {"id": "b", "label": "dog", "confidence": 1})
    assert probs_of(path) == [[0.25, 0.5, 0.25], [0.0, 0.0, 1.0]]


# --- votes

LONG = [
    {"id": "a", "annotator": "x", "label": "cow"},
    {"id": "b", "annotator": "x", "label": "dog"},
    {"id": "a", "annotator": "y", "label": "cow"},
    {"id": "a", "annotator": "z", "label": "cat"},
    {"id": "b", "annotator": "z", "label": "cat"},
]
WIDE = [{"id": "b", "labels": ["dog", "cat"]}, {"id": "a", "labels": ["cow", "cow", "cat"]}]


@pytest.mark.parametrize("rows", [LONG, WIDE])
def test_votes_are_shares_or_a_majority(tmp_path: Path, rows: list[dict]):
    path = lines(tmp_path, *rows)
    assert close(probs_of(path), [[1 / 3, 2 / 3, 0], [1 / 2, 0, 1 / 2]])
    # Where as many name each, the first in the order of the classes.
    assert probs_of(path, vote="majority") == [[0, 1, 0], [1, 0, 0]]
    named = [[each > 0 for each in row] for row in probs_of(path)]
    sets = [[each / sum(row) for each in row] for row in named]
    assert probs_of(path, vote="set") == [pytest.approx(row, abs=1e-3) for row in sets]
    answers, ids, names = read_all_answers(path)
    assert (len(answers), len(ids), names) == (2, 2, CLASSES)


def test_votes_of_crowd_kit_are_votes(tmp_path: Path):
    rows = [f"{each['id']},{each['annotator']},{each['label']}" for each in LONG]
    (tmp_path / "a.csv").write_text("\n".join(["task,worker,label", *rows]))
    assert probs_of(tmp_path / "a.csv") == probs_of(lines(tmp_path, *LONG))
    # Ids are as they are written, also where the data call theirs `task`.
    (tmp_path / "b.csv").write_text("task,worker,label\n007,1,cow\n007,2,cat\n")
    for column in ("id", "task"):
        answers, ids, _ = read_all_answers(tmp_path / "b.csv", id_column=column)
        assert (len(answers), ids.to_pylist()) == (1, ["007"])
    # With anything else beside them they are not taken for it.
    (tmp_path / "a.csv").write_text("task,worker,label,golden\na,x,cow,cow\n")
    with pytest.raises(InputError, match=r"no column 'id' .* If `task` is that id: `columns: "):
        probs_of(tmp_path / "a.csv")


def test_a_column_that_is_no_class_is_named_beside_the_class_that_has_none(tmp_path: Path):
    path = tmp_path / "a.csv"
    path.write_text("id,cat,cow,dogg,seconds\na,0.25,0.5,0.25,3.5\nb,0.25,0.5,0.25,3.5\n")
    with pytest.raises(InputError, match=r"none for 'dog'; .* No class is called 'dogg' \(nearest: 'dog'\)\.$"):
        probs_of(path)
    path.write_text("id,cat,cow,wolf\na,0.25,0.5,0.25\nb,0.25,0.5,0.25\n")
    with pytest.raises(InputError, match=r"needs all or none\. No class is called 'wolf'\.$"):
        probs_of(path)


def test_a_vote_of_one_and_ids_of_numbers(tmp_path: Path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"id": [7, 7, 9], "annotator": [1, 2, 1], "label": ["1", "0", "1"]}), path)
    assert probs_of(path, pa.array([9, 7]), ("0", "1")) == [[0.0, 1.0], [0.5, 0.5]]


def crowd(reliabilities: list[float], num: int = 2000, num_classes: int = 4) -> tuple[Votes, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = rng.integers(num_classes, size=num)
    named = []
    for right in reliabilities:
        wrong = (truth + rng.integers(1, num_classes, size=num)) % num_classes
        named.append(np.where(rng.random(num) < right, truth, wrong))
    votes = Votes(
        ids=pa.array([str(index) for index in range(num)]),
        example=np.tile(np.arange(num), len(named)),
        annotator=np.repeat(np.arange(len(named)), num),
        named=np.concatenate(named),
        num_classes=num_classes,
    )
    return votes, truth


def test_reliabilities_are_found_from_the_votes_alone_and_beat_the_majority():
    true = [0.95, 0.6, 0.5, 0.4, 0.25]
    votes, truth = crowd(true)
    found = reliability(votes)
    assert np.abs(found - true).max() < 0.05
    example, named, pair = votes.pairs()
    probs = posterior(votes, found)
    dense, counts = np.zeros((len(truth), 4)), np.zeros((len(truth), 4))
    dense[example, named], counts[example, named] = probs, np.bincount(pair)
    weighted, majority = (each.argmax(axis=1) == truth for each in (dense, counts))
    assert weighted.mean() > majority.mean() + 0.05
    # What it says of its own sureness is true.
    assert abs(dense.max(axis=1).mean() - weighted.mean()) < 0.04


def test_an_annotator_worse_than_chance_counts_for_nothing():
    votes, _ = crowd([0.9, 0.9, 0.9, 0.0])
    assert reliability(votes)[3] == 0.25
    assert agreement(votes)[0] == 4.0


def test_votes_by_reliability_come_from_a_file(tmp_path: Path):
    votes, truth = crowd([0.95, 0.5, 0.45], num=400, num_classes=3)
    table = pa.table(
        {
            "id": votes.ids.take(pa.array(votes.example)),
            "annotator": pa.array(votes.annotator),
            "label": pa.array(CLASSES).take(pa.array(votes.named)),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    right = {}
    for vote in ("soft", "reliability"):
        answers = read_answers(tmp_path / "a.parquet", votes.ids, CLASSES, vote=vote)
        right[vote] = (answers.pseudo_label == torch.from_numpy(truth)).float().mean().item()
    assert right["reliability"] > right["soft"] + 0.03


# --- what is refused


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"id": "a", "probs": {"cat": 0.5, "owl": 0.5}}], "probs names 'owl', which is no class"),
        ([{"id": "a", "probs": {"cat": 0.5, "cow": 0.5}}], "probs never names 'dog'"),
        ([{"id": "a", "probs": {"cat": 0.5, "cow": 0.25, "dog": 0.125}}], r"row 0 .*sum to 0\.875"),
        ([{"id": "a", "logprobs": {"cat": 0.7}}], r"row 0 .*a logarithm of a probability above 0"),
        ([{"id": "a", "logprobs": {"cat": -0.1, "dog": -0.1}}], r"row 0 .*sum to more than 1"),
        ([{"id": "a", "logprobs": {"cat": -1.0}}, {"id": "b", "logprobs": {}}], r"row 1 .*gives no class"),
        ([{"id": "a", "logprobs": [-1.0, -1.0]}], r"row 0 .*logprobs has 2 numbers; it must have 3"),
        ([{"id": "a", "top_classes": ["cat"], "top_logprobs": [-0.1, -3.0]}], r"1 top_classes and 2 top_logprobs"),
        ([{"id": "a", "label": "cat", "confidence": 85.0}], r"row 0 .*confidence is 85; it must lie between 1/3"),
        ([{"id": "a", "label": "cat", "confidence": 0.2}], r"row 0 .*confidence is 0\.2"),
        ([{"id": "a", "label": "cat", "confidence": 0.9}, {"id": "b", "label": "cat"}], r"row 1 .*confidence is nan"),
        ([{"id": "a", "labels": ["cat"]}, {"id": "b", "labels": []}], r"no answer for 1 of .*empty \(1\).*row 1 "),
        ([{"id": "a", "labels": ["owl"]}], r"no answer for 1 of .*'owl' \(1\)"),
        ([{"id": "a", "labels": 3}], "'labels' holds int64; it must hold a list"),
        ([LONG[0], LONG[0]], r"row 1 .*annotator 'x' answers 'a' twice"),
        ([LONG[0], {"id": "b", "label": "cat"}], r"row 1 .*no annotator"),
        ([WIDE[0], WIDE[0]], "both have id 'b'"),
        ([WIDE[0]], r"no answer for 1 of the 2 examples of pool; .*id 'a'"),
    ],
)
def test_answers_that_do_not_fit_are_refused_by_row(tmp_path: Path, rows: list[dict], words: str):
    keys = KEYS if rows == [WIDE[0]] else pa.array([row["id"] for row in rows]).unique()
    with pytest.raises(InputError, match=rf"answers\.jsonl.*{words}") as refusal:
        read_answers(lines(tmp_path, *rows), keys, CLASSES)
    assert "\n" not in str(refusal.value)
