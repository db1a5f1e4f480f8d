"""What `overproof answers` says of a file: its classes and rows, and the notes on what the file leaves open."""

import json

import pytest

from overproof.answers.shown import described, shown
from overproof.errors import InputError

ONE, NAMELESS = (
    "The file names one class; --classes gives all.",
    "The file does not name its classes; --classes gives their names in order.",
)


def written(path, content):
    lines = content if isinstance(content, str) else "".join(json.dumps(each) + "\n" for each in content)
    path.write_text(lines)
    return path


SCORED = [{"id": f"r{number}", "label": "pos", "score": 0.75} for number in range(3)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("pipeline.jsonl", SCORED),
        ("doccano.jsonl", [{"id": number, "text": "a", "label": ["pos"]} for number in range(3)]),
        ("fasttext.txt", "__label__pos 0.75001\n" * 3),
    ],
)
def test_a_file_of_one_class_says_that_the_others_are_missing(tmp_path, name, content):
    found = shown(written(tmp_path / name, content))
    assert found.classes == ("pos",)
    assert found.num_rows == 3
    assert [set(row["probs"]) for row in found.rows] == [{"pos"}] * 3
    assert [row["label"] for row in found.rows] == ["pos"] * 3
    assert ONE in found.reading.notes
    assert NAMELESS not in found.reading.notes
    assert sum(ONE in line for line in described(found)) == 1
    # With all of them there is nothing to say.
    found = shown(tmp_path / name, classes=("neg", "pos"))
    assert found.classes == ("neg", "pos")
    assert [set(row["probs"]) for row in found.rows] == [{"neg", "pos"}] * 3
    assert ONE not in found.reading.notes


def test_a_file_that_names_its_classes_needs_no_note(tmp_path):
    found = shown(written(tmp_path / "two.jsonl", [*SCORED, {"id": "r3", "label": "neg", "score": 0.5}]))
    assert found.classes == ("neg", "pos")
    assert not {ONE, NAMELESS} & set(found.reading.notes)
    assert found.rows[0] == {"id": "r0", "label": "pos", "probs": {"neg": 0.25, "pos": 0.75}}


def test_a_file_without_names_says_so_until_they_are_given(tmp_path):
    path = written(tmp_path / "numbers.txt", "0.25 0.75\n0.5 0.5\n")
    assert NAMELESS in shown(path).reading.notes
    assert ONE not in shown(path).reading.notes
    assert NAMELESS not in shown(path, classes=("no", "yes")).reading.notes


def test_its_columns_are_shown_and_rows_are_aligned_only_without_ids(tmp_path):
    path = written(tmp_path / "two.jsonl", [*SCORED, {"id": "r3", "label": "neg", "score": 0.5}])
    assert shown(path).columns == ("id", "label", "score")
    with pytest.raises(InputError, match=r"two\.jsonl has ids, by which it is joined; leave --align out"):
        shown(path, by_rows=True)
    path = written(tmp_path / "none.csv", "label,confidence\nneg,0.5\npos,0.75\n")
    assert shown(path).columns == ("label", "confidence")
    assert [row["label"] for row in shown(path, by_rows=True).rows] == ["neg", "pos"]
    assert shown(written(tmp_path / "numbers.txt", "0.25 0.75\n0.5 0.5\n"), by_rows=True).columns == ()
