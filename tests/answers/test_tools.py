"""Files as tools write them: recognised, read with the right values, or refused with the line to write."""

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from overproof.answers.files import in_list_order, read_answers
from overproof.answers.opened import Aligned
from overproof.answers.parsed import ParsedFiles
from overproof.answers.shown import shown
from overproof.answers.tools import FORMATS, TOOLS
from overproof.commands.main import main
from overproof.errors import InputError

WRITTEN = Path(__file__).parent / "written"


def opened(path: Path, num: int = 0, **said) -> ParsedFiles:
    """Files aligned with `num` rows of data called 0, 1, …; joined by ids where there are none."""
    ids = pa.array([str(row) for row in range(num)], pa.large_string())
    aligned = Aligned(paths=(path,), ids=ids, sources=(("all (d.csv)", num),)) if num else None
    return ParsedFiles(aligned=aligned, **said)


def read(path: Path, names: tuple[str, ...], keys: list[str], num: int = 0, **said) -> list[list[float]]:
    files = opened(path, num, **said)
    answers = read_answers(
        path,
        pa.array(keys),
        names,
        parsed=files,
        answer_from=said.get("answer_from", ""),
        classes=said.get("classes", ()),
    )
    return np.asarray(answers.probs().double()).round(3).tolist()


def refused(path: Path, names: tuple[str, ...], keys: list[str], num: int = 0, **said) -> str:
    with pytest.raises(InputError) as caught:
        read(path, names, keys, num, **said)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def left_out(path: Path, classes: tuple[str, ...], **said) -> dict:
    return dict(ParsedFiles(**said).reading(path, "id", classes).left_out)


def notes(path: Path, classes: tuple[str, ...], **said) -> str:
    return " ".join(ParsedFiles(numbered=True, **said).reading(path, "id", classes).notes)


