"""`overproof.distill` takes data as people have it in Python, and its student answers in the same words."""

import numpy as np
import pyarrow as pa
import pytest
import torch
from sklearn.linear_model import LogisticRegression

import overproof
from overproof import TrainOptions
from overproof.errors import InputError
from overproof.methods.published import method_given
from overproof.models import load_student
from overproof.synthetic import blobs

NAMES = np.array(["cat", "dog", "eel"])
NUM_LABELLED = 60
QUICK = TrainOptions(epochs=3, learning_rate=0.1)


@pytest.fixture(scope="module")
def world():
    return blobs(num_examples=240, num_classes=3, seed=0)


@pytest.fixture(scope="module")
def few(world):
    """Class names, None where the label is not known."""
    return [name if row < NUM_LABELLED else None for row, name in enumerate(NAMES[world.label])]


@pytest.fixture(scope="module")
def table(world):
    """Numbers and words, both with gaps, and dates."""
    numbers = world.inputs.numpy()
    return pa.table(
        {
            "size": pa.array(numbers[:, 0], mask=np.arange(240) % 40 == 3),
            "width": numbers[:, 1],
            "colour": pa.array(np.where(numbers[:, 0] > 0, "red", "blue"), mask=np.arange(240) % 60 == 5),
            "day": np.datetime64("2026-01-01") + np.arange(240),
        }
    )


@pytest.fixture(scope="module")
def probs(world):
    return pa.table(dict(zip(NAMES, world.teacher_probs.T.numpy(), strict=True)))


def distil(inputs, answers, labels, **options):
    return overproof.distill("linear", inputs, answers, labels=labels, method="hard", train=QUICK, **options)


def test_one_frame_of_which_some_rows_have_a_label_is_that_of_two(table, probs, few):
    one = distil(table, probs, few)
    rows = slice(0, NUM_LABELLED)
    two = overproof.distill(
        "linear", table[NUM_LABELLED:], probs[NUM_LABELLED:], table[rows], few[rows], probs[rows], method="hard",
        train=QUICK,
    )  # fmt: skip
    assert (one.num_labelled, one.num_pool) == (NUM_LABELLED, 180)
    assert torch.equal(one.student.logits(table), two.student.logits(table))
    named = distil(table.append_column("animal", pa.array(few)), probs, "animal")
    assert torch.equal(named.student.logits(table), one.student.logits(table))
    assert "size" in [column.name for column in one.student.encoder.columns]
    assert any("missing in column 'size' in 6, 'colour' in 4 of 240 rows" in finding for finding in one.findings)


@pytest.mark.parametrize("unknown", [None, float("nan"), -1])
def test_every_way_to_say_that_a_label_is_not_known(world, few, probs, unknown):
    words = np.array([unknown if name is None else name for name in few], object)
    by_name = distil(world.inputs, probs, words)
    numbers = [-1 if unknown is None and name is None else unknown if name is None else int(label)
               for name, label in zip(few, world.label, strict=True)]  # fmt: skip
    by_number = distil(world.inputs, world.teacher_probs, numbers)
    assert torch.equal(by_name.student.logits(world.inputs), by_number.student.logits(world.inputs))
    assert by_name.student.class_names == tuple(NAMES)
    assert by_number.student.class_names == ("0", "1", "2")


def test_answers_that_are_classes(world, few):
    answered = world.teacher_probs.argmax(dim=1)
    by_name = distil(world.inputs, list(NAMES[answered]), few)
    sure = pa.table(dict(zip(NAMES, torch.nn.functional.one_hot(answered, 3).float().T.numpy(), strict=True)))
    assert torch.equal(
        by_name.student.logits(world.inputs), distil(world.inputs, sure, few).student.logits(world.inputs)
    )
    numbers = [-1 if name is None else int(label) for name, label in zip(few, world.label, strict=True)]
    by_number = distil(world.inputs, answered, numbers)
    assert torch.equal(by_number.student.logits(world.inputs), by_name.student.logits(world.inputs))


