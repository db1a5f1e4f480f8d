"""Tickets and a language model's answers become a scorer that needs no overproof, in five commands."""

import json
import re
import subprocess
import sys

import numpy as np

SMALL = ["--set", "methods=[hard]", "--set", "seeds=[0]", "--set", "train.epochs=3"]


def test_from_two_files_to_a_scorer_in_five_commands(overproof, tickets, write_csv, read_csv, tmp_path):
    draw, names = np.random.default_rng(1), sorted({row[2] for row in tickets})
    answers = [[row[0], row[2] if draw.random() < 0.85 else names[draw.integers(3)]] for row in tickets]
    # As language models answer: another case, a full stop, no class, nothing.
    for i in range(0, 360, 20):
        answers[i][1] = answers[i][1].upper() + "."
    for i in range(7, 360, 40):
        answers[i][1] = "unknown"
    write_csv("llm.csv", ["ticket", "llm_queue"], answers[:-4])

    found = overproof("init", "tickets.csv", "--answers", "llm.csv", *SMALL).stdout
    assert "Label 'queue': 3 classes in 120 of 360 rows" in found
    assert "18 answers spell a class otherwise" in found
    assert re.search(r"no answer to \d+ of \d+ labelled and pool examples \('unknown' \(\d\), \d have no row\)", found)
    assert "Next:\n  overproof assess experiment.yaml --out runs/tickets" in found
    assessed = overproof("assess", "experiment.yaml", "--out", "runs/tickets").stdout
    assert "Recommendation: " in assessed
    done = overproof("run", "experiment.yaml", "--out", "runs/tickets")
    assert "teacher" in done.stdout
    assert "labelled_only" in done.stdout
    chosen = overproof("export", "runs/tickets", "--out", "tickets-student").stderr
    assert "of the time cross-validated over" in chosen
    assert done.stdout.startswith("Deploy ")
    overproof("predict", "tickets-student", "tickets.csv", "--out", "predicted.csv")

    predicted = read_csv("predicted.csv")
    assert [row["id"] for row in predicted] == [row[0] for row in tickets]
    right = np.mean([row["label"] == truth[2] for row, truth in zip(predicted, tickets, strict=True)])
    assert right > 0.75
    # The scorer alone says the same.
    code = (
        "import json, score; print(json.dumps(score.Scorer().probs(['my invoice is wrong, refund please']).tolist()))"
    )
    printed = subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path / "tickets-student", text=True)
    assert np.isclose(sum(json.loads(printed)[0]), 1, atol=1e-3)
