"""Disagreements of two students: drawn at random, labelled by people, judged by an interval that holds the truth."""

import csv
import json

import numpy as np
import pytest

from overproof.commands.main import main
from overproof.errors import InputError
from overproof.evaluation.disagreements import verdict_of_disagreements
from overproof.runs.people.disagreements import disagreements, pair
from overproof.runs.people.to_label import read_labels
from overproof.runs.pipeline import open_run


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_all_labels_give_the_difference_on_the_pool_and_a_part_of_them_an_interval_around_it(
    world, tmp_path, capsys, filled
):
    run, truth = world
    main(
        [
            "disagreements",
            str(run),
            "--between",
            "labelled_only,hard",
            "--budget",
            "999",
            "--out",
            str(tmp_path / "a.csv"),
        ]
    )
    rows = rows_of(tmp_path / "a.csv")
    assert list(rows[0])[:2] == ["content", "id"]
    assert {row["label"] for row in rows} == {""}
    found = disagreements(open_run(run), ("labelled_only", "hard"))
    pool, once = found.pool, found.once
    assert len({row["content"] for row in rows}) == len(rows) == len(found.drawn)
    known = np.array([truth[each] for each in pool.keys.to_pylist()])[once]
    right = [(np.array(pool.class_names)[each[once]] == known).mean() for each in (found.first, found.second)]
    filled(tmp_path / "a.csv", truth)
    capsys.readouterr()
    command = ["evaluate", str(run), "--between", "labelled_only,hard", "--labels", str(tmp_path / "a.csv"), "--json"]
    main(command)
    whole = json.loads(capsys.readouterr().out)
    assert whole["difference"] == pytest.approx(right[0] - right[1])
    assert whole["num"] == len(once)

    filled_part = tmp_path / "part.csv"
    main(["disagreements", str(run), "--between", "labelled_only,hard", "--budget", "12", "--out", str(filled_part)])
    assert [row["content"] for row in rows_of(filled_part)] == [row["content"] for row in rows[:12]]
    filled(filled_part, truth, num=8)
    capsys.readouterr()
    main([*command[:-2], str(filled_part)])
    captured = capsys.readouterr()
    assert "of 8 labelled ones" in captured.out
    for between in (["--between", "labelled_only,soft"], []):
        with pytest.raises(SystemExit) as stopped:
            main(["evaluate", str(run), *between, "--labels", str(filled_part)])
        assert stopped.value.code == 2
        assert "disagree, drawn for the verdict on them, and no sample for" in capsys.readouterr().err
    assert "Warning" not in captured.err
    part, remarks = found.judged(read_labels(filled_part))
    assert remarks == []
    assert part.low <= right[0] - right[1] <= part.high


def test_rows_that_were_left_out_are_a_warning_and_what_does_not_fit_is_refused(world, tmp_path):
    run, _ = world
    found = disagreements(open_run(run), ("labelled_only", "hard"))
    contents = [found.pool.ids[row].tobytes().hex() for row in found.drawn[:3].tolist()]
    labels = {contents[0]: "", contents[1]: "green", contents[2]: ""}
    assert "1 row without a label stands before" in found.judged(labels)[1][0]
    # Case, blanks, and quotes and full stops around a class do not matter.
    other, remarks = found.judged({**labels, contents[1]: ' "Green".'})
    assert other == found.judged(labels)[0]
    assert remarks[0] == "1 label spells a class otherwise and is read as it: ' \"Green\".' (1)."
    for wrong, words in (
        ({contents[0]: "gren"}, "'gren' is no class"),
        ({contents[0]: ""}, "None of 1 row has a label yet"),
        ({"00" * 16: "green"}, "no disagreements of 'labelled_only' and 'hard'"),
    ):
        with pytest.raises(InputError, match=words):
            found.judged(wrong)
    with pytest.raises(InputError, match="no trained student 'slam' of seed 0"):
        disagreements(open_run(run), ("hard", "slam"))
    with pytest.raises(InputError, match=r"seeds of .* are 0"):
        disagreements(open_run(run), ("hard", "labelled_only"), seed=3)
    with pytest.raises(InputError, match="twice"):
        disagreements(open_run(run), ("hard", "hard"))
    with pytest.raises(InputError, match="two rows"):
        pair("hard")


def test_a_file_with_labels_is_never_overwritten_and_a_class_keeps_its_spelling(world, tmp_path):
    run, _ = world
    path = tmp_path / "a.csv"
    path.write_text("content,label\naa,01\nbb,1\ncc,\n")
    assert read_labels(path) == {"aa": "01", "bb": "1", "cc": ""}
    with pytest.raises(SystemExit) as ended:
        main(["disagreements", str(run), "--between", "hard,labelled_only", "--out", str(path)])
    assert ended.value.code == 2
    assert path.read_text().startswith("content,label\naa,01")
    path.write_text("content,label\naa,01\naa,1\n")
    with pytest.raises(InputError, match="two labels for aa"):
        read_labels(path)
    # Spreadsheets of some countries write semicolons.
    path.write_text("content;label\naa;01\n")
    assert read_labels(path) == {"aa": "01"}


def test_the_interval_holds_the_difference_at_least_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        # 300 disagreements of 2,000: the first is right on 55 %, the second on 25 %, neither on the rest.
        kind = rng.choice(3, size=300, p=[0.55, 0.25, 0.2])
        truth = ((kind == 0).sum() - (kind == 1).sum()) / 2000
        drawn = rng.choice(kind, size=30, replace=False)
        found = verdict_of_disagreements(
            num=2000,
            num_different=300,
            num_labelled=30,
            first_right=int((drawn == 0).sum()),
            second_right=int((drawn == 1).sum()),
        )
        held.append(found.low <= truth <= found.high)
    assert np.mean(held) >= 0.95


def test_a_census_of_the_disagreements_has_no_interval():
    found = verdict_of_disagreements(num=100, num_different=10, num_labelled=10, first_right=6, second_right=3)
    assert (found.difference, found.low, found.high) == pytest.approx((0.03, 0.03, 0.03))
    assert found.verdict == "BEATS"
    part = verdict_of_disagreements(num=100, num_different=10, num_labelled=9, first_right=6, second_right=3)
    assert part.low < 0 < part.high


def test_labels_saved_with_semicolons_are_read(tmp_path):
    (tmp_path / "a.csv").write_text('content;text;label\nab;"hello, you";billing\ncd;"a; b";\n')
    assert read_labels(tmp_path / "a.csv") == {"ab": "billing", "cd": ""}


def test_no_label_says_nothing_and_impossible_counts_are_refused():
    nothing = verdict_of_disagreements(num=10, num_different=4, num_labelled=0, first_right=0, second_right=0)
    assert (nothing.difference, nothing.low, nothing.high) == (0.0, -0.4, 0.4)
    assert nothing.verdict == "INCONCLUSIVE"
    with pytest.raises(InputError, match="do not fit together"):
        verdict_of_disagreements(num=10, num_different=4, num_labelled=4, first_right=3, second_right=2)