def text(folder: Path, content: str | bytes, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(folder: Path, *rows: object, name: str = "a.jsonl") -> Path:
    return text(folder, "".join(json.dumps(row) + "\n" for row in rows), name)


# --- the small file of each tool, with the right reading

RIGHT = [
    # file, format, classes, number of rows without ids, right values by id
    ("libsvm.out", "libsvm", ("1", "2", "3"), 7, {"0": [0.03, 0.129, 0.841], "2": [0.134, 0.817, 0.049]}),
    ("fasttext.txt", "fasttext", ("a", "b", "c"), 4, {"0": [0.995, 0.003, 0.002], "1": [0.375, 0.559, 0.066]}),
    ("vowpal_wabbit.txt", "vowpal_wabbit", ("1", "2", "3"), 0, {"id-4": [0.496, 0.502, 0.002]}),
    ("weka.csv", "weka", ("ape", "cat fish", "zebra"), 7, {"2": [0.998, 0, 0.002], "6": [0.086, 0.008, 0.906]}),
    ("h2o_binary.csv", "h2o", ("0", "1"), 7, {"1": [0.52, 0.48], "3": [0.475, 0.525]}),
    ("h2o_mixed_names.csv", "h2o", ("1", "2 b", "a-1"), 7, {"1": [0.142, 0.373, 0.486]}),
    ("h2o_mixed_names.csv", "h2o", ("p1", "a-1", "2 b"), 7, {"1": [0.142, 0.486, 0.373]}),
    ("lightgbm_2_classes.txt", "numbers", ("no", "yes"), 8, {"0": [0.875, 0.125], "1": [0.372, 0.628]}),
    ("lightgbm_3_classes.txt", "numbers", ("x", "y", "z"), 8, {"1": [0.137, 0.822, 0.041]}),
    ("crowdkit_dawid_skene.csv", "crowd_kit", ("ape", "cat", "zebra"), 0, {"t15": [0, 0.074, 0.926]}),
    ("label_studio.csv", "label_studio", ("neg", "pos"), 0, {"mine-2": [0.5, 0.5], "mine-6": [0, 1]}),
    ("doccano.jsonl", "doccano", ("praise", "return"), 0, {"r3": [0, 1]}),
    ("prodigy_shape.jsonl", "prodigy", ("neg", "pos"), 0, {"r0": [0, 1]}),
    ("huggingface_zero_shot.jsonl", "hugging_face", ("praise", "return"), 0, {"r1": [0.545, 0.455]}),
    ("huggingface_text_classification.jsonl", "hugging_face", ("praise", "return"), 0, {"r3": [0.991, 0.009]}),
    # Results that the clients' own types have written.
    ("openai_chat_types.jsonl", "openai_batch", ("neg", "pos"), 0, {"r1": [1, 0], "r5": [0, 1]}),
    ("openai_logprobs_types.jsonl", "openai_batch", ("neg", "pos"), 0, {"r1": [0.909, 0.091]}),
    ("openai_completions_types.jsonl", "openai_batch", ("neg", "pos"), 0, {"r1": [1, 0]}),
    ("openai_responses_types.jsonl", "openai_batch", ("neg", "pos"), 0, {"r0": [0, 1], "r4": [0, 1]}),
    ("anthropic_types.jsonl", "anthropic_batch", ("neg", "pos"), 0, {"r0": [0, 1], "r1": [1, 0]}),
    ("gemini_types.jsonl", "vertex", ("neg", "pos"), 0, {"r0": [0, 1], "r1": [1, 0]}),
    ("gemini_python_types.jsonl", "vertex", ("neg", "pos"), 0, {"r0": [0, 1], "r1": [1, 0]}),
    # One token, with the logarithms of both classes.
    ("openai_batch_shape.jsonl", "openai_batch", ("neg", "pos"), 0, {"r0": [0.091, 0.909]}),
]


@pytest.mark.parametrize(("name", "wanted", "classes", "num", "values"), RIGHT)
def test_a_tools_file_is_recognised_and_read_right(name, wanted, classes, num, values):
    path = WRITTEN / name
    files = opened(path, num)
    assert files.seen(path, "id", classes).format == wanted
    found = read(path, classes, list(values), num)
    assert np.allclose(found, list(values.values()), atol=1.1e-3)
    assert shown(path, classes=classes).reading.seen.format == wanted


@pytest.mark.parametrize(("name", "wanted", "classes", "num", "values"), [row for row in RIGHT if row[3]])
def test_rows_without_ids_are_aligned_only_where_that_is_said_and_as_many(name, wanted, classes, num, values):
    path = WRITTEN / name
    assert "write `align: rows` under `teacher`" in refused(path, classes, list(values))
    message = refused(path, classes, list(values), num + 1)
    assert f"{name} has {num} rows" in message
    assert f"all (d.csv) has {num + 1}" in message


@pytest.mark.parametrize("name", sorted({row[0] for row in RIGHT}))
@pytest.mark.parametrize("how", ["crlf", "bom", "gz", "utf-16", "no last newline"])
def test_endings_marks_and_compression_change_nothing(name, how, tmp_path):
    classes, num, values = next(row[2:] for row in RIGHT if row[0] == name)
    content = (WRITTEN / name).read_bytes().decode().replace("\r\n", "\n")
    made = {
        "crlf": content.replace("\n", "\r\n").encode(),
        "bom": b"\xef\xbb\xbf" + content.encode(),
        "gz": gzip.compress(content.encode()),
        "utf-16": content.encode("utf-16"),
        "no last newline": content.rstrip("\n").encode(),
    }[how]
    path = text(tmp_path, made, name + (".gz" if how == "gz" else ""))
    assert np.allclose(read(path, classes, list(values), num), list(values.values()), atol=1.1e-3)


def test_a_tuned_threshold_beside_its_probabilities_is_a_question():
    path, classes = WRITTEN / "sklearn_tuned_threshold.csv", ("0", "1")
    assert "the first is row 5 (counted from 0), label '1' beside '0'" in refused(path, classes, ["5"])
    assert read(path, classes, ["5"], answer_from="probabilities") == [[0.673, 0.327]]
    assert read(path, classes, ["5"], answer_from="label") == [[0, 1]]


def test_label_studios_own_ids_join_nothing_until_the_user_says_so(tmp_path):
    path, classes = WRITTEN / "label_studio_min.json", ("neg", "pos")
    assert "`id` is Label Studio's own number of the task" in refused(path, classes, ["1"])
    assert read(path, classes, ["1", "2"], columns={"id": "id"}) == [[0, 1], [0.5, 0.5]]
    assert read(path, classes, ["text 6"], columns={"id": "text"}) == [[0, 1]]
    assert left_out(path, classes, columns={"id": "id"}) == {
        "the annotation is empty": 1,
        "the task was never opened": 1,
    }
    # CSV keeps the user's id; whole numbers may be Label Studio's.
    numbered = text(tmp_path, re.sub(r"mine-", "", (WRITTEN / "label_studio.csv").read_text()), "a.csv")
    assert "`id` may be Label Studio's own number" in refused(numbered, classes, ["1"])
    assert read(numbered, classes, ["2"], columns={"id": "id"}) == [[0.5, 0.5]]


# --- variants of what each tool writes


def test_libsvm_of_two_classes_and_what_is_refused(tmp_path):
    swapped = text(tmp_path, "labels 1 -1\n1 0.9 0.1\n-1 0.25 0.75\n")
    assert read(swapped, ("-1", "1"), ["0", "1"], 2) == [[0.1, 0.9], [0.75, 0.25]]
    assert read(swapped, ("bad", "good"), ["0"], 2, aliases={"1": "good", "-1": "bad"}) == [[0.1, 0.9]]
    assert "names the classes '1', '-1'" in refused(swapped, ("bad", "good"), ["0"], 2)
    short = text(tmp_path, "labels 1 -1\n1 0.9\n")
    assert "row 0 (counted from 0): it has 2 numbers" in refused(short, ("-1", "1"), ["0"], 1)


def test_fasttext_takes_off_what_it_adds_and_spreads_what_it_does_not_name(tmp_path):
    names = tuple(f"c{k}" for k in range(300))
    rest = " ".join(f"__label__{name} 1e-05" for name in names[1:])
    # Of 300 classes the sum is 1.003.
    full = text(tmp_path, f"__label__c0 1.00001 {rest}\n")
    assert read(full, names, ["0"], 1)[0][0] == 1.0
    best = text(tmp_path, "__label__a 0.60001 __label__b 0.20001\n\n__label__c 1.00001 __label__a 1.0e-05\n")
    assert read(best, ("a", "b", "c", "d"), ["0", "2"], 3) == [[0.6, 0.2, 0.1, 0.1], [0, 0, 1, 0]]
    assert "1 row of the file is no answer: their line is empty" in refused(best, ("a", "b", "c", "d"), ["1"], 3)
    labels = text(tmp_path, "__label__a\n__label__c\n")
    assert read(labels, ("a", "b", "c"), ["1"], 2) == [[0, 0, 1]]
    ranked = text(tmp_path, "__label__a __label__b\n")
    assert "ranks several classes without numbers" in refused(ranked, ("a", "b"), ["0"], 1)


def test_vowpal_wabbits_scores_are_no_probabilities(tmp_path):
    for content in ("1:-0.470703 2:0.470703 id-1\n", "1:0 2:0 id-0\n1:1.2 2:0.3 id-1\n"):
        message = refused(text(tmp_path, content), ("1", "2"), ["id-1"])
        assert "pass `--oaa K --probabilities --loss_function=logistic`" in message
    margin = text(tmp_path, "0.354986 id-1\n0.5 id-2\n")
    assert "`--link=logistic`" in refused(margin, ("1", "2"), ["id-1"])
    labels = text(tmp_path, "1 id-0\n2 id-1\n")
    assert read(labels, ("1", "2"), ["id-1", "id-0"]) == [[0, 1], [1, 0]]
    assert left_out(WRITTEN / "vowpal_wabbit.txt", ("1", "2", "3")) == {"they have no id": 1}
    colons = text(tmp_path, "1:0.9 2:0.1 doc:7\n1:0.25 2:0.75 page:8\n")
    assert read(colons, ("1", "2"), ["page:8"]) == [[0.25, 0.75]]
    numbered = text(tmp_path, "1 id-0\n2 7\n")
    assert read(numbered, ("1", "2"), ["7"]) == [[0, 1]]
    mixed = text(tmp_path, "1:0.9 2:0.1 id-0\n2:0.9 1:0.1 id-1\n")
    assert "row 1 (counted from 0): it names the classes 2 1" in refused(mixed, ("1", "2"), ["id-0"])


def test_weka_names_classes_ids_and_orders(tmp_path):
    head = "inst#,actual,predicted,error,distribution,,key\n"
    two = text(tmp_path, head + "1,1:?,2:pos,,0.25,*0.75,k1\n2,1:?,2:pos,,0.333,*0.667,k0\n", "a.csv")
    # The class that no row names is the one that is left.
    assert read(two, ("neg", "pos"), ["k0", "k1"], columns={"id": "key"}) == [[0.333, 0.667], [0.25, 0.75]]
    assert "`classes: […, pos]`" in refused(two, ("neg", "pos", "x"), ["k0"], columns={"id": "key"})
    folds = text(tmp_path, head + "2,1:a,1:a,,*1,0,x\n1,1:a,2:b,+,0,*1,y\n", "b.csv")
    assert "rows of cross-validation are in another order" in refused(folds, ("a", "b"), ["0"], 2)
    plain = text(tmp_path, "inst#,actual,predicted,error,prediction\n1,1:a,2:b,+,0.75\n", "c.csv")
    assert read(plain, ("a", "b"), ["0"], 1) == [[0.25, 0.75]]
    printed = "=== Predictions on test data ===\n\n" + head + "1,1:a,1:a,,*1,0,x\n\n\n"
    assert read(text(tmp_path, printed, "e.txt"), ("a", "b"), ["0"], 1) == [[1, 0]]
    blanks = text(
        tmp_path, "\n    inst#     actual  predicted error prediction\n        1      1:a      1:a       1\n", "f.txt"
    )
    assert "in columns of blanks" in refused(blanks, ("a", "b"), ["0"], 1)
    numbers = text(tmp_path, "inst#,actual,predicted,error,prediction\n1,3.5,3.2,-0.3,\n", "d.csv")
    assert "no class as WEKA writes it" in refused(numbers, ("a", "b"), ["0"], 1)


def test_h2o_counts_where_its_threshold_differs():
    path = WRITTEN / "h2o_binary.csv"
    assert "In 1 of 7 rows `predict` is not the likeliest class" in notes(path, ("0", "1"))
    assert read(path, ("0", "1"), ["1"], 7, answer_from="label") == [[0, 1]]
    assert "`p1` is read as class '1'" in notes(WRITTEN / "h2o_mixed_names.csv", ())


def test_numbers_alone(tmp_path):
    ab, abc = ("a", "b"), ("a", "b", "c")
    for mark in (" ", ",", "\t", "; "):
        table = text(tmp_path, f"2.5e-01{mark}7.5e-01\n1.0{mark}0\n")
        assert read(table, ab, ["0", "1"], 2) == [[0.25, 0.75], [1, 0]]
    assert read(table, ab, ["0"], 2, classes=("b", "a")) == [[0.75, 0.25]]
    assert in_list_order(table, ab, parsed=opened(table, 2))
    assert "raw scores" in refused(text(tmp_path, "-1.5\n0.3\n"), ab, ["0"], 2)
    assert "raw scores" in refused(text(tmp_path, "-1.5 0.3\n"), ab, ["0"], 1)
    assert "raw scores" in refused(text(tmp_path, "1.5 0.3\n"), ab, ["0"], 1)
    assert "the second of two classes, and there are 3" in refused(text(tmp_path, "0.5\n0.25\n"), abc, ["0"], 2)
    assert "its first number counts the rows" in refused(text(tmp_path, "0,0.5,0.5\n1,0.25,0.75\n"), ab, ["0"], 2)
    assert "2 numbers; the first row has 3" in refused(text(tmp_path, "0 0.5 0.5\n0.5 0.5\n"), abc, ["0"], 2)
    gap = text(tmp_path, "0.5,0.5\n0.5,,0.5\n")
    assert "'0.5,,0.5' is no line of numbers" in refused(gap, ab, ["0"], 2, format="numbers")
    assert "not finite" in refused(text(tmp_path, "nan\n0.5\n"), ab, ["0"], 2)
    # `multi:softmax` writes places; numbers that are names are names.
    assert read(text(tmp_path, "2\n0\n1.0\n"), abc, ["0", "2"], 3) == [[0, 0, 1], [0, 1, 0]]
    assert read(text(tmp_path, "3\n1\n2\n"), ("1", "2", "3"), ["0"], 3) == [[0, 0, 1]]
    assert "neither a class nor the place" in refused(text(tmp_path, "3\n1\n0\n"), abc, ["0"], 3)
    thirds = text(tmp_path, "0.333 0.333 0.333\n0.9 0.05 0.049\n")
    assert read(thirds, abc, ["0"], 2) == [[0.333, 0.333, 0.333]]


def test_catboosts_label_is_the_truth(tmp_path):
    head = "SampleId\tProbability:Class=a\tProbability:Class=b\tLabel\n"
    path = text(tmp_path, head + "x1\t0.25\t0.75\ta\nx0\t1\t0\tb\n", "a.tsv")
    assert read(path, ("a", "b"), ["x0", "x1"]) == [[1, 0], [0.25, 0.75]]
    assert "`Label` is the truth" in notes(path, ("a", "b"))
    counted = text(tmp_path, head + "0\t0.25\t0.75\ta\n1\t1\t0\tb\n")
    assert "`align: rows`" in refused(counted, ("a", "b"), ["0"])
    assert read(counted, ("a", "b"), ["1"], 2) == [[1, 0]]
    raw = text(tmp_path, "SampleId\tRawFormulaVal:Class=a\tRawFormulaVal:Class=b\n0\t1.5\t-1.5\n", "b.tsv")
    assert "`--prediction-type Probability`" in refused(raw, ("a", "b"), ["0"], 1)
    one = text(tmp_path, "SampleId\tProbability\tClass\n0\t0.75\tb\n", "c.tsv")
    assert read(one, ("a", "b"), ["0"], 1) == [[0.25, 0.75]]


def test_crowd_kits_labels_and_votes(tmp_path):
    assert read(text(tmp_path, "task,agg_label\nt1,b\nt0,a\n", "a.csv"), ("a", "b"), ["t0"]) == [[1, 0]]
    votes = text(tmp_path, "task,worker,label\nt0,1,a\nt0,2,b\n", "b.csv")
    assert read(votes, ("a", "b"), ["t0"]) == [[0.5, 0.5]]


def test_snorkels_abstentions_are_no_answers(tmp_path):
    path = text(tmp_path, "id,lf_a,lf_b,lf_c\nr0,0,1,1\nr1,-1,-1,-1\nr2,-1,0,-1\n", "a.csv")
    assert read(path, ("neg", "pos"), ["r2", "r0"]) == [[1, 0], [0.333, 0.667]]
    assert left_out(path, ("neg", "pos")) == {"all labelling functions abstain": 1}
    assert "no answer for 1 of the 1" in refused(path, ("neg", "pos"), ["r1"])
    more = text(tmp_path, "id,text,lf_a,lf_b\nr0,some words,0.0,-1.0\nr1,1,-1,-1\nr2,x,1,1\n", "d.csv")
    assert read(more, ("neg", "pos"), ["r0", "r2"]) == [[1, 0], [0, 1]]
    matrix = text(tmp_path, "0 1 1\n-1 -1 -1\n-1 0 -1\n")
    assert read(matrix, ("neg", "pos"), ["2", "0"], 3) == [[1, 0], [0.333, 0.667]]
    assert "has 3 rows" in refused(matrix, ("neg", "pos"), ["2"], 4)
    # The class balance beside an abstention is no answer.
    named = text(tmp_path, "id,label,0,1\nr0,1,0.25,0.75\nr1,-1,0.4,0.6\n", "c.csv")
    assert read(named, ("0", "1"), ["r0"]) == [[0.25, 0.75]]
    assert "no answer for 1 of the 1" in refused(named, ("0", "1"), ["r1"])
    assert left_out(named, ("0", "1")) == {"their `label` is -1, an abstention": 1}


def task(number: int, *annotations: dict, **data: object) -> dict:
    return {"id": number, "data": {"text": f"t{number}", **data}, "annotations": list(annotations), "predictions": []}


def chosen(who: object, *choices: str, control: str = "mood", **more: object) -> dict:
    result = [{"from_name": control, "type": "choices", "value": {"choices": list(choices)}}] if choices else []
    return {"id": 1, "completed_by": who, "result": result, **more}


def test_label_studios_json_and_its_controls(tmp_path):
    rows = [
        task(1, chosen(1, "pos"), chosen(2, "neg"), ref="r1"),
        task(2, chosen({"email": "a@b.org"}, "neg", was_cancelled=True), chosen(1), ref="r2"),
        task(3, ref="r3"),
        task(4, chosen(1, "neg"), ref="r4"),
    ]
    path = text(tmp_path, json.dumps(rows, indent=1), "a.json")
    assert "field of the data with your id" in refused(path, ("neg", "pos"), ["1"])
    assert read(path, ("neg", "pos"), ["r1", "r4"], columns={"id": "ref"}) == [[0.5, 0.5], [1, 0]]
    assert left_out(path, ("neg", "pos"), columns={"id": "ref"}) == {
        "the annotation is empty": 1,
        "the annotation was skipped": 1,
        "the task was never opened": 1,
    }
    own = text(tmp_path, json.dumps([task(9, chosen(1, "pos"), id="mine")]), "b.json")
    assert read(own, ("neg", "pos"), ["mine"]) == [[0, 1]]
    two = [task(1, chosen(1, "pos", "neg"), id="x")]
    assert "names 2 classes" in refused(text(tmp_path, json.dumps(two), "c.json"), ("neg", "pos"), ["x"])
    both = [task(1, chosen(1, "pos"), chosen(2, "loud", control="tone"), id="x")]
    path = text(tmp_path, json.dumps(both), "d.json")
    assert "controls 'mood', 'tone'" in refused(path, ("neg", "pos"), ["x"])
    assert read(path, ("neg", "pos"), ["x"], columns={"label": "mood"}) == [[0, 1]]
    usual = [{"text": "t", "ref": "r0", "id": 1, "label": "Good", "annotation_id": 5, "lead_time": 1.0}]
    path = text(tmp_path, json.dumps(usual), "g.json")
    assert read(path, ("bad", "good"), ["r0"], columns={"id": "ref"}) == [[0, 1]]
    head = "annotation_id,annotator,id,lead_time,mood,tone\n"
    table = text(tmp_path, head + "1,a,x-1,2,pos,pos\n2,a,x-2,2,neg,neg\n", "e.csv")
    assert "'mood', 'tone' may each be" in refused(table, ("neg", "pos"), ["x-1"])
    assert read(table, ("neg", "pos"), ["x-1"], columns={"label": "tone"}) == [[0, 1]]


def test_argillas_responses_suggestions_and_states(tmp_path):
    def record(key: str, responses: dict, **more: object) -> dict:
        return {"id": key, "fields": {"text": "x"}, "metadata": {}, "responses": responses, "suggestions": {}, **more}

    first = record("r0", {"mood": [{"value": "neg", "user_id": "u"}, {"value": "pos", "user_id": "v"}]})
    path = text(tmp_path, json.dumps([first, record("r1", {})]), "a.json")
    assert read(path, ("neg", "pos"), ["r0"]) == [[0.5, 0.5]]
    assert left_out(path, ("neg", "pos")) == {"the record has no response": 1}
    assert "does not tell discarded ones and drafts from others" in notes(path, ("neg", "pos"))
    flat = {
        "id": "r0",
        "status": "completed",
        "mood.responses": ["neg", "pos"],
        "mood.responses.users": ["u", "v"],
        "mood.responses.status": ["submitted", "discarded"],
        "mood.suggestion": "pos",
    }
    path = lines(tmp_path, flat)
    assert read(path, ("neg", "pos"), ["r0"]) == [[1, 0]]
    assert left_out(path, ("neg", "pos")) == {"the response is discarded": 1}
    guess = record("r0", {}, suggestions={"mood": {"value": "pos", "score": 0.75, "agent": "m"}})
    assert read(lines(tmp_path, guess, name="b.jsonl"), ("neg", "pos"), ["r0"]) == [[0.25, 0.75]]
    old = {
        "fields": {"text": "x"},
        "responses": [
            {"values": {"mood": {"value": "pos"}}, "status": "submitted", "user_id": "u"},
            {"values": {"mood": {"value": "neg"}}, "status": "draft", "user_id": "v"},
        ],
        "external_id": "r7",
    }
    assert read(lines(tmp_path, old, name="c.jsonl"), ("neg", "pos"), ["r7"]) == [[0, 1]]


def test_prodigys_answers_and_annotators(tmp_path):
    def row(key: str, chosen: list, answer: str = "accept", **more: object) -> dict:
        return {"text": "x", "id": key, "options": [], "accept": chosen, "answer": answer, "_task_hash": 1, **more}

    path = lines(
        tmp_path,
        row("r0", ["pos"], _annotator_id="a"),
        row("r0", ["neg"], _annotator_id="b"),
        row("r1", ["pos"], "reject", _annotator_id="a"),
        row("r2", [], "ignore", _annotator_id="a"),
        row("r3", [], _annotator_id="a"),
    )
    assert read(path, ("neg", "pos"), ["r0"]) == [[0.5, 0.5]]
    assert left_out(path, ("neg", "pos")) == {"no option is chosen": 1, "their `answer` is reject or ignore": 2}
    meta = {"text": "x", "label": "POS", "answer": "accept", "meta": {"ref": 7}}
    assert read(lines(tmp_path, meta), ("NEG", "POS"), ["7"], columns={"id": "ref"}) == [[0, 1]]
    assert "in the order of the work" in refused(lines(tmp_path, meta), ("NEG", "POS"), ["7"])


def test_dumps_of_pipelines_in_all_their_forms(tmp_path):
    one, both = {"label": "pos", "score": 0.75}, [{"label": "pos", "score": 0.75}, {"label": "neg", "score": 0.25}]
    shot = {"sequence": "x", "labels": ["pos", "neg"], "scores": [0.75, 0.25]}
    whole = text(tmp_path, json.dumps([one, one]), "a.json")
    for path in (
        whole,
        lines(tmp_path, one, one, name="b.jsonl"),
        lines(tmp_path, both, both, name="c.jsonl"),
        text(tmp_path, json.dumps([both, both]), "d.json"),
        lines(tmp_path, [both], [both], name="e.jsonl"),
        text(tmp_path, json.dumps([shot, shot], indent=2), "f.json"),
    ):
        assert read(path, ("neg", "pos"), ["0", "1"], 2) == [[0.25, 0.75]] * 2, path.name
        assert "`align: rows`" in refused(path, ("neg", "pos"), ["0"])
    numbered = lines(tmp_path, {"id": "r0", "label": "LABEL_1", "score": 0.75}, name="g.jsonl")
    assert read(numbered, ("neg", "pos"), ["r0"], classes=("pos", "neg")) == [[0.75, 0.25]]
    several = lines(tmp_path, {"id": "r0", "labels": ["neg", "pos"], "scores": [0.9, 0.8]}, name="h.jsonl")
    assert "sum to 1.7" in refused(several, ("neg", "pos"), ["r0"])


def chat(key: str, content: object, *, reason: str = "stop", status: int = 200, **more: object) -> dict:
    message = {"role": "assistant", "content": content}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": reason, **more}]}
    return {"custom_id": key, "response": {"status_code": status, "body": body}, "error": None}


def test_openais_batches(tmp_path):
    failed = {"custom_id": "r9", "response": None, "error": {"code": "expired"}}
    path = lines(
        tmp_path,
        chat("r1", '{"label": "neg", "why": "torn"}'),
        chat("r0", " pos\n"),
        chat("r2", "po", reason="length"),
        chat("r3", None),
        chat("r4", "x", status=500),
        failed,
    )
    assert read(path, ("neg", "pos"), ["r0", "r1"]) == [[0, 1], [1, 0]]
    assert left_out(path, ("neg", "pos")) == {
        "the answer was cut off": 1,
        "the model gave no answer": 1,
        "the request failed": 2,
    }
    output = [{"type": "reasoning"}, {"type": "message", "content": [{"type": "output_text", "text": "pos"}]}]
    body = {"object": "response", "status": "completed", "output": output}
    new = {"custom_id": "r0", "response": {"status_code": 200, "body": body}, "error": None}
    assert read(lines(tmp_path, new), ("neg", "pos"), ["r0"]) == [[0, 1]]
    several = {"message": {"content": "neg"}, "finish_reason": "stop"}
    votes = chat("r0", "pos")
    votes["response"]["body"]["choices"].append(several)
    assert read(lines(tmp_path, votes, chat("r1", "pos")), ("neg", "pos"), ["r0", "r1"]) == [[0.5, 0.5], [0, 1]]
    old = {"custom_id": "r0", "response": {"status_code": 200, "body": {"choices": [{"text": " pos", "index": 0}]}}}
    assert read(lines(tmp_path, old), ("neg", "pos"), ["r0"]) == [[0, 1]]
    # Log-probabilities count only where all answers have them.
    logs = {"content": [{"token": "pos", "logprob": -0.1, "top_logprobs": [{"token": "neg", "logprob": -2.4}]}]}
    some = lines(tmp_path, chat("r0", "pos", logprobs=logs), chat("r1", "pos"))
    assert read(some, ("neg", "pos"), ["r0"]) == [[0, 1]]
    assert "1 of 2 answers are one token with log-probabilities" in notes(some, ("neg", "pos"))


def test_what_is_no_answer_by_the_clients_types_is_left_out_by_its_reason():
    def why(name):
        return left_out(WRITTEN / name, ("neg", "pos", "po"))

    assert why("openai_chat_types.jsonl") == {
        "the answer was cut off": 1,
        "the model refused": 1,
        "the request failed": 2,
    }
    assert why("openai_responses_types.jsonl") == {"the answer was cut off": 1, "the model refused": 1}
    stopped = {"the request failed, or its answer was stopped": 2}
    assert why("gemini_types.jsonl") == {**stopped, "the instance failed": 1}
    assert why("gemini_python_types.jsonl") == stopped
    anthropics = "the answer was cut off, refused, a call of a tool, or is empty"
    of_requests = {f"the request is {each}": 1 for each in ("canceled", "errored", "expired")}
    assert why("anthropic_types.jsonl") == {anthropics: 2, **of_requests}


@pytest.mark.parametrize("reason", ["tool_use", "pause_turn", "model_context_window_exceeded"])
def test_anthropics_answers_that_were_not_finished_are_none(tmp_path, reason):
    def row(key, stop):
        message = {"content": [{"type": "text", "text": "pos"}], "stop_reason": stop}
        return {"custom_id": key, "result": {"type": "succeeded", "message": message}}

    path = lines(tmp_path, row("r0", "stop_sequence"), row("r1", reason))
    assert read(path, ("neg", "pos"), ["r0"]) == [[0, 1]]
    assert sum(left_out(path, ("neg", "pos")).values()) == 1


def array(folder, values, name="a.npy"):
    np.save(folder / name, values)
    return folder / name


@pytest.mark.parametrize(
    ("values", "right"),
    [
        (np.array([[0.25, 0.75], [1.0, 0.0]]), [[0.25, 0.75], [1, 0]]),
        (np.array([[0.25, 0.75], [1.0, 0.0]], np.float16), [[0.25, 0.75], [1, 0]]),
        (np.array([0.75, 0.0], np.float32), [[0.25, 0.75], [1, 0]]),
        (np.array([[1], [0]]), [[0, 1], [1, 0]]),
        (np.array([True, False]), [[0, 1], [1, 0]]),
        (np.array(["pos", "neg"]), [[0, 1], [1, 0]]),
    ],
)
def test_arrays_of_numpy_answer_row_by_row(tmp_path, values, right):
    path = array(tmp_path, values)
    assert read(path, ("neg", "pos"), ["0", "1"], 2) == right
    assert "write `align: rows` under `teacher`" in refused(path, ("neg", "pos"), ["0"])
    assert "has 2 rows" in refused(path, ("neg", "pos"), ["0"], 3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array([{}], object), "cannot be read as a NumPy array"),
        (np.zeros((2, 2, 2)), "holds float64 of shape (2, 2, 2)"),
        (np.zeros((2, 3)), "numbers that sum to 0"),
        (np.array([[0.2, 0.3, 0.5]]), "3 numbers a row, and there are 2 classes"),
        (np.array([[np.nan, 1.0]]), "not finite"),
        (np.array([], np.float32), "of shape (0,)"),
        (np.array(["2026-01-01"], "datetime64[D]"), "datetime64[D]"),
    ],
)
def test_arrays_that_are_no_answers_are_refused(tmp_path, values, words):
    assert words in refused(array(tmp_path, values), ("neg", "pos"), ["0"], 1)


