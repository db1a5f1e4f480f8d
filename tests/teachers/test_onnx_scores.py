"""What the scores of an ONNX file mean is decided by its graph and by all rows, or asked; compared with the tools."""

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pytest
import skl2onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.teachers import opened, remarks_of
from overproof.teachers.brought.onnx_graph import read_graph

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(80, 3)).astype(np.float32)
TWO = (X[:, 0] + 0.5 * DRAW.normal(size=80) > 0).astype(int)
THREE = TWO + (X[:, 1] > 0.5)
TABLE = from_arrays(pa.table({f"f{index}": X[:, index] for index in range(3)}), origin="pool", keys=list(range(80)))
WEIGHT = np.array([[1.0, -1.0, 0.5], [0.25, 2.0, -0.5], [0.1, 0.3, -0.2]], np.float32)
NAMES = ("a", "b", "c")


def number(name: str, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, list(shape))


def save(path: Path, nodes, width: int, weights=(), shape=(None, 3), functions=()) -> Path:
    tensors = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in dict(weights).items()]
    graph = helper.make_graph(nodes, "g", [number("x", *shape)], [number("y", None, width)], tensors)
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=9, functions=list(functions)), path)
    return path


def ends(path: Path, *last: str, weight=WEIGHT) -> Path:
    """A linear layer and then these operators, one after another."""
    names = ["z", *(f"s{index}" for index in range(len(last) - 1)), "y"][-len(last) - 1 :] if last else ["y"]
    names[0] = "z" if last else "y"
    nodes = [helper.make_node("MatMul", ["x", "w"], [names[0]])]
    nodes += [
        helper.make_node(kind, [before], [after]) for kind, before, after in zip(last, names, names[1:], strict=False)
    ]
    return save(path, nodes, np.shape(weight)[1], {"w": weight})


def probs_of(path: Path, examples=TABLE, classes=NAMES, **options) -> np.ndarray:
    return opened(str(path), options, classes, examples=examples, classes=classes).probs(examples).numpy()


def sigmoid(values) -> np.ndarray:
    return 1 / (1 + np.exp(-np.asarray(values, np.float64)))


def converted(path: Path, model, label, **options) -> Path:
    model.fit(X, label)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        made = skl2onnx.to_onnx(model, X[:1], options={id(model): {"zipmap": False, **options}})
    path.write_bytes(made.SerializeToString())
    return path


@pytest.mark.parametrize("label", [TWO, THREE])
@pytest.mark.parametrize(
    "model",
    [
        LogisticRegression(),
        GradientBoostingClassifier(n_estimators=5, random_state=0),
        RandomForestClassifier(5, random_state=0),
        KNeighborsClassifier(),
        SGDClassifier(loss="log_loss", random_state=0),
    ],
)
def test_converted_classifiers_answer_as_they_do_in_scikit_learn(tmp_path: Path, model, label):
    path = converted(tmp_path / "a.onnx", model, label)
    found = probs_of(path, classes=NAMES[: label.max() + 1])
    np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-5)


def test_probabilities_that_rounding_takes_below_0_are_probabilities(tmp_path: Path):
    # The trees' shares are added up in float32: 1 minus the share of the second class is -1.2e-7, and was a logit.
    model = RandomForestClassifier(20, random_state=0)
    path = converted(tmp_path / "a.onnx", model, TWO)
    (written,) = onnxruntime.InferenceSession(str(path)).run(["probabilities"], {"X": X})
    assert written.min() < 0 < written.max() - 1
    found = probs_of(path, classes=("no", "yes"))
    np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-6)
    assert found.min() == 0
    assert found.max() == 1


def test_a_graph_of_half_precision_is_said(tmp_path: Path):
    net = torch.nn.Linear(3, 3).half()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = tmp_path / "a.onnx"
        torch.onnx.export(
            net, (torch.zeros(2, 3).half(),), path, dynamic_axes={"x": {0: "n"}}, input_names=["x"], dynamo=False
        )
    teacher = opened(str(path), {}, NAMES, examples=TABLE, classes=NAMES)
    with torch.no_grad():
        wanted = net(torch.from_numpy(X).half()).float().softmax(dim=1)
    np.testing.assert_allclose(teacher.probs(TABLE), wanted, atol=1e-3)
    (said,) = remarks_of(teacher, TABLE)
    assert "has weights in float16; with those of float32" in said
    assert remarks_of(opened(str(ends(tmp_path / "b.onnx")), {}, NAMES, examples=TABLE, classes=NAMES), TABLE) == []


