"""One CSV file of which some rows have a label becomes a student, without a test set, answers or an experiment file."""


def test_from_one_file_with_blank_labels_to_a_student(overproof, tickets, read_csv, tmp_path):
    small = ["--set", "teacher={model: ngram, folds: 2, train: {epochs: 6}}", "--set", "methods=[hard]"]
    small += ["--set", "seeds=[0]", "--set", "train.epochs=3", "--set", "data.folds=3"]
    done = overproof("run", "tickets.csv", "--out", "runs/one", *small)
    assert "Label 'queue': 3 classes in 120 of 360 rows" in done.stderr
    assert "There is no test file: students are cross-validated over the 120 labelled rows in 3 folds" in done.stderr
    assert "Unsure: 'queue' is taken for the label" in done.stderr
    assert "Roles: 120 labelled, 240 pool." in done.stderr
    assert "Cross-validated over 120 labelled rows (3 folds)" in " ".join(done.stdout.split())
    # The experiment that was made stays with the run.
    assert "labelled: all" in (tmp_path / "runs/one/experiment.yaml").read_text()
    assert (
        "cross-validated over 120 labelled rows (3 folds)" in overproof("export", "runs/one", "--out", "student").stderr
    )
    assert (
        "Accuracy, cross-validated over 120 labelled rows (3 folds): " in (tmp_path / "student/README.md").read_text()
    )
    overproof("predict", "student", "tickets.csv", "--out", "predicted.csv")
    predicted = read_csv("predicted.csv")
    right = [row["label"] == truth[2] for row, truth in zip(predicted, tickets, strict=True)]
    assert sum(right) > 0.7 * len(right)
