"""Rows for people and what their labels promise: exact in a finite pool, refused where they are no random sample."""

import csv
import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from overproof.commands.main import main
from overproof.data import repeats_in
from overproof.deployment.annotate import annotate, num_needed
from overproof.errors import InputError
from overproof.evaluation.annotation import accepted_by_rank, certified_cutoff, num_before
from overproof.evaluation.pool_sample import (
    accuracy_by_inclusion,
    drawn_rows,
    inclusion_probabilities,
    spread_of,
)
from overproof.runs.people.disagreements import disagreements
from overproof.runs.people.sampling import judged_by, random_order
from overproof.runs.people.to_label import read_inclusion, read_labels
from overproof.runs.pipeline import open_run

# --- the mathematics


def test_the_guarantee_is_exact_over_all_samples_of_a_small_pool():
    # Every sample of 4 of 10 rows, three of them wrong at any places: at most a share `failure` breaks the promise.
    failure, allowed, num, total = 0.34, 1, 4, 10
    for places in itertools.combinations(range(total), 3):
        wrong = np.isin(np.arange(total), places)
        broken = accepted = 0
        for sample in itertools.combinations(range(total), num):
            rest = np.setdiff1d(np.arange(total), sample)
            uncertainty = np.array(sample) / total
            cutoff = certified_cutoff(
                uncertainty, wrong[list(sample)], num_rest=total - num, num_allowed=allowed, failure=failure
            )
            taken = rest[rest / total < cutoff]
            broken += wrong[taken].sum() > allowed
            accepted += len(taken)
        assert broken / math.comb(total, num) <= failure
        assert accepted > 0


def test_the_number_of_wrong_rows_before_the_cutoff_is_the_largest_that_fits():
    # 210 samples of 4 of 10; of k + 2 marked rows at most k are in the sample.
    def probability(k):
        marked = k + 2
        return sum(math.comb(marked, j) * math.comb(10 - marked, 4 - j) for j in range(k + 1)) / 210

    found = num_before(4, num_rest=6, num_allowed=1, failure=0.4)
    assert probability(found) <= 0.4 < probability(found + 1)
    assert num_before(4, num_rest=6, num_allowed=1, failure=probability(0) - 1e-9) is None


@pytest.mark.parametrize("informative", [0.0, 1.5])
def test_promises_hold_in_many_worlds(informative):
    generator = np.random.default_rng(0)
    broken, false_share, accepted = 0, [], []
    for _ in range(400):
        wrong = generator.random(700) < 0.25
        uncertainty = (generator.normal(size=700) + informative * wrong).round(1)
        sample, rest = np.split(generator.permutation(700), [150])
        cutoff = certified_cutoff(uncertainty[sample], wrong[sample], num_rest=550, num_allowed=35, failure=0.05)
        broken += wrong[rest][uncertainty[rest] < cutoff].sum() > 35
        taken = accepted_by_rank(uncertainty[rest], uncertainty[sample], wrong[sample], error=0.1)
        false_share.append(wrong[rest][taken].sum() / max(taken.sum(), 1))
        accepted.append(taken.mean())
    # 400 draws of a probability of .05: 33 or more have the probability .003.
    assert broken < 33
    assert np.mean(false_share) < 0.1 + 3 * np.std(false_share) / 20
    assert informative == 0.0 or np.mean(accepted) > 0.2


def test_rows_are_drawn_with_the_probabilities_said_and_the_estimate_has_no_bias():
    generator = np.random.default_rng(1)
    accuracy = generator.uniform(0.3, 1, 300)
    inclusion = inclusion_probabilities(np.where(np.arange(300) < 3, 50.0, spread_of(accuracy)), 60)
    assert inclusion.sum() == pytest.approx(60)
    assert (inclusion[:3] == 1).all()
    right = generator.random(300) < accuracy
    counts, estimates, held = np.zeros(300), [], 0
    for _ in range(600):
        rows = drawn_rows(inclusion, generator)
        assert len(set(rows)) == 60
        counts[rows] += 1
        found = accuracy_by_inclusion(
            right[rows], accuracy[rows], inclusion[rows], expected_mean=accuracy.mean(), num=300
        )
        estimates.append(found.accuracy)
        held += found.low <= right.mean() <= found.high
    assert np.abs(counts / 600 - inclusion).max() < 0.09
    assert abs(np.mean(estimates) - right.mean()) < 4 * np.std(estimates) / 600**0.5
    assert held / 600 > 0.92