def test_votes_and_per_cent_are_no_logits(tmp_path: Path):
    whole = onnx.helper.make_node
    nodes = [whole("MatMul", ["x", "w"], ["z"]), whole("Softmax", ["z"], ["p"]), whole("Mul", ["p", "hundred"], ["y"])]
    path = save(tmp_path / "a.onnx", nodes, 3, {"w": WEIGHT, "hundred": 100.0})
    with pytest.raises(InputError, match=r"rows that sum to 100 .*divide its output by 100 in the graph, or give"):
        probs_of(path)
    assert probs_of(path, scores="logits").shape == (80, 3)


def test_raw_scores_of_two_classes_are_a_decision_function(tmp_path: Path):
    for model in (LogisticRegression(), GradientBoostingClassifier(n_estimators=5, random_state=0)):
        path = converted(tmp_path / "a.onnx", model, TWO, raw_scores=True)
        with pytest.raises(InputError, match=r"one is the other's negative .* without raw_scores, .*scores: margins"):
            probs_of(path, classes=("no", "yes"))
        found = probs_of(path, classes=("no", "yes"), scores="margins")
        np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-5)
    three = converted(tmp_path / "a.onnx", model, THREE, raw_scores=True)
    np.testing.assert_allclose(probs_of(three), model.predict_proba(X), atol=1e-5)
    with pytest.raises(InputError, match=r"'teacher.options.scores' is 'margins', which is one column"):
        probs_of(three, scores="margins")


def test_a_file_whose_own_label_contradicts_its_scores_is_refused(tmp_path: Path):
    # skl2onnx 1.20 writes the columns of a two-class SVC without probabilities as z and -z, in reverse.
    path, names = converted(tmp_path / "a.onnx", SVC(), TWO), ("no", "yes")
    with pytest.raises(InputError, match=r"another class than that of its largest score in 64 of 64 rows .*id '\d+'"):
        probs_of(path, classes=names, scores="margins")
    predicted = SVC().fit(X, TWO).predict(X)
    found = probs_of(path, classes=names, scores="margins", decision="predict")
    np.testing.assert_array_equal(found, np.eye(2)[predicted])
    reversed_scores = probs_of(path, classes=names, scores="margins", decision="probabilities")
    np.testing.assert_array_equal(reversed_scores.argmax(axis=1), 1 - predicted)


def test_one_output_for_each_class_is_read_by_its_name(tmp_path: Path):
    names = np.array(["no", "x y", "yes"])
    path = converted(tmp_path / "a.onnx", model := LogisticRegression(), names[THREE], zipmap="columns")
    run = ("yes", "no", "x y")
    found = opened(str(path), {}, run, examples=TABLE).probs(TABLE).numpy()
    np.testing.assert_allclose(found, model.predict_proba(X)[:, [2, 0, 1]], atol=1e-5)
    path = converted(tmp_path / "b.onnx", model, THREE, zipmap="columns")
    found = opened(str(path), {}, ("0", "1", "2"), examples=TABLE).probs(TABLE).numpy()
    np.testing.assert_allclose(found, model.predict_proba(X), atol=1e-5)


def test_one_logit_is_none_the_less_one_where_the_first_rows_are_between_0_and_1(tmp_path: Path):
    weight = np.array([[0.0], [0.0], [0.3]])
    inside = from_arrays(TABLE.inputs.filter(pa.array((X[:, 2] > 0) & (X[:, 2] < 3))), origin="pool")
    x = inside.inputs["f2"].to_numpy().astype(np.float64)
    two = ("no", "yes")
    logit = probs_of(ends(tmp_path / "a.onnx", weight=weight), inside, two)[:, 1]
    np.testing.assert_allclose(logit, sigmoid(0.3 * x), atol=1e-6)
    np.testing.assert_allclose(
        probs_of(ends(tmp_path / "b.onnx", "Sigmoid", weight=weight), inside, two)[:, 1], sigmoid(0.3 * x), atol=1e-6
    )
    unclear = ends(tmp_path / "c.onnx", "Abs", weight=weight)
    with pytest.raises(
        InputError, match=r"a score between 0 and 1 .*'teacher.options.scores: probabilities' or 'scores: logits'"
    ):
        probs_of(unclear, inside, two)
    np.testing.assert_allclose(probs_of(unclear, inside, two, scores="probabilities")[:, 1], 0.3 * x, atol=1e-6)
    np.testing.assert_allclose(probs_of(unclear, inside, two, scores="logits")[:, 1], sigmoid(0.3 * x), atol=1e-6)
    with pytest.raises(InputError, match="softmax over one column, which is always 1"):
        probs_of(ends(tmp_path / "d.onnx", "Softmax", weight=weight), inside, two)


