"""Answers come in from other people's files row for row, or the file and the row are named; and go out again."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import torch

from overproof.answers import opened
from overproof.answers import parsed as answer_files
from overproof.answers.ask import answer
from overproof.answers.files import ParsedFiles, export_parquet, export_store, read_answers, vote_counts
from overproof.answers.predictions import compress
from overproof.errors import InputError
from overproof.storage.shard import StoreKey

CLASSES = ("cat", "cow", "dog")
KEYS = pa.array(["007", "b", "c"])
PROBS = [[0.5, 0.25, 0.25], [0.0, 0.125, 0.875], [0.0, 1.0, 0.0]]
# The file is in another order and knows one example more.
FILE_IDS = ["c", "extra", "007", "b"]
FILE_PROBS = [PROBS[2], [1.0, 0.0, 0.0], PROBS[0], PROBS[1]]


def write(folder: Path, columns: dict, suffix: str = ".parquet") -> Path:
    path = folder / f"answers{suffix}"
    if suffix == ".jsonl":
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == ".csv":
        pyarrow.csv.write_csv(pa.table(columns), path)
    else:
        pq.write_table(pa.table(columns), path)
    return path


def class_columns() -> dict:
    # The columns stand in another order than the classes: their names count.
    return {"dog": [r[2] for r in FILE_PROBS], "cat": [r[0] for r in FILE_PROBS], "cow": [r[1] for r in FILE_PROBS]}


@pytest.mark.parametrize("suffix", [".parquet", ".parquet.brotli", ".csv", ".jsonl"])
def test_columns_named_by_class_are_joined_by_id_and_by_name(tmp_path: Path, suffix: str):
    path = write(tmp_path, {"id": FILE_IDS, **class_columns()}, suffix)
    answers = read_answers(path, KEYS, CLASSES)
    assert answers.probs().tolist() == PROBS
    assert answers.margin.tolist() == [0.25, 0.75, 1.0]


@pytest.mark.parametrize("kind", [pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float32(), 3)])
def test_a_list_of_probabilities_follows_the_class_names(tmp_path: Path, kind: pa.DataType):
    path = write(tmp_path, {"id": FILE_IDS, "probs": pa.array(FILE_PROBS, kind)})
    assert read_answers(path, KEYS, CLASSES).probs().tolist() == PROBS


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_hard_labels_are_taken_with_certainty(tmp_path: Path, suffix: str):
    path = write(tmp_path, {"key": FILE_IDS, "label": ["dog", "cat", "cow", "cat"]}, suffix)
    answers = read_answers(path, KEYS, CLASSES, id_column="key")
    assert answers.pseudo_label.tolist() == [1, 0, 2]
    assert answers.margin.tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("suffix", [".parquet", ".jsonl"])
def test_of_the_likeliest_classes_the_missing_mass_goes_to_the_others(tmp_path: Path, suffix: str):
    columns = {
        "id": FILE_IDS,
        "top_classes": [["cow"], ["cat"], ["cat"], ["dog", "cow"]],
        "top_probs": [[1.0], [1.0], [0.5], [0.875, 0.125]],
    }
    assert read_answers(write(tmp_path, columns, suffix), KEYS, CLASSES).probs().tolist() == PROBS


def test_csv_keeps_the_zeros_of_ids_and_labels(tmp_path: Path):
    (tmp_path / "a.csv").write_text("id,label\n007,01\n7,00\n")
    assert read_answers(tmp_path / "a.csv", pa.array(["7", "007"]), ("00", "01")).pseudo_label.tolist() == [0, 1]


def test_the_fullest_answers_count(tmp_path: Path):
    columns = {"id": FILE_IDS, "label": ["cow", "cat", "cat", "dog"], "probs": FILE_PROBS}
    assert read_answers(write(tmp_path, columns), KEYS, CLASSES).probs().tolist() == PROBS


def test_ids_may_be_numbers_or_content_ids(tmp_path: Path):
    path = write(tmp_path, {"id": [30, 10], "label": ["cow", "dog"]})
    assert read_answers(path, pa.array([10, 30]), CLASSES).pseudo_label.tolist() == [2, 1]
    ids = np.frombuffer(bytes(range(32)), "V16")
    hexes = [bytes(range(16, 32)).hex(), bytes(range(16)).hex()]
    path = write(tmp_path, {"id": hexes, "label": ["cow", "dog"]})
    assert read_answers(path, ids, CLASSES).pseudo_label.tolist() == [2, 1]
    path = write(tmp_path, {"id": pa.array([bytes.fromhex(i) for i in hexes], pa.binary(16)), "label": ["cow", "dog"]})
    assert read_answers(path, ids, CLASSES).pseudo_label.tolist() == [2, 1]


IDS = {"id": FILE_IDS}
LABELS = {"label": ["cow", "cat", "cat", "dog"]}


def probs_with(row: list[float | None]) -> list:
    return [FILE_PROBS[0], FILE_PROBS[1], FILE_PROBS[2], row]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"name": FILE_IDS, **LABELS}, "has no column 'id' for the ids; it has name, label"),
        ({"id": ["c", None, "007", "b"], **LABELS}, "row 1 .*has no id"),
        ({"id": ["c", "b", "007", "b"], **LABELS}, "rows 1 and 3 .*both have id 'b'"),
        ({"id": ["p", "q", "r", "s"], **LABELS}, r"for 3 of the 3 .* The file's ids are like 'p'; is the data's id"),
        ({"id": ["c", "x", "y", "b"], **LABELS}, "no answer for 1 of the 3 examples of pool; .*row 0 .*id '007'"),
        (IDS, r"holds no answers: .*\(cat, cow, dog …\).*it has id"),
        ({**IDS, "cat": [1.0] * 4, "dog": [0.0] * 4}, "columns for 2 of the 3 classes and none for 'cow'"),
        (
            {**IDS, "label": ["cow", "cat", "cat", "owl"]},
            r"no answer for 1 of the 3 examples of pool \('owl' \(1\)\); .* id 'b'\. The classes are cat, cow, dog\. "
            "Write `unanswered: drop` under `teacher` .*; aliases name",
        ),
        ({**IDS, "label": ["cow", "cat", "cat", None]}, r"no answer for 1 of the 3 .* \(empty \(1\)\)"),
        ({**IDS, "probs": probs_with([0.5, 0.25, 0.0])}, "row 3 .*sum to 0.75"),
        ({**IDS, "probs": probs_with([0.5, float("nan"), 0.5])}, "row 3 .*class 1 has probability nan"),
        ({**IDS, "probs": probs_with([0.5, None, 0.5])}, "row 3 .*class 1 has probability nan"),
        ({**IDS, "probs": probs_with([1.5, -0.5, 0.0])}, "row 3 .*class 1 has probability -0.5"),
        ({**IDS, "probs": probs_with([0.5, 0.5])}, "row 3 .*probs has 2 numbers; it must have 3"),
        ({**IDS, "probs": probs_with(None)}, "row 3 .*probs has 0 numbers"),
        ({**IDS, "probs": [0.5] * 4}, "'probs' holds double; it must hold a list"),
        ({**IDS, **class_columns(), "cow": ["much"] * 4}, "string such as 'much'; it must hold numbers, such as 0.87"),
        ({**IDS, "top_classes": [["cow"]] * 4, "top_probs": [[1.0]] * 3 + [[0.5, 0.5]]}, "row 3 .*1 .*and 2 top_probs"),
        ({**IDS, "top_classes": [["cow"]] * 3 + [["owl"]], "top_probs": [[1.0]] * 4}, "row 3 .*no class 'owl'"),
        (
            {**IDS, "top_classes": [["cow"]] * 3 + [["cow", "cow"]], "top_probs": [[1.0]] * 3 + [[0.5, 0.5]]},
            "row 3 .*names 'cow' twice",
        ),
        ({**IDS, "top_classes": [["cow"]] * 4, "top_probs": [[1.0]] * 3 + [[0.25]]}, "row 3 .*would get 0.375, more"),
        ({**IDS, "top_classes": [["cow"]] * 4, "top_probs": [[1.0]] * 3 + [[float("nan")]]}, "row 3 .*probability nan"),
        ({**IDS, "top_classes": [["cow"]] * 3 + [[]], "top_probs": [[1.0]] * 3 + [[]]}, "row 3 .*would get 0.333"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_name_and_row(tmp_path: Path, columns: dict, words: str):
    with pytest.raises(InputError, match=rf"answers\.parquet.*{words}") as refusal:
        read_answers(write(tmp_path, columns), KEYS, CLASSES)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.csv", None, "There is no file"),
        ("none.parquet", None, "There is no file"),
        ("a.pickle", b"", "must end in .parquet, .csv or .jsonl"),
        ("a.parquet", b"PAR1 and no more", "cannot be read"),
        ("a.csv", b"id,label\n1,cat,3\n", "cannot be read"),
        ("a.jsonl", b"{", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes | None, words: str):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words):
        read_answers(tmp_path / name, KEYS, CLASSES)


def test_a_file_is_parsed_once_for_as_long_as_it_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path, parses, counts = tmp_path / "votes.csv", [], []
    parse, count = opened.read_table, answer_files.counted
    monkeypatch.setattr(opened, "read_table", lambda *words: parses.append(words) or parse(*words))
    monkeypatch.setattr(answer_files, "counted", lambda *words, **more: counts.append(words) or count(*words, **more))
    path.write_text("id,annotator,label\na,x,no\na,y,yes\na,z,yes\nb,x,no\n")
    files, names = ParsedFiles(), ("no", "yes")

    def said(vote: str) -> list[list[float]]:
        found = [read_answers(path, pa.array([name]), names, vote=vote, parsed=files) for name in ("a", "b")]
        assert vote_counts(path, names, parsed=files) is not None
        return [[round(number, 3) for number in each.probs()[0].tolist()] for each in found]

    assert said("soft") == [[0.333, 0.667], [1.0, 0.0]]
    assert said("soft") == [[0.333, 0.667], [1.0, 0.0]]
    assert (len(parses), len(counts)) == (1, 1)
    assert said("majority") == [[0.0, 1.0], [1.0, 0.0]]
    assert (len(parses), len(counts)) == (1, 2)
    path.write_text("id,annotator,label\na,x,no\nb,y,yes\n")
    assert said("majority") == [[1.0, 0.0], [0.0, 1.0]]
    assert (len(parses), len(counts)) == (2, 3)
    path.unlink()
    with pytest.raises(InputError, match="There is no file"):
        read_answers(path, pa.array(["a"]), names, parsed=files)


def test_an_empty_pool_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match="no examples"):
        read_answers(write(tmp_path, {**IDS, **LABELS}), KEYS[:0], CLASSES)


@pytest.mark.parametrize("num_classes", [3, 60])
def test_what_is_exported_comes_back_in_any_order(tmp_path: Path, num_classes: int):
    generator = torch.Generator().manual_seed(0)
    answers = compress(torch.randn(300, num_classes, generator=generator).mul(3).softmax(1))
    names = tuple(f"class {index}" for index in range(num_classes))
    keys = pa.array([f"row {row}" for row in range(300)])
    export_parquet(answers, tmp_path / "answers.parquet", ids=keys, class_names=names)
    rows = np.random.default_rng(0).permutation(300)
    back = read_answers(tmp_path / "answers.parquet", keys.take(pa.array(rows)), names)
    assert torch.equal(back.class_probs, answers.class_probs[rows])
    bound = 2**-11 * (1 if num_classes > 32 else 0)
    assert ((back.probs() - answers.probs()[rows]).abs() <= bound).all()
    table = pq.read_table(tmp_path / "answers.parquet")
    assert table["label"].to_pylist() == [names[index] for index in answers.pseudo_label.tolist()]


def test_a_store_is_exported_with_its_own_ids_and_names(tmp_path: Path):
    ids = np.frombuffer(bytes(range(48)), "V16")
    key = StoreKey(teacher="a", data="b", transform="c", code="d")
    answer(tmp_path / "store", ids, key, CLASSES, lambda rows: torch.tensor(PROBS)[rows])
    export_store(tmp_path / "store", tmp_path / "answers.parquet")
    assert read_answers(tmp_path / "answers.parquet", ids[::-1].copy(), CLASSES).probs().tolist() == PROBS[::-1]
    export_store(tmp_path / "store", tmp_path / "answers.parquet", keys=KEYS)
    assert pq.read_table(tmp_path / "answers.parquet")["id"].to_pylist() == KEYS.to_pylist()
    with pytest.raises(InputError, match="3 answers and 2 ids"):
        export_store(tmp_path / "store", tmp_path / "answers.parquet", keys=KEYS[:2])


def test_many_rows_are_opened_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("overproof.answers.files.NUMBERS_AT_A_TIME", 6)
    path = write(tmp_path, {"id": FILE_IDS, "probs": FILE_PROBS})
    assert read_answers(path, KEYS, CLASSES).probs().tolist() == PROBS
    with pytest.raises(InputError, match=r"row 0 .*sum to 0.5"):
        read_answers(write(tmp_path, {"id": FILE_IDS, "probs": [[0.5, 0, 0], *FILE_PROBS[1:]]}), KEYS, CLASSES)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("where", ["cow", "007"])
def test_names_and_texts_that_are_not_utf_8_are_refused_in_a_sentence(tmp_path: Path, suffix: str, where: str):
    columns = {"id": FILE_IDS, **class_columns()}
    if suffix == ".parquet":
        # Without compression or a dictionary, the text stands in the file as it is.
        path = tmp_path / "answers.parquet"
        options = {"compression": "none", "use_dictionary": False, "write_statistics": False, "store_schema": False}
        pq.write_table(pa.table(columns), path, **options)
    else:
        path = write(tmp_path, columns, suffix)
    assert where.encode() in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(where.encode(), b"\xff" + where.encode()[1:]))
    with pytest.raises(InputError) as error:
        read_answers(path, KEYS, CLASSES)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)


def test_columns_of_other_names_are_read_as_what_the_options_say(tmp_path: Path):
    table = {"ticket": FILE_IDS, "label": ["gold"] * 4, "other_answer": ["x"] * 4, "llm": ["dog", "cat", "cow", "cat"]}
    path = write(tmp_path, table, ".csv")
    files = ParsedFiles(columns={"id": "ticket", "label": "llm"})
    assert read_answers(path, KEYS, CLASSES, parsed=files).pseudo_label.tolist() == [1, 0, 2]
    # The id alone: all other columns mean what they are called.
    path = write(tmp_path, {"ticket": FILE_IDS, **class_columns()}, ".csv")
    assert read_answers(path, KEYS, CLASSES, parsed=ParsedFiles(columns={"id": "ticket"})).probs().tolist() == PROBS
    with pytest.raises(InputError, match=r"no column 'llm' for 'label' in option 'teacher\.columns'; it has ticket"):
        read_answers(path, KEYS, CLASSES, parsed=files)
