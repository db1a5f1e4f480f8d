"""The answers of a run are opened once: how often stores are read and stacks are fitted."""

from collections import Counter

import numpy as np
import pyarrow.csv
import pytest
import torch

from overproof.noise import combination
from overproof.progress import Silent
from overproof.runs import teacher_answers
from overproof.runs.experiment import experiment_from
from overproof.runs.pipeline import Run, open_run
from overproof.storage import store
from overproof.synthetic import blobs


@pytest.fixture
def content(tmp_path):
    world = blobs(num_examples=400, num_classes=3, seed=0)
    columns = {f"x{i}": pyarrow.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    columns["colour"] = pyarrow.array(np.array(["red", "green", "blue"])[world.label.numpy()])
    pyarrow.csv.write_csv(pyarrow.table(columns), tmp_path / "blobs.csv")
    return {
        "data": {
            "files": {"all": {"path": str(tmp_path / "blobs.csv"), "label": "colour"}},
            "rows": {"labelled": 60, "pool": 200, "test": 100},
        },
        "teacher": [
            {"model": "sklearn.linear_model:LogisticRegression", "folds": 3},
            {"model": "sklearn.naive_bayes:GaussianNB", "folds": 3},
        ],
        "student": {"name": "mlp", "options": {"hidden": [16]}},
        "train": {"epochs": 1, "batch_size": 32},
        "methods": ["slam"],
        "seeds": [0, 1],
    }


def counted(monkeypatch):
    """How often each store of answers is read, and how often a stack is fitted for a seed."""
    reads, fits = Counter(), []
    load, combined_by_role = store.load, combination.combined_by_role

    def counting_load(folder, **options):
        if options["kind"] == "answers":
            reads["/".join(folder.parts[-3:])] += 1
        return load(folder, **options)

    def counting_stack(scores, *arguments, **options):
        fits.extend([options["seed"]] * (len(scores) > 1))
        return combined_by_role(scores, *arguments, **options)

    monkeypatch.setattr(store, "load", counting_load)
    monkeypatch.setattr(teacher_answers, "combined_by_role", counting_stack)
    return reads, fits


def test_all_steps_of_a_run_read_each_store_and_fit_each_stack_once(content, tmp_path, monkeypatch):
    reads, fits = counted(monkeypatch)
    Run(experiment=experiment_from(content), folder=tmp_path / "run", progress=Silent()).all_steps()
    roles = ("labelled", "pool", "test")
    first = {f"labels/seed-{seed}/{role}": 1 for seed in (0, 1) for role in roles}
    second = {f"seed-{seed}/teacher-1/{role}": 1 for seed in (0, 1) for role in roles}
    assert reads == {**first, **second}
    assert len(fits) == len(set(fits)) == 2


def test_a_resumed_run_reads_each_store_once_too(content, tmp_path, monkeypatch):
    run = Run(experiment=experiment_from(content), folder=tmp_path / "run", progress=Silent())
    run.label()
    reads, fits = counted(monkeypatch)
    resumed = open_run(tmp_path / "run")
    resumed.distill()
    resumed.evaluate()
    assert set(reads.values()) == {1}
    assert len(fits) == 2


def test_answers_on_disk_are_kept_for_one_seed_at_a_time(content, tmp_path):
    content["data"]["on_disk"] = "always"
    run = Run(experiment=experiment_from(content), folder=tmp_path / "disk", progress=Silent())
    run.label()
    answers = run.teacher
    assert answers.for_seed(1) is answers.for_seed(1)
    last = answers.for_seed(1)
    answers.for_seed(0)
    again = answers.for_seed(1)
    assert again is not last
    assert all(torch.equal(again[role].probs(), last[role].probs()) for role in last)


def test_the_files_do_not_depend_on_what_is_kept(content, tmp_path):
    whole = Run(experiment=experiment_from(content), folder=tmp_path / "whole", progress=Silent())
    whole.all_steps()
    for step in ("label", "distill", "evaluate"):
        run = Run(experiment=experiment_from(content), folder=tmp_path / "steps", progress=Silent())
        getattr(run, step)()
    assert (tmp_path / "whole/result.json").read_bytes() == (tmp_path / "steps/result.json").read_bytes()


def test_each_scorer_of_a_stack_that_is_trained_on_the_labels_has_a_row_of_its_own(content, tmp_path):
    content |= {"seeds": [0], "methods": ["hard"]}
    run = Run(experiment=experiment_from(content), folder=tmp_path / "run", progress=Silent())
    result = run.all_steps()
    summary = {each.method: each for each in result.summary}
    test, home = run.teacher.roles.for_seed(0).test, tmp_path / "run/labels/seed-0"
    for name, scorer, folder in zip(
        ("LogisticRegression alone", "GaussianNB alone"),
        run.experiment.scorers,
        (home, home / "teacher-1"),
        strict=True,
    ):
        answers = run.teacher.scorers.of(scorer, run.teacher.roles.for_seed(0), 0, folder)["test"]
        right = (answers.pseudo_label == test.label).double().mean().item()
        assert summary[name].mean == pytest.approx(right)
        assert (summary[name].role, summary[name].verdict) == ("reference", None)
    assert not list(run.folder.glob("students/*/*alone*"))