def test_an_array_that_would_run_code_is_refused(tmp_path):
    class Runs:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").write_text, ("x",))

    path = array(tmp_path, np.array([Runs()], object))
    assert "cannot be read as a NumPy array" in refused(path, ("neg", "pos"), ["0"], 1)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("content", "right"),
    [
        ("pos\nneg\n", [[0, 1], [1, 0]]),
        (' pos \n"neg"\n', [[0, 1], [1, 0]]),
        ("[0.25, 0.75]\n[1, 0]\n", [[0.25, 0.75], [1, 0]]),
        ('"[0.25, 0.75]"\n"[1, 0]"\n', [[0.25, 0.75], [1, 0]]),
        ('["pos", "neg"]\n["neg"]\n', [[0.5, 0.5], [1, 0]]),
    ],
)
def test_one_answer_a_line_is_read_where_that_is_said(tmp_path, content, right):
    path = text(tmp_path, content, "a.csv")
    assert read(path, ("neg", "pos"), ["0", "1"], 2, format="lines") == right


def test_a_first_line_that_is_a_class_is_no_name_of_a_column(tmp_path):
    path = text(tmp_path, "pos\nneg\n", "a.csv")
    message = refused(path, ("neg", "pos"), ["0", "1"], 2)
    assert "its first line, 'pos', is a class; write `format: lines` and `align: rows`" in message
    mixed = text(tmp_path, "pos\n[0.5, 0.5]\n", "b.csv")
    assert "row 1 (counted from 0): '[0.5, 0.5]' is an answer of another kind" in refused(
        mixed, ("neg", "pos"), ["0", "1"], 2, format="lines"
    )
    assert "it has 2 cells" in refused(text(tmp_path, "a, b\n", "c.csv"), ("neg", "pos"), ["0"], 1, format="lines")