# --- a run


def test_the_pool_is_labelled_with_as_few_errors_as_promised_and_the_rest_goes_to_people(
    world, tmp_path, capsys, filled
):
    run, truth = world
    sample, out = tmp_path / "sample.csv", tmp_path / "annotated.parquet"
    main(["next", str(run), "--budget", "120", "--out", str(sample)])
    assert len(filled(sample, truth)) == 120
    command = ["annotate", str(run), "--labels", str(sample), "--method", "labelled_only", "--error", "0.05"]
    before = sample.read_bytes()
    with pytest.raises(SystemExit):
        main([*command, "--out", str(sample)])
    assert "is read too, and would be replaced" in capsys.readouterr().err
    assert sample.read_bytes() == before
    main([*command, "--out", str(out), "--json"])
    facts = json.loads(capsys.readouterr().out)
    table = pq.read_table(out)
    known = np.array([truth[each] for each in table["id"].to_pylist()])
    label, by = np.array(table["label"].to_pylist(), object), np.array(table["by"].to_pylist())
    pool = open_run(run).seed_roles(0).pool
    once = repeats_in(pool).once.numpy()
    assert table.num_rows == len(pool) > len(once) == facts["num"]
    assert (label[by == "people"] == known[by == "people"]).all()
    assert (by[once] == "people").sum() == 120
    wrong = (by == "model") & (label != known)
    assert wrong[once].sum() <= 0.05 * facts["num"]
    assert (by[once] == "model").sum() == facts["num_by_model"] > 50
    # Repeats of a content have one label, and stand in the file for people once.
    content = np.array(table["content"].to_pylist())
    assert all(len({str(each) for each in label[content == one]}) == 1 for one in set(content))
    beside = tmp_path / "annotated.to_label.csv"
    rest = filled(beside, truth)
    assert {row["content"] for row in rest} == set(content[by == ""])
    assert len(rest) == facts["num_left"]
    assert facts["num_by_model"] + facts["num_by_people"] + facts["num_left"] == facts["num"]
    assert json.loads((tmp_path / "annotated.guarantee.json").read_text())["error"] == 0.05
    # Their labels complete the pool.
    main([*command, "--rest", str(beside), "--out", str(tmp_path / "whole.csv")])
    with (tmp_path / "whole.csv").open(newline="") as file:
        whole = list(csv.DictReader(file))
    assert not any(row["label"] == "" for row in whole)
    assert np.mean([row["label"] != truth[row["id"]] for row in whole]) <= 0.05
    assert not (tmp_path / "whole.to_label.csv").exists()