def test_labels_without_an_answer_are_trained_on_and_say_nothing_of_the_teacher(world, few):
    answers = list(NAMES[world.teacher_probs.argmax(dim=1)])
    gone = [None if row in (0, 7) else answer for row, answer in enumerate(answers)]
    # The student of `hard` learns from a labelled row its label alone.
    whole, left = distil(world.inputs, answers, few), distil(world.inputs, gone, few)
    assert torch.equal(whole.student.logits(world.inputs), left.student.logits(world.inputs))
    assert left.findings[0] == (
        "teacher_probs: 2 of 240 rows have no answer (None (2)); 2 keep their label, which the student is trained "
        "on, and the teacher's errors are estimated on the other 58 with a label."
    )
    # The same rules as for files: words that are no class, another case, full stops; rows of NaN among probabilities.
    blank = ["unknown" if row == 7 else answer or "" for row, answer in enumerate(gone)]
    stops = [f" {answer.upper()}." if answer else "Trend" for answer in gone]
    sure = torch.nn.functional.one_hot(world.teacher_probs.argmax(dim=1), 3).float()
    sure[[0, 7]] = float("nan")
    frame = pa.table(dict(zip(NAMES, [pa.array(each.numpy(), from_pandas=True) for each in sure.T], strict=True)))
    for given, words in (
        (blank, "empty (1), 'unknown' (1)"),
        (stops, "'Trend' (2)"),
        (frame, "NaN (2)"),
        (pa.array(gone), "None (2)"),
    ):
        made = distil(world.inputs, given, few)
        assert torch.equal(made.student.logits(world.inputs), left.student.logits(world.inputs))
        assert made.findings[0].startswith(f"teacher_probs: 2 of 240 rows have no answer ({words}); 2 keep their")
        spelled = [each for each in made.findings if "238 answers spell a class otherwise" in each]
        assert len(spelled) == (given is stops)
    pair = [world.inputs[NUM_LABELLED:], answers[NUM_LABELLED:], world.inputs[:NUM_LABELLED], few[:NUM_LABELLED]]
    for given in (gone, blank, sure):
        two = overproof.distill("linear", *pair, given[:NUM_LABELLED], method="hard", train=QUICK)
        assert torch.equal(two.student.logits(world.inputs), left.student.logits(world.inputs))
        assert two.findings[0].startswith("labelled_teacher_probs: 2 of 60 rows have no answer (")
    some = [row for row in range(240) if row not in (0, 7)]
    estimated, without = (
        overproof.distill("linear", inputs, given, labels=labels, method="slam_auto", train=QUICK).noise.summary()
        for inputs, given, labels in (
            (world.inputs, gone, few),
            (world.inputs[some], [answers[row] for row in some], [few[row] for row in some]),
        )
    )
    assert estimated == without
    taught = overproof.distill("linear", world.inputs, gone, labels=few, method="born_again", train=QUICK)
    assert taught.num_labelled == 58
    assert "The method learns from the teacher's answers to labelled examples" in taught.findings[1]
    none = [None if row < NUM_LABELLED else answer for row, answer in enumerate(answers)]
    with pytest.raises(InputError, match="teacher_probs answers none of the 60 labelled examples, which show where"):
        distil(world.inputs, none, few)


def test_peer_rounds_and_a_search_where_some_labels_have_no_answer(world, few):
    answers = NAMES[world.teacher_probs.argmax(dim=1)]
    gone = np.where(np.arange(240) % 20 == 0, None, answers.astype(object))
    corrected = distil(world.inputs, gone, few, rounds=1)
    # Three of the labels have no answer; so have nine rows without a label.
    assert (corrected.num_labelled, corrected.num_pool) == (60, 171)
    assert corrected.rounds["records"][0]["peer"] > 0
    chosen = overproof.distill("linear", world.inputs, gone, labels=few, train=TrainOptions(epochs=1))
    assert (chosen.search.num_judged, chosen.search.regime) == (60, "hard labels")
    assert repr(chosen.search).startswith(f"SearchRecord({chosen.search.chosen!r}, from ")
    assert len(repr(chosen.search)) + len(repr(chosen.method)) + len(repr(chosen)) < 700
    starts = (f"auto chose {chosen.search.chosen}, from ", "The teacher gives hard labels only")
    assert all(any(each.startswith(start) for each in chosen.findings) for start in starts)


def test_texts_and_a_classifier(world, few):
    texts = [f"number {row} is {'low' if name == 'cat' else name}" for row, name in enumerate(NAMES[world.label])]
    made = overproof.distill("ngram", texts, list(NAMES[world.label]), labels=few, train=TrainOptions(epochs=1))
    assert set(made.student.predict(pa.chunked_array([texts]))) <= set(NAMES)
    fitted = distil(world.inputs.numpy(), LogisticRegression(), few)
    assert fitted.student.score(world.inputs, NAMES[world.label]) > 0.5