def test_reading_leaves_the_collector_of_garbage_as_it_was(tmp_path):
    import gc

    path = lines(tmp_path, chat("r0", "pos"), chat("r1", "neg"))
    read(path, ("neg", "pos"), ["r0"])
    assert gc.isenabled()
    with pytest.raises(InputError):
        read(text(tmp_path, '{"custom_id": 3, "response": {}}\n'), ("neg", "pos"), ["r0"])
    assert gc.isenabled()


def test_anthropics_batches(tmp_path):
    message = {"content": [{"type": "text", "text": "pos"}], "stop_reason": "end_turn"}
    good = {"custom_id": "r0", "result": {"type": "succeeded", "message": message}}
    bad = {"custom_id": "r1", "result": {"type": "errored", "error": {}}}
    path = lines(tmp_path, good, bad)
    assert read(path, ("neg", "pos"), ["r0"]) == [[0, 1]]
    assert left_out(path, ("neg", "pos")) == {"the request is errored": 1}


def test_vertex_in_its_forms(tmp_path):
    instance = {"id": "r0", "content": "x"}
    image = {"instance": instance, "prediction": {"displayNames": ["pos", "neg"], "confidences": [0.75, 0.25]}}
    table = {"instance": instance, "prediction": {"classes": ["neg", "pos"], "scores": [0.25, 0.75]}}
    own = {"instance": {"x": 1}, "key": "r0", "prediction": [0.25, 0.75]}
    parts = {"content": {"parts": [{"text": "pos"}], "role": "model"}, "finishReason": "STOP"}
    for row, right in ((image, [0.25, 0.75]), (table, [0.25, 0.75]), (own, [0.25, 0.75])):
        path = lines(tmp_path, row)
        assert read(path, ("neg", "pos"), ["r0"]) == [right]
    assert in_list_order(path, ("neg", "pos"))
    gemini = {"key": "r0", "request": {"contents": []}, "response": {"candidates": [parts]}}
    cut = {"key": "r1", "request": {"contents": []}, "response": {"candidates": [{**parts, "finishReason": "SAFETY"}]}}
    path = lines(tmp_path, gemini, cut)
    assert read(path, ("neg", "pos"), ["r0"]) == [[0, 1]]
    assert left_out(path, ("neg", "pos")) == {"the request failed, or its answer was stopped": 1}
    nameless = lines(tmp_path, {"instance": {"x": 1}, "prediction": [0.25, 0.75]})
    assert "rows are in no order and have no key" in refused(nameless, ("neg", "pos"), ["r0"])