def test_what_is_no_random_sample_or_too_few_labels_is_refused(world, tmp_path):
    run, truth = world
    opened = open_run(run)
    pool = opened.seed_roles(0).pool
    drawn = random_order(repeats_in(pool).once, 0)
    keys = pool.keys.to_pylist()
    labels = {pool.ids[row].tobytes().hex(): truth[keys[row]] for row in drawn.tolist()}
    first = dict(itertools.islice(labels.items(), 30))
    with pytest.raises(InputError, match=r"30 labels are too few .* at least (\d+) of the pool's") as caught:
        annotate(opened, labels=first, error=0.05, row="hard")
    needed = int(str(caught.value).split("at least ")[1].split()[0])
    enough = dict(itertools.islice(labels.items(), needed))
    assert annotate(opened, labels=enough, error=0.05, row="hard").guarantee.num_calibration == needed
    assert num_before(needed - 1, num_rest=len(drawn) - needed + 1, num_allowed=len(drawn) // 20, failure=0.05) is None
    assert num_needed(len(drawn), num_allowed=len(drawn) // 20, failure=0.05) == needed
    gap = {**first, **dict.fromkeys(list(first)[:1], "")}
    for some, words in (
        (gap, "1 row without a label stands before"),
        ({"00" * 16: "green"}, "are not in the random sample"),
        (dict.fromkeys(first, "gren"), "'gren' is no class"),
        (labels, "whole pool"),
    ):
        with pytest.raises(InputError, match=words):
            annotate(opened, labels=some, error=0.05, row="hard")
    for options, words in (
        ({"error": 0.0}, "--error is 0"),
        ({"error": 0.1, "confidence": 1.0}, "--confidence is 1"),
        ({"error": 0.1, "confidence": 0.9, "of": "accepted"}, "in expectation"),
        ({"error": 0.1, "seed": 7}, "--seed is 7"),
        ({"error": 0.1, "row": "slam"}, "no trained student 'slam'"),
    ):
        with pytest.raises(InputError, match=words):
            annotate(opened, labels=enough, **{"row": "hard", **options})


def test_accuracies_on_the_pool_by_labels_of_people(world, tmp_path, capsys, filled):
    run, truth = world
    opened = open_run(run)
    pool = opened.seed_roles(0).pool
    once = repeats_in(pool).once
    known = np.array([truth[each] for each in pool.keys.to_pylist()])[once]
    named = np.array(pool.class_names)[opened.teacher.for_seed(0)["pool"].pseudo_label[once]]
    right = (named == known).mean()
    for purpose, models in (
        ("random", {"teacher", "hard", "soft", "labelled_only", "oracle"}),
        ("teacher_accuracy", {"teacher"}),
    ):
        path = tmp_path / f"{purpose}.csv"
        main(["next", str(run), "--purpose", purpose, "--budget", "80", "--out", str(path)])
        filled(path, truth)
        capsys.readouterr()
        main(["evaluate", str(run), "--labels", str(path), "--json"])
        found = json.loads(capsys.readouterr().out)
        assert set(found) == models
        assert found["teacher"]["low"] <= right <= found["teacher"]["high"]
        assert found["teacher"]["num_labelled"] == 80
    # All rows of the pool: the accuracy itself, by whatever name the experiment knows a class.
    everything = {pool.ids[row].tobytes().hex(): truth[pool.keys[row].as_py()] for row in once.tolist()}
    called = {content: "Verde" if name == "green" else name for content, name in everything.items()}
    teacher = opened.experiment.teacher.model_copy(update={"aliases": {"verde": "green"}})
    aliased = replace(opened, experiment=opened.experiment.model_copy(update={"teacher": teacher}))
    for each, labels in ((opened, everything), (aliased, called)):
        whole = judged_by(each, labels, {})["teacher"]
        assert whole.low == whole.accuracy == whole.high == pytest.approx(right)
    with pytest.raises(InputError, match="'Verde' is no class"):
        judged_by(opened, called, {})
    different = disagreements(aliased, ("hard", "labelled_only"))
    contents = {each.hex() for each in pool.ids[different.drawn.numpy()].tolist()}
    said = [{content: each[content] for content in contents} for each in (everything, called)]
    assert different.judged(said[0])[0] == different.judged(said[1])[0]
    # A row without a label, and a probability that was changed.
    labels, inclusion = (
        read_labels(tmp_path / "teacher_accuracy.csv"),
        read_inclusion(tmp_path / "teacher_accuracy.csv"),
    )
    with pytest.raises(InputError, match="1 row of the sample has no label"):
        judged_by(opened, {**labels, next(iter(labels)): ""}, inclusion)
    text = (tmp_path / "teacher_accuracy.csv").read_text().splitlines()
    (tmp_path / "teacher_accuracy.csv").write_text("\n".join([text[0], text[1].rpartition(",")[0] + ",1.5"]) + "\n")
    with pytest.raises(InputError, match=r"'inclusion' holds .*1\.5"):
        read_inclusion(tmp_path / "teacher_accuracy.csv")


def test_torch_and_numpy_agree_on_which_rows_are_drawn(world):
    pool = open_run(world[0]).seed_roles(0).pool
    assert torch.equal(random_order(repeats_in(pool).once, 0), random_order(repeats_in(pool).once, 0))
    assert not torch.equal(random_order(repeats_in(pool).once, 0), random_order(repeats_in(pool).once, 1))
    assert set(random_order(repeats_in(pool).once, 0).tolist()) == set(repeats_in(pool).once.tolist())
