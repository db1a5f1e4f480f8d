"""Parts of tools' files that decide what an answer is."""

import json

import pytest

from overproof.answers.shown import shown
from overproof.errors import InputError


def written(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def answers(path, **options):
    return [row["label"] for row in shown(path, **options).rows]


def scored(**probs):
    return [{"label": name, "score": prob} for name, prob in probs.items()]


def test_the_only_list_of_scores_in_an_object_is_a_pipelines(tmp_path):
    rows = [{"id": "r0", "output": scored(a=0.75, b=0.25)}, {"id": "r1", "output": scored(b=0.5, a=0.25, c=0.25)}]
    found = shown(written(tmp_path / "a.jsonl", *rows))
    assert (found.reading.seen.format, found.kind) == ("hugging_face", "probabilities of the likeliest classes")
    assert [(row["id"], row["label"]) for row in found.rows] == [("r0", "a"), ("r1", "b")]
    assert found.rows[1]["probs"] == {"a": 0.25, "b": 0.5, "c": 0.25}
    # Two of them: nothing says which is meant.
    twice = [{**row, "before": scored(a=0.5, b=0.5)} for row in rows]
    with pytest.raises(InputError):
        shown(written(tmp_path / "b.jsonl", *twice))
    with pytest.raises(InputError, match=r"row 0 .*it has neither `label` and `score` nor"):
        shown(tmp_path / "b.jsonl", wanted="hugging_face")


@pytest.mark.parametrize(
    ("lines", "classes", "expected"),
    [
        (["01", "02", "01"], (), ["01", "02", "01"]),  # codes keep their zeros
        (["01", "02", "01"], ("01", "02"), ["01", "02", "01"]),
        (["01", "02", "01"], ("1", "2"), ["1", "2", "1"]),
        (["1.0", "2.0", "1e0"], (), ["1", "2", "1"]),  # as numpy.savetxt writes whole numbers
        (["+1", "-1", "+1"], ("-1", "1"), ["1", "-1", "1"]),
        (["0", "2", "1"], ("x", "y", "z"), ["x", "z", "y"]),  # places
    ],
)
def test_whole_numbers_are_classes_as_they_are_written_or_places(tmp_path, lines, classes, expected):
    assert answers(written(tmp_path / "a.txt", *lines), classes=classes, wanted="numbers") == expected


def test_a_whole_number_that_is_no_place_is_named(tmp_path):
    for lines, row, word in ((["0", "3", "1"], 1, "3"), (["0", "-1", "5"], 1, "-1")):
        with pytest.raises(InputError, match=f"row {row} .*{word} is neither a class nor the place of one of 3"):
            shown(written(tmp_path / "a.txt", *lines), classes=("x", "y", "z"), wanted="numbers")


def test_argillas_suggestions_are_read_from_lists_and_objects_alike(tmp_path):
    record = {"id": "r0", "fields": {"text": "x"}, "metadata": {}, "responses": {}}
    listed = {**record, "suggestions": [{"question_name": "mood", "value": "pos", "score": 0.75, "agent": "m"}]}
    named = {**record, "suggestions": {"mood": {"value": "pos", "score": 0.75, "agent": "m"}}}
    for place, row in enumerate((listed, named)):
        found = shown(written(tmp_path / f"{place}.jsonl", row), classes=("neg", "pos"))
        assert found.reading.seen.format == "argilla"
        assert [each["label"] for each in found.rows] == ["pos"]
        assert found.rows[0]["probs"] == {"neg": 0.25, "pos": 0.75}


def test_answers_of_a_classifier_and_of_a_language_model_in_one_file_are_refused(tmp_path):
    image = {"instance": {"id": "r0"}, "prediction": {"displayNames": ["pos", "neg"], "confidences": [0.75, 0.25]}}
    path = written(tmp_path / "a.jsonl", image, {"instance": {"id": "r1"}, "prediction": "pos"})
    with pytest.raises(
        InputError, match=r"row 0 \(counted from 0\): predictions of a classifier and answers of a lang"
    ):
        shown(path, classes=("neg", "pos"), wanted="vertex")


def test_five_columns_that_are_no_class_are_named_and_more_are_counted_as_more(tmp_path):
    for num, end in ((5, r"'w4'\.$"), (6, r"'w4' …\.$")):
        names = [f"w{number}" for number in range(num)]
        rows = [key + ",0.125" * (num + 2) for key in "ab"]
        path = written(tmp_path / f"{num}.csv", ",".join(["id", "cat", "cow", *names]), *rows)
        with pytest.raises(InputError, match=r"No class is called 'w0', 'w1', 'w2', 'w3', " + end):
            shown(path, classes=("cat", "cow", "dog"))


def test_a_list_called_predictions_of_something_else_is_not_sagemakers(tmp_path):
    with pytest.raises(InputError, match="has 'predictions' beside label, and only one of them can be the answer"):
        shown(written(tmp_path / "a.jsonl", {"id": "r0", "label": "pos", "predictions": [1, 2]}))