def test_sagemaker_in_its_forms(tmp_path):
    ab = ("a", "b")
    auto = text(tmp_path, "b,0.75,\"[0.75, 0.25]\",\"['b', 'a']\"\na,0.5,\"[0.5, 0.5]\",\"['b', 'a']\"\n", "x.csv.out")
    assert read(auto, ab, ["0", "1"], 2) == [[0.25, 0.75], [0.5, 0.5]]
    linear = text(tmp_path, '{"predictions": [{"score": 0.75, "predicted_label": 1}]}\n', "b.jsonl")
    assert read(linear, ab, ["0"], 1) == [[0.25, 0.75]]
    joined = {"id": "r0", "x": 1, "SageMakerOutput": {"predicted_label": 2, "score": [0.1, 0.2, 0.7]}}
    assert read(lines(tmp_path, joined), ("a", "b", "c"), ["r0"]) == [[0.1, 0.2, 0.7]]
    blazing = lines(tmp_path, {"label": ["__label__b", "__label__a"], "prob": [0.75, 0.25]})
    assert read(blazing, ab, ["0"], 1) == [[0.25, 0.75]]


def test_comprehend_is_aligned_by_its_lines(tmp_path):
    def row(line: int, **scores: float) -> dict:
        return {"File": "d.csv", "Line": str(line), "Classes": [{"Name": a, "Score": b} for a, b in scores.items()]}

    failed = {"File": "d.csv", "Line": "1", "ErrorCode": "DOCUMENT_SIZE_EXCEEDED", "ErrorMessage": "x"}
    path = lines(tmp_path, row(2, b=0.75, a=0.25), failed, row(0, a=1.0))
    assert read(path, ("a", "b"), ["0", "2"], 3) == [[1, 0], [0.25, 0.75]]
    assert "no answer for 1 of the 1" in refused(path, ("a", "b"), ["1"], 3)
    assert "`align: rows`" in refused(path, ("a", "b"), ["0"])
    mood = {
        "File": "d.csv",
        "Line": "0",
        "Sentiment": "POSITIVE",
        "SentimentScore": {"Positive": 0.75, "Negative": 0.25},
    }
    assert read(lines(tmp_path, mood), ("NEGATIVE", "POSITIVE"), ["0"], 1) == [[0.25, 0.75]]


