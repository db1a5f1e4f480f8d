"""Files of answers as other tools write them are read right, or refused in one sentence that names what was seen."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

import overproof
from overproof.answers.files import read_all_answers, read_answers, vote_counts
from overproof.answers.names import is_answer
from overproof.answers.order import check_order, share_below
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from
from overproof.synthetic import blobs
from overproof.teachers.brought.answer_files import from_files

POSNEG = ("neg", "pos")
ABC = ("a", "b", "c")


def lines(folder: Path, *rows: dict, name: str = "a.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def text(folder: Path, content: str, name: str = "a.csv") -> Path:
    path = folder / name
    path.write_text(content)
    return path


def probs_of(path, keys, classes, **more) -> list:
    return np.asarray(read_answers(path, pa.array(keys), classes, **more).probs().double()).round(3).tolist()


def refused(path, keys, classes, **more) -> str:
    with pytest.raises(InputError) as caught:
        read_answers(path, pa.array(keys), classes, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- lists


ZERO_SHOT = [
    {"id": "r0", "labels": ["neg", "pos"], "scores": [0.75, 0.25]},
    {"id": "r1", "labels": ["pos", "neg"], "scores": [0.625, 0.375]},
    {"id": "r2", "labels": ["pos", "neg"], "scores": [1.0, 0.0]},
]
RIGHT = [[0.75, 0.25], [0.375, 0.625], [0.0, 1.0]]
KEYS = ["r0", "r1", "r2"]


@pytest.mark.parametrize("words", ["labels", "classes", "top_labels", "candidate_labels"])
@pytest.mark.parametrize("numbers", ["scores", "probs", "probabilities"])
def test_ranked_labels_with_numbers_are_a_distribution(tmp_path, words, numbers):
    rows = [{"id": row["id"], words: row["labels"], numbers: row["scores"], "sequence": "x"} for row in ZERO_SHOT]
    path = lines(tmp_path, *rows)
    assert probs_of(path, KEYS, POSNEG) == RIGHT
    assert vote_counts(path, POSNEG) is None
    assert np.asarray(read_all_answers(path)[0].probs()).round(3).tolist() == RIGHT


def test_lists_of_objects_as_a_pipeline_returns_them(tmp_path):
    rows = [
        {
            "id": row["id"],
            "output": [{"label": a, "score": b} for a, b in zip(row["labels"], row["scores"], strict=True)],
        }
        for row in ZERO_SHOT
    ]
    assert probs_of(lines(tmp_path, *rows), KEYS, POSNEG) == RIGHT


def test_scores_of_several_labels_at_once_are_no_distribution(tmp_path):
    rows = [{"id": key, "labels": ["neg", "pos"], "scores": [0.9, 0.8]} for key in KEYS]
    assert "sum to 1.7" in refused(lines(tmp_path, *rows), KEYS, POSNEG)
    rows = [{"id": key, "labels": ["neg", "pos"], "scores": [0.3, 0.2]} for key in KEYS]
    assert "sum to 0.5" in refused(lines(tmp_path, *rows), KEYS, POSNEG)


def test_a_ranking_without_numbers_is_no_vote(tmp_path):
    rows = [{"id": row["id"], "labels": row["labels"]} for row in ZERO_SHOT]
    assert "a ranking and no votes" in refused(lines(tmp_path, *rows), KEYS, POSNEG)
    rows[0]["labels"] = ["neg", "neg"]
    assert probs_of(lines(tmp_path, *rows), KEYS, POSNEG) == [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]]


def test_lists_whose_order_is_unknown_are_refused(tmp_path):
    assert "no list of the classes in its order" in refused(
        lines(tmp_path, *({"id": key, "scores": [0.5, 0.5]} for key in KEYS)), KEYS, POSNEG
    )
    both = [{"id": key, "probs": [0.5, 0.5], "scores": [0.25, 0.75]} for key in KEYS]
    assert "'probs' and 'scores'" in refused(lines(tmp_path, *both), KEYS, POSNEG)


# --- a label and a number


@pytest.mark.parametrize("number", ["score", "probability", "prob", "confidence"])
@pytest.mark.parametrize("label", ["label", "prediction", "Predicted Class"])
@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet", ".feather", ".arrow"])
def test_the_number_beside_a_label_is_its_probability(tmp_path, number, label, suffix):
    columns = {"id": KEYS, label: ["pos", "neg", "pos"], number: [0.75, 0.625, 1.0]}
    path = tmp_path / f"a{suffix}"
    if suffix == ".jsonl":
        lines(tmp_path, *(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)))
    elif suffix == ".parquet":
        pq.write_table(pa.table(columns), path)
    elif suffix == ".feather":
        pyarrow.feather.write_feather(pa.table(columns), path)
    elif suffix == ".arrow":
        # As a stream, which begins otherwise than a file.
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, pa.table(columns).schema) as stream:
            stream.write_table(pa.table(columns))
    else:
        mark = "\t" if suffix == ".tsv" else ","
        rows = [columns, *zip(*columns.values(), strict=True)]
        path.write_text("".join(mark.join(map(str, row)) + "\n" for row in rows))
    assert probs_of(path, KEYS, POSNEG) == [[0.25, 0.75], [0.625, 0.375], [0.0, 1.0]]


def test_of_more_classes_the_rest_is_unknown(tmp_path):
    rounded = lines(tmp_path, {"id": "r0", "label": "b", "score": 1.00001})
    assert probs_of(rounded, ["r0"], ABC) == [[0, 1, 0]]
    assert "confidence is 1.2" in refused(lines(tmp_path, {"id": "r0", "label": "b", "score": 1.2}), ["r0"], ABC)
    path = lines(tmp_path, {"id": "r0", "label": "b", "score": 0.5})
    assert probs_of(path, ["r0"], ABC) == [[0.25, 0.5, 0.25]]
    assert "must lie between 1/3" in refused(lines(tmp_path, {"id": "r0", "label": "b", "score": 0.2}), ["r0"], ABC)
    assert "must lie between 1/2" in refused(
        lines(tmp_path, {"id": "r0", "label": "neg", "score": 0.03}), ["r0"], POSNEG
    )


def test_a_logarithm_beside_a_label(tmp_path):
    def of(probability, classes):
        path = lines(tmp_path, {"id": "r0", "label": "b", "logprob": float(np.log(probability))})
        return probs_of(path, ["r0"], classes)

    assert of(0.75, ("a", "b")) == [[0.25, 0.75]]
    # As of the logarithms of several classes: no class gets more than the one that is named.
    assert of(0.5, ABC) == [[0.25, 0.5, 0.25]]
    # .6 are missing to two classes; .4 each would be as much as the label has: the row is not divided evenly.
    assert of(0.4, ABC) == [[0.3, 0.4, 0.3]]
    low = lines(tmp_path, {"id": "r0", "label": "b", "logprob": float(np.log(0.3))})
    assert "a probability of 0.3; above 1/3 is needed" in refused(low, ["r0"], ABC)


# --- a label beside probabilities

TUNED = "id,label,0,1\n0,0,0.75,0.25\n1,1,0.625,0.375\n2,1,0.125,0.875\n3,1,0.75,0.25\n"


def test_a_label_that_is_not_the_likeliest_class_is_refused_until_the_user_says_which_counts(tmp_path):
    path, keys = text(tmp_path, TUNED), ["0", "1", "2", "3"]
    message = refused(path, keys, ("0", "1"))
    assert "in 2 of 4 rows the label is not the likeliest class" in message
    assert "the first is row 1 (counted from 0), label '1' beside '0'" in message
    assert "`answer_from: probabilities` or `answer_from: label`" in message
    probs = [[0.75, 0.25], [0.625, 0.375], [0.125, 0.875], [0.75, 0.25]]
    assert probs_of(path, keys, ("0", "1"), answer_from="probabilities") == probs
    labels = [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]
    assert probs_of(path, keys, ("0", "1"), answer_from="label") == labels
    # They are counted in all of the file.
    assert "in 2 of 4 rows" in refused(path, ["3"], ("0", "1"))
    # Rows that agree need no word.
    assert probs_of(path, ["0", "2"], ("0", "1")) == [probs[0], probs[2]]
    without = text(tmp_path, "id,0,1\n0,0.75,0.25\n")
    assert "no column of that name" in refused(without, ["0"], ("0", "1"), answer_from="label")


def test_h2o_names_classes_that_are_numbers_with_a_p(tmp_path):
    binary = text(tmp_path, '"id","predict","p0","p1"\n"r0","0",0.75,0.25\n"r1","1",0.25,0.75\n')
    assert probs_of(binary, ["r1", "r0"], ("0", "1")) == [[0.25, 0.75], [0.75, 0.25]]
    mixed = text(tmp_path, '"id","predict","p1","2 b","a-1"\n"r0","2 b",0.25,0.5,0.25\n"r1","a-1",0.25,0.5,0.25\n')
    assert "label 'a-1' beside '2 b'" in refused(mixed, ["r0", "r1"], ("2 b", "a-1", "p1"))
    calibrated = text(tmp_path, "id,predict,p0,p1,cal_p0,cal_p1\nr0,0,0.75,0.25,0.5,0.5\n")
    assert "'cal_p0' and 'cal_p1' beside a column for each class" in refused(calibrated, ["r0"], ("0", "1"))
    no_ids = text(tmp_path, '"predict","p0","p1"\n"0",0.75,0.25\n')
    assert "no column 'id' for the ids, as H2O writes it" in refused(no_ids, ["r0"], ("0", "1"))


@pytest.mark.parametrize(
    ("row", "unread"),
    [
        ({"label": "pos", "prob_pos": 0.75, "prob_neg": 0.25}, "'prob_pos' and 'prob_neg' beside label"),
        ({"label": "pos", "Label": "neg"}, "'Label' beside label"),
        ({"label": "pos", "prediction": "neg"}, "'prediction' beside label"),
        ({"label": "pos", "scores": {"pos": 0.5}}, "'scores' beside label"),
        ({"pos": 0.75, "neg": 0.25, "answer": "neg", "predict": "pos"}, "'answer' and 'predict'"),
        ({"label": "pos", "annotator": "x", "score": 0.75}, "'confidence' beside label and annotator"),
        ({"labels": ["pos", "pos"], "label": "neg"}, "'label' beside labels"),
        ({"label": "pos", "score": 0.75, "logprob": -0.3}, "'score' and 'logprob'"),
        ({"probs": [0.25, 0.75], "label": "pos", "logprob": -0.3}, "'logprob' beside probs"),
        ({"pos": 0.75, "neg": 0.25, "confidence": 0.9}, "a confidence of 0.9 stands beside"),
        ({"pos": 0.75, "neg": 0.25, "label": "pos", "confidence": 0.9}, "a confidence of 0.9 stands beside"),
    ],
)
def test_no_column_that_is_an_answer_by_its_name_is_ignored(tmp_path, row, unread):
    assert unread in refused(lines(tmp_path, {"id": "r0", **row}), ["r0"], POSNEG)


def test_columns_that_are_no_answers_are_ignored(tmp_path):
    row = {"id": "r0", "pos": 0.75, "neg": 0.25, "label": "pos", "confidence": 0.75, "seconds": 3.5, "model": "m"}
    more = {"answer_time": 3, "true_label": "neg", "text": "x", "score_source": "y"}
    assert probs_of(lines(tmp_path, {**row, **more}), ["r0"], POSNEG) == [[0.25, 0.75]]
    assert not any(is_answer(name) for name in more)
    assert all(is_answer(name) for name in ("classId", "SCORE", "log_prob", "y_pred", "score.neg", "top_classes"))


# --- labels of annotation tools


def test_a_list_of_one_label_is_the_label(tmp_path):
    path = lines(tmp_path, {"id": "r0", "text": "x", "label": ["pos"]}, {"id": "r1", "text": "y", "label": ["neg"]})
    assert probs_of(path, ["r1", "r0"], POSNEG) == [[1.0, 0.0], [0.0, 1.0]]
    two = lines(tmp_path, {"id": "r0", "label": ["pos"]}, {"id": "r1", "label": ["neg", "pos"]})
    assert "row 1 (counted from 0): label names 2 classes" in refused(two, ["r0"], POSNEG)
    none = lines(tmp_path, {"id": "r0", "label": ["pos"]}, {"id": "r1", "label": []})
    assert "no answer for 1 of the 2 examples of pool (empty (1)); the first is row 1" in refused(
        none, ["r0", "r1"], POSNEG
    )


def test_rejected_and_ignored_rows_of_prodigy_are_no_labels(tmp_path):
    rows = [
        {"id": "r0", "text": "x", "label": "pos", "answer": "accept"},
        {"id": "r1", "text": "x", "label": "pos", "answer": "reject"},
        {"id": "r2", "text": "x", "label": "neg", "answer": "ignore"},
    ]
    path = lines(tmp_path, *rows)
    assert probs_of(path, ["r0"], POSNEG) == [[0.0, 1.0]]
    message = refused(path, KEYS, POSNEG)
    assert "no answer for 2 of the 3" in message
    assert "2 rows of the file are no answers: their `answer` is reject or ignore" in message
    options = [{"id": "pos", "text": "pos"}, {"id": "neg", "text": "neg"}]
    chosen = lines(tmp_path, {"id": "r0", "options": options, "accept": ["neg"], "answer": "accept"})
    assert probs_of(chosen, ["r0"], POSNEG) == [[1.0, 0.0]]


def test_skipped_rows_of_label_studio_are_no_votes(tmp_path):
    header = "annotation_id,annotator,id,label,lead_time\n"
    rows = "10,a1,r0,pos,3\n20,a1,r1,pos,3\n21,a2,r1,neg,3\n40,a1,r2,,3\n,,r3,,\n"
    path = text(tmp_path, header + rows)
    assert probs_of(path, ["r0", "r1"], POSNEG) == [[0.0, 1.0], [0.5, 0.5]]
    message = refused(path, ["r0", "r2"], POSNEG)
    assert "(1 row of the file is no answer: the annotation is empty) (1 row of" in message
    assert "the task was never opened)" in message
    assert vote_counts(path, POSNEG) == (1.5, 0.5)


def test_crowd_kit_is_read_by_its_id_column(tmp_path):
    path = text(tmp_path, "task,cat,zebra,ape\nt13,1.0,1e-10,1e-10\nt15,0.25,0.75,1e-10\n")
    assert probs_of(path, ["t15", "t13"], ("ape", "cat", "zebra"), id_column="task") == [[0, 0.25, 0.75], [0, 1, 0]]
    assert probs_of(path, ["t15", "t13"], ("ape", "cat", "zebra")) == [[0, 0.25, 0.75], [0, 1, 0]]


def test_class_numbers_of_datasets_have_their_names(tmp_path):
    features = {"label": {"names": ["pos", "neg"], "_type": "ClassLabel"}}
    table = pa.table({"id": KEYS, "label": pa.array([0, 1, 0])})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    pq.write_table(table, tmp_path / "a.parquet")
    assert probs_of(tmp_path / "a.parquet", KEYS, POSNEG) == [[0, 1], [1, 0], [0, 1]]


# --- rounding


def test_rounded_probabilities_are_tolerated_by_their_decimals(tmp_path):
    rows = "r0,0.905,0.008,0.086\nr1,0.333,0.333,0.333\nr2,1,0,0\n"
    found = read_answers(text(tmp_path, "id,a,b,c\n" + rows), pa.array(KEYS), ABC).probs()
    assert np.allclose(found.sum(dim=1), 1, atol=1e-3)
    assert np.allclose(found[0], [0.905 / 0.999, 0.008 / 0.999, 0.086 / 0.999], atol=2e-3)
    # Two decimals: .015 for three classes.
    assert probs_of(text(tmp_path, "id,a,b,c\nr0,0.33,0.33,0.33\n"), ["r0"], ABC) == [[0.333, 0.333, 0.333]]
    assert "sum to 0.98" in refused(text(tmp_path, "id,a,b,c\nr0,0.33,0.33,0.32\n"), ["r0"], ABC)
    # Three decimals in the file: .0015.
    assert "sum to 0.99" in refused(
        text(tmp_path, "id,a,b,c\nr0,0.33,0.33,0.33\nr1,0.125,0.5,0.375\n"), ["r0", "r1"], ABC
    )
    assert "sum to 2" in refused(text(tmp_path, "id,a,b,c\nr0,1,1,0\n"), ["r0"], ABC)


def test_two_columns_of_one_name_are_refused(tmp_path):
    assert "more than one column called 'label'" in refused(
        text(tmp_path, "id,label,label\nr0,pos,neg\n"), ["r0"], POSNEG
    )


# --- several files


def test_each_of_several_files_may_hold_a_part(tmp_path):
    first = lines(tmp_path, {"id": "r2", "label": "pos"}, {"id": "r0", "label": "neg"}, name="a.jsonl")
    second = text(tmp_path, "id,neg,pos\nr1,0.25,0.75\n", "b.csv")
    assert probs_of([first, second], KEYS, POSNEG) == [[1, 0], [0.25, 0.75], [0, 1]]
    answers = read_answers([str(first), str(second)], pa.array(KEYS), POSNEG)
    again = read_answers([second, first], pa.array(KEYS), POSNEG)
    assert answers.id_word.tolist() == again.id_word.tolist()
    message = refused([first, second], [*KEYS, "r3"], POSNEG)
    assert "a.jsonl and " in message
    assert "b.csv have no answer for 1 of the 4 examples of pool; the first is row 3" in message


def test_an_unknown_class_in_one_of_several_files_is_named(tmp_path):
    first = lines(tmp_path, {"id": "r0", "label": "owl"}, name="a.jsonl")
    second = lines(tmp_path, {"id": "r1", "label": "pos"}, name="b.jsonl")
    message = refused([first, second], KEYS[:2], POSNEG)
    assert "a.jsonl and " in message
    assert "no answer for 1 of the 2 examples of pool ('owl' (1))" in message


def test_two_files_may_repeat_an_answer_but_not_contradict_it(tmp_path):
    first = lines(tmp_path, {"id": "r0", "label": "neg"}, {"id": "r1", "label": "pos"}, name="a.jsonl")
    second = lines(tmp_path, {"id": "r1", "label": "pos"}, {"id": "r2", "label": "pos"}, name="b.jsonl")
    assert probs_of([first, second], KEYS, POSNEG) == [[1, 0], [0, 1], [0, 1]]
    second = lines(tmp_path, {"id": "r1", "label": "neg"}, {"id": "r2", "label": "pos"}, name="b.jsonl")
    message = refused([first, second], KEYS, POSNEG)
    assert "b.jsonl answers 1 of the examples of pool otherwise than" in message
    assert "the first is 'r1'" in message


# --- the order of lists


def listed(folder: Path, order: list[int], right: float, num: int = 60, num_classes: int = 3):
    """Examples with labels and a file of lists, in which class i stands at place order[i]."""
    draw = np.random.default_rng(0)
    label = draw.integers(num_classes, size=num)
    named = np.where(draw.random(num) < right, label, draw.integers(num_classes, size=num))
    probs = np.full((num, num_classes), 0.5 / (num_classes - 1))
    probs[np.arange(num), np.asarray(order)[named]] = 0.5
    rows = [{"id": str(i), "probs": row.tolist()} for i, row in enumerate(probs)]
    names = tuple("abcdefgh"[:num_classes])
    examples = from_arrays(
        [f"text {i}" for i in range(num)], label, class_names=names, keys=[str(i) for i in range(num)]
    )
    return lines(folder, *rows), {"labelled": examples}, names


def test_lists_in_another_order_of_the_classes_are_refused_with_both(tmp_path):
    path, parties, names = listed(tmp_path, [1, 2, 0], right=0.9)
    with pytest.raises(InputError) as caught:
        from_files([str(path)], parties, names)
    message = str(caught.value)
    assert "a.jsonl: read in the order a, b, c" in message
    assert "in the order c, a, b they are right" in message
    assert "`classes: [c, a, b]`" in message
    found = from_files([str(path)], parties, names, classes=("c", "a", "b"))
    assert (found["labelled"].pseudo_label == parties["labelled"].label).double().mean() > 0.8
    with pytest.raises(InputError, match=r"in the order c, a, b they are right"):
        from_files([str(path)], parties, names, classes=("b", "a", "c"))


@pytest.mark.parametrize("right", [1.0, 0.5, 0.2, 0.0])
def test_lists_in_the_right_order_are_read_however_weak_the_teacher(tmp_path, right):
    path, parties, names = listed(tmp_path, [0, 1, 2], right)
    assert len(from_files([str(path)], parties, names)["labelled"]) == 60


def test_answers_with_names_are_never_judged_by_their_order(tmp_path):
    path, parties, names = listed(tmp_path, [1, 2, 0], right=0.9)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    named = lines(tmp_path, *({"id": row["id"], "probs": dict(zip(names, row["probs"], strict=True))} for row in rows))
    assert len(from_files([str(named)], parties, names)["labelled"]) == 60


def test_chance_is_no_renaming():
    draw = np.random.default_rng(0)
    names = tuple(map(str, range(10)))
    for num in (10, 20, 50):
        for _ in range(50):
            check_order(draw.integers(10, size=num), draw.integers(10, size=num), names, names, "a.jsonl")
    two = tuple("ab")
    assert share_refused(0.5, 12, turned=False) <= 0.01
    label = draw.integers(2, size=12)
    with pytest.raises(InputError, match="right for 0 of 12"):
        check_order(1 - label, label, two, two, "a.jsonl")


def share_refused(right, num, turned, positive=0.5, draws=400):
    draw, refused = np.random.default_rng(0), 0
    for _ in range(draws):
        label = (draw.random(num) < positive).astype(int)
        named = np.where(draw.random(num) < right, label, 1 - label)
        try:
            check_order(1 - named if turned else named, label, ("no", "yes"), ("no", "yes"), "a.jsonl")
        except InputError:
            refused += 1
    return refused / draws


def test_two_classes_that_are_turned_round_are_refused_for_a_weak_teacher_too():
    assert share_refused(0.71, 60, turned=True) > 0.7
    assert share_refused(0.71, 120, turned=True) > 0.95
    assert share_refused(0.71, 120, turned=True, positive=0.2) > 0.92
    # A teacher that guesses is taken for one that is turned round in one of 100 data sets.
    assert share_refused(0.5, 60, turned=False) <= 0.02
    assert share_refused(0.5, 200, turned=False, positive=0.2) <= 0.02
    assert share_refused(0.6, 60, turned=False) == share_refused(0.71, 120, turned=False) == 0


def test_the_exact_test_is_fishers():
    from scipy.stats import fisher_exact

    draw = np.random.default_rng(0)
    for _ in range(30):
        table = draw.integers(0, 9, (2, 2))
        expected = fisher_exact(table, alternative="less").pvalue
        num_named, num_labelled = int(table[0].sum()), int(table[:, 0].sum())
        found = share_below(int(table[0, 0]), int(table.sum()), num_named, num_labelled)
        assert found == pytest.approx(expected)


def test_a_teacher_that_names_the_rare_class_too_often_is_not_turned_round():
    """A screening test: it is right on 28 %, and twice as often positive where that is right."""
    label = np.repeat([1, 0], [20, 180])
    named = np.concatenate([np.repeat([1, 0], [18, 2]), np.repeat([1, 0], [142, 38])])
    assert (named == label).mean() == 0.28
    check_order(named, label, ("no", "yes"), ("no", "yes"), "a.jsonl")
    with pytest.raises(InputError, match=r"read in the order no, yes, the probabilities are right for 42 of 200"):
        check_order(np.repeat([0, 1, 0], [18, 142, 40]), np.repeat([1, 0], [20, 180]), *[("no", "yes")] * 2, "a.jsonl")


def test_arrays_of_probabilities_in_another_order_are_refused():
    world = blobs(num_examples=200, num_classes=3, seed=0)
    turned = world.teacher_probs[:, [1, 2, 0]]
    with pytest.raises(InputError, match=r"in the order 1, 2, 0 they are right.*Put the columns of both arrays"):
        overproof.distill(
            "linear", world.inputs[60:], turned[60:], world.inputs[:60], world.label[:60], turned[:60], method="hard"
        )


def test_a_run_is_refused_before_anything_is_written(tmp_path):
    draw = np.random.default_rng(0)
    names = [("a", "b", "c")[i] for i in draw.integers(3, size=300)]
    words = {"a": "red", "b": "green", "c": "blue"}
    rows = [f"r{i},{words[y]} {i % 97} {i % 31},{y}\n" for i, y in enumerate(names)]
    text(tmp_path, "id,text,y\n" + "".join(rows), "data.csv")
    lists = [{"id": f"r{i}", "probs": [0.2 + 0.6 * (y == name) for name in "cab"]} for i, y in enumerate(names)]
    options = {
        "data": {
            "files": {"all": {"path": str(tmp_path / "data.csv"), "input": "text", "label": "y", "id": "id"}},
            "rows": {"labelled": 60, "pool": 150, "test": 60},
        },
        "teacher": {
            "answers": str(lines(tmp_path, *({**row, "probs": [p / 1.2 for p in row["probs"]]} for row in lists)))
        },
        "student": {"name": "ngram"},
        "train": {"epochs": 1},
        "methods": ["hard"],
        "seeds": [0],
    }
    with pytest.raises(InputError, match=r"in the order c, a, b they are right for 60"):
        overproof.run(experiment_from(options), tmp_path / "run")
    assert not (tmp_path / "run").exists()
    options["teacher"]["classes"] = ["c", "a", "b"]
    assert overproof.run(experiment_from(options), tmp_path / "run").rows[0].metrics["accuracy"] == 1
