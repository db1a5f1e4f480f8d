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


def test_spellings_of_a_class_are_one_class(tmp_path):
    lines = ["1,Cats", "2,cats ", "3,CATS", "4,Cats", "5,dog", "6,", "7,unknown", "8,Dog.", "9,cats; dog"]
    found = shown(written(tmp_path / "a.csv", "\n".join(["id,label", *lines])))
    assert found.classes == ("Cats", "dog")
    assert [row["label"] for row in found.rows] == ["Cats"] * 4 + ["dog"]
    assert found.reading.left_out == {"the answer is empty": 1, "'unknown' is no class": 1}
    said = "\n".join(found.reading.notes)
    assert "3 answers spell a class otherwise and are read as it: 'CATS' as 'Cats' (1), 'Dog.' as 'dog' (1)" in said
    assert "'unknown' may mean no class, and is taken for none; --classes names it if it is one." in said
    # Whoever has classes that differ so says it; and so do columns.
    apart = shown(tmp_path / "a.csv", classes=("Cats", "CATS", "dog", "unknown"))
    assert apart.reading.left_out == {
        "the answer is empty": 1, "'cats ' is no class": 1, "'cats; dog' is no class": 1
    }  # fmt: skip
    assert shown(written(tmp_path / "b.csv", "id,Cats,cats\n1,.25,.75\n")).classes == ("Cats", "cats")
    one = shown(written(tmp_path / "c.csv", "id,label\n1,Cats\n2,cats\n3,CATS\n"))
    assert (one.classes, ONE in one.reading.notes) == (("CATS",), True)
    votes = [{"id": "a", "labels": ["Yes", "yes", "no"]}, {"id": "b", "labels": ["No"]}]
    assert shown(written(tmp_path / "d.jsonl", votes)).classes == ("No", "Yes")
    assert shown(tmp_path / "d.jsonl").rows[0]["probs"] == pytest.approx({"No": 1 / 3, "Yes": 2 / 3}, abs=1e-3)


def test_a_column_of_other_values_in_every_row_may_be_the_ids(tmp_path):
    path = written(tmp_path / "a.csv", "sum,my case,answer\n0.5,a,yes\n1.5,b,no\n2.5,c,no\n")
    assert shown(path).write == ('columns: {id: "my case"}',)
    assert "The values of 'my case' all differ" in shown(path).reading.notes[-1]
    assert shown(path, by_rows=True).write == ("align: rows",)
    path = written(tmp_path / "b.csv", "case,answer\na,yes\na,no\n")
    assert shown(path).write == ("align: rows",)