# --- plain tables


def test_plain_tables_of_other_forms(tmp_path):
    assert read(text(tmp_path, '[{"id": 7, "label": "pos"}]', "a.json"), ("neg", "pos"), ["7"]) == [[0, 1]]
    packed = text(tmp_path, gzip.compress(b"id,label\n007,pos\n"), "a.csv.gz")
    assert read(packed, ("neg", "pos"), ["007"]) == [[0, 1]]
    listed = text(tmp_path, 'id,probs\nr0,"[0.25, 0.75]"\nr1,[1. 0.]\n', "b.csv")
    assert read(listed, ("neg", "pos"), ["r0", "r1"]) == [[0.25, 0.75], [1, 0]]
    objects = text(tmp_path, 'id,probs\nr0,"{""pos"": 0.75, ""neg"": 0.25}"\n', "c.csv")
    assert read(objects, ("neg", "pos"), ["r0"]) == [[0.25, 0.75]]
    other = text(tmp_path, "key,guess,note\nr0,pos,x\n", "d.csv")
    assert read(other, ("neg", "pos"), ["r0"], columns={"id": "key", "label": "guess"}) == [[0, 1]]
    rows = text(tmp_path, "label\npos\nneg\n", "e.csv")
    assert read(rows, ("neg", "pos"), ["1", "0"], 2) == [[1, 0], [0, 1]]
    assert "option 'teacher.align' is 'rows'" in refused(other, ("neg", "pos"), ["0"], 1, columns={"id": "key"})


