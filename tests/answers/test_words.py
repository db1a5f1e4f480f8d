"""Words of a teacher are read as the class they mean, counted where they are spelled otherwise, and none is guessed."""

import csv
import json
from collections import Counter

import pyarrow as pa
import pytest

from overproof.answers.files import ParsedFiles, read_answers, vote_counts
from overproof.answers.spelling import spelled
from overproof.answers.unanswered import lacking
from overproof.answers.votes import votes_in
from overproof.answers.words import readings
from overproof.errors import InputError

ABC = ("Apple", "Bear", "bee")
IDS = pa.array(["1", "2", "3", "4", "5", "6"])


def answers(folder, *rows: tuple[str, ...], head="id,label"):
    path = folder / "answers.csv"
    path.write_text("\n".join([head, *(",".join(row) for row in rows)]) + "\n")
    return path


def test_case_blanks_and_stops_do_not_matter_where_they_tell_no_classes_apart():
    assert readings(["apple", " BEE.", '"Bear"', "pear"], ABC, {}) == (
        {"apple": "Apple", " BEE.": "bee", '"Bear"': "Bear"},
        {"pear"},
    )
    # Two classes that differ in case alone are meant by their own names only.
    assert readings(["a", "A", " a"], ("a", "A"), {}) == ({"a": "a", "A": "A"}, {" a"})
    assert readings(["pear", "Pear "], ABC, {"pear": "Apple"})[0] == {"pear": "Apple", "Pear ": "Apple"}
    with pytest.raises(
        InputError, match=r"Option 'teacher\.aliases' reads 'pear' as 'plum', which is no class; the cl"
    ):
        readings([], ABC, {"pear": "plum"})
    with pytest.raises(InputError, match=r"reads 'bee' as 'Bear', but 'bee' is a class of the labels itself; correct"):
        readings([], ABC, {"bee": "Bear"})
    assert readings(["bee"], ABC, {"bee": "bee"}) == ({"bee": "bee"}, set())


def test_answers_with_warts_are_read_counted_or_refused(tmp_path):
    path = answers(tmp_path, ("1", "Apple"), ("2", "bear "), ("3", "unknown"), ("4", ""), ("5", "pear"))
    files = ParsedFiles(aliases={"pear": "Apple"})
    lacks = lacking([path], IDS, ABC, parsed=files)
    assert lacks.mask.tolist() == [False, False, True, True, False, True]
    assert lacks.words == Counter({"unknown": 1, "": 1})
    assert (lacks.num, lacks.num_without_row) == (3, 1)
    with pytest.raises(InputError) as refused:
        read_answers(path, IDS, ABC, parsed=files)
    assert "no answer for 3 of the 6 examples of pool (empty (1), 'unknown' (1), 1 have no row)" in str(refused.value)
    read = read_answers(path, IDS, ABC, parsed=files, unanswered="none")
    assert read.pseudo_label.tolist()[:2] == [0, 1]
    assert read.probs()[[2, 3, 5]].double().numpy() == pytest.approx(1 / 3, abs=1e-3)
    assert files.spelling(path, "id", ABC).sentences("answers.csv") == [
        "answers.csv: 2 answers spell a class otherwise and are read as it: 'bear ' as 'Bear' (1), "
        "'pear' as 'Apple' (1)."
    ]


def test_a_confidence_beside_a_word_that_is_no_class_is_not_read(tmp_path):
    path = answers(tmp_path, ("1", "apple", "0.8"), ("2", "none of them", ""), head="id,label,confidence")
    read = read_answers(path, IDS[:2], ABC, unanswered="none")
    assert read.probs().double().flatten().tolist() == pytest.approx([0.8, 0.1, 0.1, *[1 / 3] * 3], abs=1e-3)