def test_a_student_answers_as_scikit_learn_does(world, table, probs, few, tmp_path):
    result = distil(table, probs, few)
    student = result.student
    assert student.classes_.tolist() == list(NAMES)
    truth = NAMES[world.label]
    predicted, proba = student.predict(table), student.predict_proba(table)
    assert (predicted == NAMES[proba.argmax(axis=1)]).all()
    assert student.score(table, truth) == pytest.approx((predicted == truth).mean())
    assert student.score(table, pa.array(truth)) == student.score(table, list(truth))
    numbered = distil(world.inputs, world.teacher_probs, np.where(np.arange(240) < 60, world.label, -1)).student
    assert numbered.predict(world.inputs).dtype == np.int64
    assert numbered.score(world.inputs, world.label) > 0.5
    for value in (result, student):
        assert len(repr(value)) < 250
    assert "60 labelled and 180 pool examples" in repr(result)
    student.save(tmp_path / "student")
    assert (load_student(tmp_path / "student").predict(table) == predicted).all()
    # Columns are taken by their names; others, such as the label, are not read.
    more = table.append_column("animal", pa.array(few)).append_column("list", pa.array([[1]] * 240))
    assert (student.predict(more.select(more.column_names[::-1])) == predicted).all()
    with pytest.raises(InputError, match="lacks the columns 'size' and has the extra columns 'Size'"):
        student.predict(table.rename_columns(["Size", "width", "colour", "day"]))
    with pytest.raises(InputError, match=r"labels, row 60 .*unknown"):
        student.score(table, few)
    with pytest.raises(InputError, match="240 examples and 3 labels"):
        student.score(table, truth[:3])
    gap = table.set_column(1, "width", pa.array([None, *table["width"].to_pylist()[1:]]))
    with pytest.raises(InputError, match=r"'width', row 0 .*where none was missing in training"):
        student.predict(gap)


def test_what_does_not_fit_is_said_of_the_argument(world, table, probs, few):
    sure = torch.nn.functional.one_hot(world.label, 3).float().numpy()
    refused = {
        "labels is None": (table, probs, None),
        "labels is 'animal'; pool has no such column": (table, probs, "animal"),
        "labels is 'animal', the name of a column, but pool is no data frame": (world.inputs, probs, "animal"),
        "labels: all are known, so there is no pool": (table, probs, list(NAMES[world.label])),
        "labels: none is known": (table, probs, [None] * 240),
        "The teacher's answers are one number a row, which is no class": (table, [0.5] * 240, few),
        "teacher_probs: none of 240 rows has an answer .'x' .240..; the classes are": (table, ["x"] * 240, few),
        "teacher_probs has 10 rows for 240 examples in pool": (table, probs[:10], few),
        "pool has 240 inputs but 3 labels": (table, probs, few[:3]),
        "pool has a missing value .* give a data frame": (np.full((240, 2), np.nan), probs, few),
    }
    for sentence, arguments in refused.items():
        with pytest.raises(InputError, match=sentence):
            distil(*arguments)
    refused = {
        "rounds is 9; 0 to 3 are allowed": {"rounds": 9},
        "held_out_share is 2; a share above 0": {"held_out_share": 2.0},
        "There is no option 'epoch'": {"train": {"epoch": 2}},
        "teacher_probs, row 70 .*sum to 2": {"teacher_probs": np.where(np.arange(240)[:, None] == 70, 2, 1) * sure},
    }
    for sentence, options in refused.items():
        with pytest.raises(InputError, match=sentence):
            overproof.distill(**{"student": "linear", "pool": table, "teacher_probs": probs, "labels": few,
                                 "class_names": list(NAMES), **options})  # fmt: skip
    with pytest.raises(InputError, match="has no text in row 1"):
        distil(["a", None, "b"], ["cat", "dog", "cat"], ["cat", "dog", None])
    with pytest.raises(InputError, match="labelled_teacher_probs goes with labelled"):
        distil(table, probs, few, labelled_teacher_probs=probs)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_their_libraries(library, table, probs, few):
    module = pytest.importorskip(library)
    convert = (lambda each: each.to_pandas()) if library == "pandas" else module.from_arrow
    frame, answers = convert(table), convert(probs)
    one = distil(frame, answers, module.Series(few))
    assert torch.equal(one.student.logits(table), distil(table, probs, few).student.logits(table))
    assert (one.student.predict(frame) == one.student.predict(table)).all()


WORDS = ["yes", "no"] * 30


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"teacher_probs": "llm"}, r"teacher_probs is the text 'llm'; .*give teacher_probs=frame\['llm'\]"),
        ({"labels": ["yes"] * 20 + [None] * 40}, r"labels: all are 'yes', so nothing says what the other classes are"),
        ({"labels": [None] * 60}, r"labels: none is known; some examples need a label"),
    ],
)
def test_what_is_no_answers_and_no_classes_is_refused_in_its_own_words(changed, said):
    given = {"pool": torch.randn(60, 2), "teacher_probs": WORDS, "labels": [*WORDS[:20], *[None] * 40]}
    with pytest.raises(InputError, match=said):
        overproof.distill("mlp", **{**given, **changed})


def test_a_list_is_no_method():
    with pytest.raises(InputError, match="method is of type list; give one name, such as method='auto'"):
        method_given(["slam"])