def test_arrays_as_pandas_and_json_write_them(tmp_path):
    right = [[0.25, 0.75], [1, 0]]
    for content in (
        "0,1\n0.25,0.75\n1.0,0.0\n",
        ",0,1\n0,0.25,0.75\n1,1.0,0.0\n",
        "[0.25, 0.75]\n[1, 0]\n",
        "[[0.25, 0.75], [1.0, 0.0]]",
        "[\n  [0.25, 0.75],\n  [1.0, 0.0]\n]\n",
        "[0.75, 0.0]",
    ):
        path = text(tmp_path, content, "a.csv")
        assert read(path, ("neg", "pos"), ["0", "1"], 2) == right, content
        assert in_list_order(path, ("neg", "pos"), parsed=opened(path, 2))
    named = text(tmp_path, "id,0,1\nr0,0.25,0.75\nr1,1,0\n", "b.csv")
    assert read(named, ("neg", "pos"), ["r0"], aliases={"0": "neg", "1": "pos"}) == [[0.25, 0.75]]
    nameless = text(tmp_path, ",neg,pos\nr0,0.25,0.75\n", "c.csv")
    assert "`columns: {id: ''}`" in refused(nameless, ("neg", "pos"), ["r0"])
    assert read(nameless, ("neg", "pos"), ["r0"], columns={"id": ""}) == [[0.25, 0.75]]
    sheet = text(tmp_path, "id;label;score\nr0;pos;0.75\n", "d.csv")
    assert read(sheet, ("neg", "pos"), ["r0"]) == [[0.25, 0.75]]
    packed = text(tmp_path, b"x" * 257 + b"ustar" + b"y" * 300, "e.tar")
    assert "tar archive; unpack it" in refused(packed, ("neg", "pos"), ["r0"])