def test_votes_that_name_no_class_are_left_out(tmp_path):
    rows = [("1", "m", "apple"), ("1", "n", "dunno"), ("2", "m", "bee"), ("2", "n", "bee"), ("3", "m", "?")]
    path = answers(tmp_path, *rows, head="id,annotator,label")
    files = ParsedFiles()
    assert read_answers(path, IDS[:2], ABC, parsed=files).pseudo_label.tolist() == [0, 2]
    assert lacking([path], IDS[:3], ABC, parsed=files).mask.tolist() == [False, False, True]
    assert vote_counts(path, ABC, parsed=files) == (1.5, 1.0)
    assert "2 votes name no class and are left out" in files.spelling(path, "id", ABC).sentences("a")[1]


def test_probabilities_are_not_touched():
    table = pa.table({"id": ["1"], "probs": [[0.5, 0.25, 0.25]], "label": ["apple"]})
    same, spelling = spelled(table, ABC, {})
    assert same is table
    assert spelling.words is None


def test_blanks_inside_a_word_do_not_matter():
    assert readings(["order  status", "ORDER\u00a0status "], ("order status", "bill"), {})[1] == set()


@pytest.mark.parametrize(
    "cell", ["Apple;bear", '["Apple", "Bear"]', "['Apple', 'Bear']", "Apple, bee pear", "bear / pear"]
)
def test_a_cell_that_lists_classes_is_read_as_their_list(tmp_path, cell):
    path = tmp_path / "answers.csv"
    rows = [["1", cell], ["2", "bee"], ["3", "dunno"], ["4", "[]"], ["5", "Apple, dunno"]]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["id", "label"], *rows])
    files = ParsedFiles(aliases={"pear": "Apple", "bee pear": "Bear"})
    read = read_answers(path, IDS[:2], ABC, vote="set", parsed=files)
    assert read.probs().double().flatten().tolist() == pytest.approx([0.5, 0.5, 0, 0, 0, 1], abs=1e-3)
    lacks = lacking([path], IDS[:5], ABC, parsed=files)
    assert lacks.words == Counter({"dunno": 1, "[]": 1, "Apple, dunno": 1})
    assert vote_counts(path, ABC, parsed=files) == (1.5, 0.5)
    sentence = files.spelling(path, "id", ABC).sentences("a.csv")[0]
    assert sentence.startswith("a.csv: 1 answer lists several classes in one cell")
    assert "write `vote: set`" in sentence


def test_a_class_whose_name_looks_like_a_list_is_that_class(tmp_path):
    names = ("a", "b", "a, b")
    path = tmp_path / "answers.csv"
    path.write_text('id,label\n1,"a, b"\n2,b\n3,"[""a""]"\n')
    assert read_answers(path, IDS[:3], names).probs().argmax(dim=1).tolist() == [2, 1, 0]
    assert vote_counts(path, names) is None


def test_lists_of_votes_are_spelled_and_may_be_empty_as_single_answers_are(tmp_path):
    path = tmp_path / "answers.jsonl"
    votes = [["apple ", "BEAR"], ["dunno", "pear", "bee"], [], ["?"], None, ["bee", "bee"]]
    path.write_text(
        "".join(json.dumps({"id": key, "labels": each}) + "\n" for key, each in zip("123456", votes, strict=True))
    )
    files = ParsedFiles(aliases={"pear": "Apple"})
    lacks = lacking([path], IDS, ABC, parsed=files)
    assert lacks.mask.tolist() == [False, False, True, True, True, False]
    assert lacks.words == Counter({"": 2, "?": 1})
    read = read_answers(path, IDS, ABC, unanswered="none", parsed=files)
    third, half = [1 / 3] * 3, 0.5
    wanted = [half, half, 0, half, 0, half, *third, *third, *third, 0, 0, 1]
    assert read.probs().double().flatten().tolist() == pytest.approx(wanted, abs=1e-3)
    # The second of a list stays the second annotator's where the first names no class.
    assert votes_in(path, files.votes(path, "id", ABC), IDS[:3], ABC).annotator.tolist() == [0, 1, 1, 2, 0, 1]
    assert "1 vote names no class and is left out: 'dunno' (1)" in files.spelling(path, "id", ABC).sentences("a")[1]
