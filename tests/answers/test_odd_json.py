"""Answers with long texts, half symbols, keys that occur twice and lists within lists: read, or one sentence."""

import csv
import json

import pytest

from overproof.answers.cell_values import csv_rows
from overproof.answers.shown import shown
from overproof.errors import InputError

LONG = "word " * 30_000
"""Longer than the 131,072 characters that Python's reader of CSV allows by itself."""
ROWS = [{"id": "a", "label": "x", "text": LONG}, {"id": "b", "label": "y", "text": "short"}]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", f"id,text,label\na,{LONG},x\nb,short,y\n"),
        ("a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS)),
        ("a.json", json.dumps(ROWS)),
    ],
)
def test_texts_of_any_length_are_read(tmp_path, name, text):
    limit = csv.field_size_limit()
    (tmp_path / name).write_text(text)
    found = shown(tmp_path / name)
    assert [(row["id"], row["label"]) for row in found.rows] == [("a", "x"), ("b", "y")]
    assert csv.field_size_limit() == limit  # a library leaves the limit of its process alone
    assert csv_rows([f'"{LONG}",1']) == [[LONG, "1"]]


DEEP = "[" * 100_000
ODD = {
    "half.json": ('[{"id": "1", "label": "\\ud83d"}, {"id": "2", "label": "b"}]', "half of a surrogate pair"),
    "half.jsonl": ('{"id": "1", "label": "a\\ud83d", "score": 0.5}\n{"id": "2", "label": "b", "score": 0.5}', "surrog"),
    "twice.json": ('[{"id": "1", "label": "a", "label": "b"}, {"id": "2", "label": "b"}]', "'label' occurs twice"),
    "twice.jsonl": ('{"id": "1", "label": "a", "label": "b", "score": 0.5}', "line 1: .*'label' occurs twice"),
    "deep.json": (DEEP, "cannot be read as JSON"),
    "inside.json": ('[{"id": "1", "label": ' + DEEP, "cannot be read as JSON"),
    "deep.jsonl": ('{"id": "1", "label": ' + DEEP + "\n", "cannot be read"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("classes", [(), ("a", "b")])
def test_odd_json_is_one_sentence(tmp_path, name, classes):
    (tmp_path / name).write_text(ODD[name][0])
    with pytest.raises(InputError, match=f"{name}.*{ODD[name][1]}"):
        shown(tmp_path / name, classes=classes)