def test_a_sigmoid_for_each_class_is_asked_for(tmp_path: Path):
    path, expected = ends(tmp_path / "a.onnx", "Sigmoid"), sigmoid(X @ WEIGHT)
    with pytest.raises(InputError, match=r"do not sum to 1 .*each a sigmoid; .*'teacher.options.scores: sigmoid'"):
        probs_of(path)
    found = probs_of(path, scores="sigmoid")
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)
    with pytest.raises(
        InputError,
        match=r"no probabilities, and option .*scores' is 'sigmoid'; .*'teacher.options.scores: logits' \(a soft",
    ):
        probs_of(ends(tmp_path / "b.onnx"), scores="sigmoid")


def test_all_rows_decide(tmp_path: Path):
    # A least-squares fit of classes: its rows sum to 1, and are between 0 and 1 at first.
    weight = np.array([[0.1, -0.1, 0.0], [0.0, 0.1, -0.1], [0.0, 0.0, 0.0]], np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Add", ["z", "b"], ["y"])]
    path = save(tmp_path / "a.onnx", nodes, 3, {"w": weight, "b": np.full(3, 1 / 3)})
    near, far = np.abs(X) < 1, np.array([[9.0, 9.0, 0.0]], np.float32)
    rows = np.concatenate([X[near.all(axis=1)], X[near.all(axis=1)], X[near.all(axis=1)], far])
    examples = from_arrays(
        pa.table({f"f{index}": rows[:, index] for index in range(3)}),
        origin="pool",
        keys=[f"r{i}" for i in range(len(rows))],
    )
    teacher = opened(str(path), {}, NAMES, examples=examples.take(torch.arange(20)), classes=NAMES)
    np.testing.assert_allclose(teacher.probs(examples.take(torch.arange(20))), rows[:20] @ weight + 1 / 3, atol=1e-6)
    with pytest.raises(
        InputError, match=rf"the example with id 'r{len(rows) - 1}' of pool the scores 1.23, .*scores: logits"
    ):
        teacher.probs(examples)


@pytest.mark.parametrize(
    ("last", "ending"),
    [
        ((), "raw"),
        (("Softmax",), "softmax"),
        (("Softmax", "Identity"), "softmax"),
        (("LogSoftmax",), "raw"),
        (("HardSigmoid", "Flatten"), "sigmoid"),
        (("Sigmoid", "Neg"), "unknown"),
        (("Relu",), "unknown"),
    ],
)
def test_the_end_of_a_graph(tmp_path: Path, last: tuple[str, ...], ending: str):
    assert read_graph(ends(tmp_path / "a.onnx", *last), "teacher").ending("y") == ending


def test_the_end_of_a_graph_is_found_behind_biases_and_in_functions(tmp_path: Path):
    linear = helper.make_node("MatMul", ["x", "w"], ["z"])
    scaled = [linear, helper.make_node("Add", ["b", "z"], ["c"]), helper.make_node("Div", ["c", "t"], ["y"])]
    weights = {"w": WEIGHT, "b": np.zeros(3), "t": 2.0}
    assert read_graph(save(tmp_path / "a.onnx", scaled, 3, weights), "teacher").ending("y") == "raw"
    other = [linear, helper.make_node("Softmax", ["z"], ["c"]), helper.make_node("Sub", ["b", "c"], ["y"])]
    assert read_graph(save(tmp_path / "a.onnx", other, 3, weights), "teacher").ending("y") == "unknown"
    inner = helper.make_function(
        "own", "Probabilities", ["i"], ["o"], [helper.make_node("Softmax", ["i"], ["o"])], [helper.make_opsetid("", 17)]
    )
    called = [linear, helper.make_node("Probabilities", ["z"], ["y"], domain="own")]
    path = save(tmp_path / "b.onnx", called, 3, weights, functions=[inner])
    assert read_graph(path, "teacher").ending("y") == "softmax"
    expected = torch.from_numpy(X @ WEIGHT).softmax(dim=1)
    np.testing.assert_allclose(probs_of(path), expected, atol=1e-6)


# --- the range of pixels

IMAGES = torch.randint(0, 256, (60, 3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
PICTURES = from_arrays(IMAGES, origin="photos")
PIXEL_WEIGHT = np.random.default_rng(1).normal(size=(48, 3)).astype(np.float32)


def image_file(path: Path, first: list, factor: float, **constants) -> Path:
    weights = {"w": PIXEL_WEIGHT * factor, **constants}
    nodes = [*first, helper.make_node("Flatten", ["p"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["y"])]
    return save(path, nodes, 3, weights, (None, 3, 4, 4))


def node(kind: str, *inputs: str, out: str = "p"):
    return helper.make_node(kind, list(inputs), [out])


@pytest.mark.parametrize(
    ("first", "constants", "expected"),
    [
        ([node("Mul", "x", "c")], {"c": 1 / 255}, lambda pixels: pixels / 255),
        ([node("Cast", "x", out="d"), node("Mul", "c", "d", out="e"), node("Add", "e", "o")],
         {"c": 1 / 127.5, "o": -1.0}, lambda pixels: pixels / 127.5 - 1),
        ([node("Div", "x", "c")], {"c": 255.0}, lambda pixels: pixels / 255),
        ([node("Sub", "x", "c", out="d"), node("Mul", "d", "o")], {"c": np.full((3, 1, 1), 120.0), "o": 0.01},
         lambda pixels: (pixels - 120) * 0.01),
        ([node("Sub", "x", "c")], {"c": np.full((3, 1, 1), 0.5)}, lambda pixels: pixels / 255 - 0.5),
        ([node("Identity", "x")], {}, lambda pixels: pixels / 255),
    ],
)  # fmt: skip
def test_a_graph_that_scales_its_pixels_gets_0_to_255(tmp_path: Path, first, constants, expected):
    if first[0].op_type == "Cast":
        first[0].attribute.append(helper.make_attribute("to", TensorProto.FLOAT))
    path = image_file(tmp_path / "a.onnx", first, 1.0, **constants)
    logits = torch.from_numpy(expected(IMAGES.double().numpy()).reshape(60, -1) @ PIXEL_WEIGHT)
    np.testing.assert_allclose(probs_of(path, PICTURES), logits.softmax(dim=1), atol=1e-5)


def test_the_range_of_pixels_is_asked_for_where_answers_hardly_differ(tmp_path: Path):
    # Scaled by weights alone, where no operator shows it.
    path = image_file(tmp_path / "a.onnx", [node("Identity", "x")], 1 / 2550)
    with pytest.raises(
        InputError,
        match=r"almost the same answer .* where pixels are 0 to 1 .*'teacher.options.pixels: bytes' or 'pixels: unit'",
    ):
        probs_of(path, PICTURES)
    logits = torch.from_numpy(IMAGES.double().numpy().reshape(60, -1) @ PIXEL_WEIGHT / 2550)
    np.testing.assert_allclose(probs_of(path, PICTURES, pixels="bytes"), logits.softmax(dim=1), atol=1e-5)
    assert np.ptp(probs_of(path, PICTURES, pixels="unit"), axis=0).max() < 0.01
    dead = image_file(tmp_path / "b.onnx", [node("Mul", "x", "c")], 1.0, c=0.0)
    with pytest.raises(InputError, match="the very same answer to the first 60 images of photos"):
        probs_of(dead, PICTURES)


# --- texts


def token_file(folder: Path, *, mask: bool) -> Path:
    """The mean of the tokens' numbers, over all places or over those of the mask; one logit."""
    names = ["input_ids", *(["attention_mask"] if mask else [])]
    cast = [helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT) for name in names]
    mean = helper.make_node("ReduceMean", ["input_ids_f"], ["m"], axes=[1], keepdims=1)
    last = helper.make_node("MatMul", ["m", "w"], ["y"])
    weight = numpy_helper.from_array(np.array([[0.5, -0.25]], np.float32), "w")
    inputs = [number(name, None, None, kind=TensorProto.INT64) for name in names]
    graph = helper.make_graph([*cast, mean, last], "g", inputs, [number("y", None, 2)], [weight])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "a.onnx")
    return folder / "a.onnx"


def test_no_text_is_padded_and_cut_texts_are_counted(tmp_path: Path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "a": 2, "b": 3, "c": 4}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(direction="left", length=None)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    path = token_file(tmp_path, mask=False)
    words = [["a"] * (1 + index % 5) + ["c"] * (index % 3) for index in range(60)]
    texts = from_arrays([" ".join(each) for each in words], origin="pool")
    ids = [np.mean([{"a": 2, "c": 4}[word] for word in each]) for each in words]
    expected = torch.tensor(np.outer(ids, [0.5, -0.25])).softmax(dim=1)
    teacher = opened(str(path), {}, ("no", "yes"), examples=texts, classes=("no", "yes"))
    np.testing.assert_allclose(teacher.probs(texts), expected, atol=1e-6)
    assert teacher.remarks(texts) == []
    (tmp_path / "tokenizer_config.json").write_text('{"model_max_length": 3}')
    teacher = opened(str(path), {}, ("no", "yes"), examples=texts, classes=("no", "yes"))
    longer = sum(len(each) > 3 for each in words)
    assert teacher.remarks(texts) == [
        f"The teacher ({path}) reads the first 3 tokens of a text, and {longer} of the 60 texts of pool are longer "
        f"(teacher.options.max_tokens)."
    ]
    assert onnxruntime.InferenceSession(str(path)).get_inputs()[0].name == "input_ids"