# --- formats by name


def test_two_formats_that_fit_are_a_question_with_both_lines(tmp_path, monkeypatch):
    path = text(tmp_path, "labels 1 2\n1 0.75 0.25\n")
    twin = TOOLS["libsvm"].__class__(**{**_fields("libsvm"), "name": "twin", "title": "Twin"})
    monkeypatch.setitem(TOOLS, "twin", twin)
    message = refused(path, ("1", "2"), ["0"], 1)
    assert "LIBSVM, LIBLINEAR (its first line is 'labels 1 2') and Twin" in message
    assert "`format: libsvm` or `format: twin`" in message
    assert read(path, ("1", "2"), ["0"], 1, format="twin") == [[0.75, 0.25]]


def _fields(name: str) -> dict:
    return {field: getattr(TOOLS[name], field) for field in TOOLS[name].__dataclass_fields__}


@pytest.mark.parametrize("wanted", sorted(TOOLS))
@pytest.mark.parametrize("content", ["", "id,label\nr0,pos\n", "x\n", "[]", '{"id": "r0"}\n', "1 2\n", "[1]\n", "\n\n"])
def test_a_format_that_does_not_fit_is_refused_in_a_sentence(tmp_path, wanted, content):
    path = text(tmp_path, content, "a.csv")
    assert str(path) in refused(path, ("neg", "pos"), ["r7"], format=wanted)


def test_a_tool_knows_only_the_beginning_and_its_own_files():
    for name, wanted, *_ in RIGHT:
        content = (WRITTEN / name).read_text()
        seen = [tool.name for tool in TOOLS.values() if tool.looks_like(_text(content))]
        assert seen == [wanted]
    assert FORMATS[:2] == ("auto", "table")


def _text(content: str):
    from overproof.answers.form import Text

    return Text(Path("x"), content)


# --- the command


def test_the_command_shows_how_a_file_is_read(capsys):
    path = WRITTEN / "vowpal_wabbit.txt"
    main(["answers", str(path), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert (found["format"], found["tool"], found["num_rows"]) == ("vowpal_wabbit", "Vowpal Wabbit", 4)
    assert found["classes"] == ["1", "2", "3"]
    assert found["rows"][0] == {
        "id": "id-1",
        "label": "1",
        "probs": pytest.approx({"1": 0.923, "2": 0.035, "3": 0.042}, abs=1e-3),
    }
    assert found["left_out"] == {"they have no id": 1}
    main(["answers", str(WRITTEN / "lightgbm_2_classes.txt"), "--classes", "no,yes"])
    said = capsys.readouterr().out
    assert "write     align: rows" in said
    assert "0: no  (no 0.8745, yes 0.1252)" in said


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["sklearn_tuned_threshold.csv"], "the label is not the likeliest class"),
        (["none.csv"], "There is no file"),
        (["weka.csv", "--format", "wekka"], "did you mean 'weka'"),
        (["weka.csv", "--classes", "a"], "at least two different names"),
        (["weka.csv", "--format", "libsvm"], "row 1"),
        (["", "--format", "libsvm"], "is a folder"),
    ],
)
def test_what_cannot_be_read_ends_the_command_with_a_sentence(words, what, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["answers", str(WRITTEN / words[0]), *words[1:]])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert what in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("name", sorted({row[0] for row in RIGHT}))
def test_answers_in_another_encoding_are_refused_with_the_line(name, tmp_path):
    content = (WRITTEN / name).read_bytes().rstrip(b"\r\n")
    line = content.count(b"\n") + 2
    path = text(tmp_path, content + "\ncafé".encode("latin-1"), name)
    found = refused(path, ("a", "b"), ["1"])
    assert f"is not UTF-8 in line {line}; save the file as UTF-8 (of WINDOWS-1252: iconv" in found
    path = text(tmp_path, content.decode().encode("utf-16") + b"\x00\xd8", name)
    assert re.search(r"is not UTF-16 at byte|not UTF-8 \(|is not a file of answers", refused(path, ("a", "b"), ["1"]))
