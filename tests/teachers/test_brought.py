"""A teacher that was made elsewhere answers as it does there, column by class name, or is refused in one sentence."""

import json
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pytest
import safetensors.torch
import skops.io
import torch
import transformers
import yaml
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from tokenizers import Tokenizer, models, pre_tokenizers

import overproof
from overproof.commands.main import main
from overproof.cross_fitting import folds
from overproof.data import from_arrays, repeats_in
from overproof.data.examples import build as examples_of
from overproof.deployment import export
from overproof.errors import InputError
from overproof.models import FROZEN, build, frozen_embedder
from overproof.models.frozen.images import efficientnet_lite0
from overproof.models.importing import allowing
from overproof.models.layers import linear
from overproof.seeds import derived_seed
from overproof.synthetic import blobs
from overproof.teachers import GivenRows, cross_fitted, cross_fitted_estimator, opened, trainable
from overproof.training.options import TrainOptions

NAMES = ("blue", "green", "red")
OWN = ("red", "blue", "green")
"""The teacher's own order."""

ORDER = [1, 2, 0]
"""Which of its columns each of NAMES is."""

WEIGHT = np.array([[1.0, -1.0, 0.5], [0.25, 2.0, -0.5]], np.float32)
TABLE = from_arrays(pa.table({"a": [1.0, 0.0, -2.0], "b": [0.5, 1.0, 3.0]}), origin="pool")
LOGITS = np.stack([TABLE.inputs["a"].to_numpy(), TABLE.inputs["b"].to_numpy()], axis=1) @ WEIGHT


def softmax(logits) -> torch.Tensor:
    return torch.from_numpy(np.asarray(logits, np.float64)).softmax(dim=1)


def save_onnx(path: Path, nodes, inputs, outputs, weights=(), metadata=None) -> Path:
    tensors = [numpy_helper.from_array(value, name) for name, value in dict(weights).items()]
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(
        helper.make_graph(nodes, "g", inputs, outputs, tensors), opset_imports=domains, ir_version=9
    )
    if metadata:
        helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def number(name: str, *shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, list(shape))


def linear_onnx(path: Path, metadata=None, softmax_too=False) -> Path:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"])]
    outputs = [number("logits", None, 3)]
    if softmax_too:
        nodes.append(helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1))
        outputs.append(number("probabilities", None, 3))
    return save_onnx(path, nodes, [number("x", None, 2)], outputs, {"w": WEIGHT}, metadata)


def with_weights_in(path: Path, location: str) -> Path:
    """A file whose weights are said to lie elsewhere; nothing is written there."""
    model = onnx.load(linear_onnx(path))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data"), tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    path.write_bytes(model.SerializeToString())
    return path


def probs_of(path: Path, examples=TABLE, classes=OWN, names=NAMES, **options) -> torch.Tensor:
    return opened(str(path), options, names, examples=examples, classes=classes).probs(examples)


# --- ONNX


@pytest.mark.parametrize("softmax_too", [False, True])
def test_an_onnx_file_answers_with_logits_or_probabilities(tmp_path: Path, softmax_too: bool):
    path = linear_onnx(tmp_path / "a.onnx", softmax_too=softmax_too)
    torch.testing.assert_close(probs_of(path).double(), softmax(LOGITS)[:, ORDER], atol=1e-6, rtol=0)
    named = linear_onnx(tmp_path / "b.onnx", {"class_names": json.dumps(OWN)})
    torch.testing.assert_close(probs_of(named, classes=()).double(), softmax(LOGITS)[:, ORDER], atol=1e-6, rtol=0)
    turned = from_arrays(TABLE.inputs.select(["b", "a"]), origin="pool")
    torch.testing.assert_close(probs_of(path, turned, columns=["a", "b"]), probs_of(path))
    assert opened(str(path), {}, NAMES, examples=TABLE, classes=OWN).fingerprint != (
        opened(str(path), {}, NAMES, examples=TABLE, classes=NAMES).fingerprint
    )


def test_a_renamed_file_is_the_same_teacher(tmp_path: Path):
    skops.io.dump(DummyClassifier().fit([[0.0]] * 3, list(OWN)), tmp_path / "a.skops")
    for path in (linear_onnx(tmp_path / "a.onnx"), tmp_path / "a.skops"):
        before = opened(str(path), {}, NAMES, examples=TABLE, classes=OWN)
        after = opened(str(path.rename(path.with_stem("b"))), {}, NAMES, examples=TABLE, classes=OWN)
        assert after.fingerprint == before.fingerprint
        assert len({before.fingerprint, before.former, after.former}) == 3


@pytest.mark.parametrize("batch", [1, 2])
def test_a_batch_that_the_file_fixes_is_filled(tmp_path: Path, batch: int):
    nodes = [helper.make_node("MatMul", ["x", "w"], ["logits"])]
    inputs, outputs = [number("x", batch, 2)], [number("logits", batch, 3)]
    path = save_onnx(tmp_path / "a.onnx", nodes, inputs, outputs, {"w": WEIGHT})
    torch.testing.assert_close(probs_of(path).double(), softmax(LOGITS)[:, ORDER], atol=1e-6, rtol=0)


def test_one_column_of_scores_is_that_of_the_second_class(tmp_path: Path):
    for kind, nodes in (("MatMul", []), ("Sigmoid", [helper.make_node("Sigmoid", ["z"], ["y"])])):
        first = helper.make_node("MatMul", ["x", "w"], ["z" if nodes else "y"])
        path = save_onnx(
            tmp_path / f"{kind}.onnx",
            [first, *nodes],
            [number("x", None, 2)],
            [number("y", None, 1)],
            {"w": WEIGHT[:, :1]},
        )
        second = torch.from_numpy(LOGITS[:, :1]).sigmoid()
        expected = torch.cat([second, 1 - second], dim=1)
        found = probs_of(path, classes=("no", "yes"), names=("yes", "no"))
        torch.testing.assert_close(found.double(), expected.double(), atol=1e-6, rtol=0)


def test_scikit_learns_converters_are_read_column_by_column_and_as_maps(tmp_path: Path):
    nodes = [
        helper.make_node("Concat", ["a", "b"], ["x"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["z"]),
        helper.make_node("Softmax", ["z"], ["p"], axis=1),
        helper.make_node("ZipMap", ["p"], ["maps"], domain="ai.onnx.ml", classlabels_strings=list(OWN)),
    ]
    maps = helper.make_value_info(
        "maps",
        helper.make_sequence_type_proto(
            helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
        ),
    )
    path = save_onnx(tmp_path / "a.onnx", nodes, [number("a", None, 1), number("b", None, 1)], [maps], {"w": WEIGHT})
    torch.testing.assert_close(probs_of(path, classes=()).double(), softmax(LOGITS)[:, ORDER], atol=1e-6, rtol=0)


def image_onnx(path: Path, kind, shape) -> Path:
    size = int(np.prod(shape[1:]))
    weight = np.random.default_rng(0).normal(size=(size, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["f"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["y"]),
    ]
    return save_onnx(path, nodes, [number("x", *shape, kind=kind)], [number("y", None, 3)], {"w": weight})


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("kind", [TensorProto.FLOAT, TensorProto.UINT8])
def test_images_go_in_as_the_file_wants_them(tmp_path: Path, kind: int, last: bool):
    images = torch.randint(0, 256, (5, 1, 4, 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    path = image_onnx(tmp_path / "a.onnx", kind, (None, 4, 4, 3) if last else (None, 3, 4, 4))
    weight = numpy_helper.to_array(onnx.load(path).graph.initializer[0])
    shown = images.expand(-1, 3, -1, -1).double()
    shown = shown if kind == TensorProto.UINT8 else (shown / 255 - 0.5) / 0.25
    flat = (shown.permute(0, 2, 3, 1) if last else shown).flatten(1).numpy()
    options = {} if kind == TensorProto.UINT8 else {"mean": [0.5], "std": [0.25]}
    found = probs_of(path, from_arrays(images), **options)
    torch.testing.assert_close(found.double(), softmax(flat @ weight)[:, ORDER], atol=1e-4, rtol=0)
    bigger = images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    assert probs_of(path, from_arrays(bigger), **options).shape == (5, 3)


def text_onnx(path: Path, kind: int) -> Path:
    tokens = kind == TensorProto.INT64
    pool = {"pool_int64s": [2, 3]} if tokens else {"pool_strings": ["good", "bad"]}
    nodes = [
        helper.make_node(
            "TfIdfVectorizer", ["input_ids"], ["n"], mode="TF", min_gram_length=1, max_gram_length=1, max_skip_count=0,
            ngram_counts=[0], ngram_indexes=[0, 1], **pool,
        ),
        helper.make_node("MatMul", ["n", "w"], ["y"]),
    ]  # fmt: skip
    weight = np.array([[0.0, 2.0], [3.0, 0.0]], np.float32)
    shape = (None, None) if tokens else (None, 1)
    return save_onnx(path, nodes, [number("input_ids", *shape, kind=kind)], [number("y", None, 2)], {"w": weight})


def word_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer(
        models.WordLevel({"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "[CLS]": 4, "[SEP]": 5}, "[UNK]")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def test_texts_go_in_as_strings_or_as_token_ids(tmp_path: Path):
    texts = from_arrays(["good", "bad"], origin="pool")
    two = ("neg", "pos")
    found = probs_of(text_onnx(tmp_path / "strings.onnx", TensorProto.STRING), texts, two, two)
    expected = softmax([[0.0, 2.0], [3.0, 0.0]])
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)
    path = text_onnx(tmp_path / "ids.onnx", TensorProto.INT64)
    with pytest.raises(InputError, match=r"no tokenizer\.json beside it"):
        probs_of(path, texts, two, two)
    word_tokenizer().save(str(tmp_path / "tokenizer.json"))
    longer = from_arrays(["good", "bad so bad", "good bad"], origin="pool")
    expected = softmax([[0.0, 2.0], [6.0, 0.0], [3.0, 2.0]])
    torch.testing.assert_close(probs_of(path, longer, two, two).double(), expected, atol=1e-6, rtol=0)
    cut = softmax([[0.0, 2.0], [3.0, 0.0], [0.0, 2.0]])
    torch.testing.assert_close(probs_of(path, longer, two, two, max_tokens=1).double(), cut, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ()}, "does not name its 3 classes; give 'teacher.classes'"),
        ({"classes": ("red", "blue")}, "answers for 3 classes, but 2 are named"),
        ({"classes": ("red", "blue", "grey")}, "missing classes 'green' and extra classes 'grey'"),
        ({"output": "logit"}, "no output 'logit'; it has 'logits'"),
        ({"outptu": "logits"}, r"'teacher.options.outptu' does not exist .*nearest: 'output'"),
        ({"scores": "odds"}, r"'teacher.options.scores' is 'odds'"),
        ({"columns": ["a"]}, r"reads 2 numbers a row, and the data have 1 columns \('a'\)"),
        ({"columns": ["a", "c"]}, "names 'c'; the data have 'a', 'b'"),
        ({"examples": from_arrays(["text"])}, "for examples of kind 'text' one input of strings"),
        ({"examples": from_arrays(pa.table({"a": ["x"], "b": [1.0]}))}, "in column 'a'"),
    ],
)
def test_an_onnx_file_that_does_not_fit_is_refused(tmp_path: Path, change: dict, words: str):
    with pytest.raises(InputError, match=words) as refusal:
        probs_of(linear_onnx(tmp_path / "a.onnx"), **change)
    assert str(refusal.value).count(". ") == 0


def test_what_is_no_onnx_file_is_refused(tmp_path: Path):
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(InputError, match="cannot be opened by onnxruntime"):
        probs_of(tmp_path / "a.onnx")
    path = with_weights_in(tmp_path / "b.onnx", "../w.bin")
    with pytest.raises(InputError, match=r"keeps weights in '\.\./w\.bin', outside its folder, .*: onnx\.save\("):
        probs_of(path)
    path = with_weights_in(tmp_path / "b.onnx", "w.bin")
    (tmp_path / "w.bin").unlink(missing_ok=True)
    with pytest.raises(InputError, match=r"keeps weights in 'w\.bin', which .* does not hold; put the file there"):
        probs_of(path)
    with pytest.raises(InputError, match=r"none\.onnx cannot be read"):
        probs_of(tmp_path / "none.onnx")


# --- skops


def fitted_on_names() -> tuple[object, pa.Table]:
    table = pa.table({"size": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], "kind": list("xyxyzz")})
    columns = make_column_transformer((StandardScaler(), ["size"]), (OneHotEncoder(), ["kind"]))
    return make_pipeline(columns, LogisticRegression()).fit(
        table, ["red", "blue", "red", "blue", "green", "green"]
    ), table


def test_a_skops_file_answers_by_column_name(tmp_path: Path):
    estimator, table = fitted_on_names()
    skops.io.dump(estimator, tmp_path / "a.skops")
    turned = from_arrays(table.select(["kind", "size"]), origin="pool")
    found = probs_of(tmp_path / "a.skops", turned, classes=())
    torch.testing.assert_close(found, torch.from_numpy(estimator.predict_proba(table)))
    swapped = probs_of(tmp_path / "a.skops", turned, classes=(), names=("red", "green", "blue"))
    torch.testing.assert_close(swapped, found[:, [2, 1, 0]])
    with pytest.raises(InputError, match="was fitted on 'kind'; pool has 'size'"):
        probs_of(tmp_path / "a.skops", from_arrays(table.select(["size"]), origin="pool"), classes=())


class Strange(LogisticRegression):
    """A type that skops does not know."""


def test_untrusted_types_are_named_and_not_opened(tmp_path: Path, monkeypatch):
    skops.io.dump(Strange().fit([[0.0, 1.0], [1.0, 0.0]], ["no", "yes"]), tmp_path / "a.skops")
    monkeypatch.setattr("skops.io.load", lambda *words, **more: pytest.fail("it was opened"))
    with pytest.raises(InputError, match=r"not trusted: '.*Strange'; allow them with --allow-import .*:Strange"):
        probs_of(tmp_path / "a.skops", TABLE, classes=(), names=("no", "yes"))
    # What the experiment file lists is not allowed by that.
    with pytest.raises(InputError, match="not trusted"):
        probs_of(tmp_path / "a.skops", TABLE, classes=(), names=("no", "yes"), trusted=[f"{__name__}.Strange"])


def test_types_that_the_user_allows_and_the_trees_of_scikit_learn_are_opened(tmp_path: Path):
    rows, label = [[0.0, 1.0], [1.0, 0.0]], ["no", "yes"]
    skops.io.dump(Strange().fit(rows, label), tmp_path / "a.skops")
    with allowing(f"{__name__}:Strange"):
        probs = probs_of(tmp_path / "a.skops", TABLE, classes=(), names=("no", "yes"))
    assert probs.shape == (3, 2)
    skops.io.dump(DecisionTreeClassifier().fit(rows, label), tmp_path / "b.skops")
    tree = {"trusted": ["sklearn.tree._tree.Tree"]}
    assert probs_of(tmp_path / "b.skops", TABLE, classes=(), names=("no", "yes"), **tree).shape == (3, 2)


def test_a_skops_file_without_probabilities_is_refused(tmp_path: Path):
    skops.io.dump(StandardScaler().fit([[1.0, 2.0]]), tmp_path / "a.skops")
    with pytest.raises(InputError, match="StandardScaler, without predict_proba"):
        probs_of(tmp_path / "a.skops")
    (tmp_path / "b.skops").write_bytes(b"no zip")
    with pytest.raises(InputError, match="cannot be opened by skops"):
        probs_of(tmp_path / "b.skops")


# --- Hugging Face


@pytest.fixture
def text_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "text"
    config = transformers.BertConfig(
        vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=16, id2label=dict(enumerate(OWN)), label2id={name: i for i, name in enumerate(OWN)},
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).eval().save_pretrained(folder)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=word_tokenizer(), pad_token="[PAD]", unk_token="[UNK]", model_max_length=16
    )
    tokenizer.save_pretrained(folder)
    return folder


def test_a_text_classifier_from_a_folder_answers_as_it_does_there(text_folder: Path):
    texts = ["good bad good", "bad", "", "good " * 40]
    found = probs_of(text_folder, from_arrays(texts, origin="pool"), classes=(), max_tokens=8, batch_size=2)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(text_folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(text_folder)
    with torch.no_grad():
        for text, answer in zip(texts, found, strict=True):
            batch = tokenizer(text or "[PAD]", truncation=True, max_length=8, return_tensors="pt")
            if text:
                torch.testing.assert_close(answer, model(**batch).logits[0].softmax(0)[ORDER], atol=1e-5, rtol=0)
    torch.testing.assert_close(found.sum(dim=1), torch.ones(4))


def test_an_image_classifier_from_a_folder_answers_as_it_does_there(tmp_path: Path):
    config = transformers.ViTConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=8, patch_size=4,
        id2label=dict(enumerate(OWN)), label2id={name: i for i, name in enumerate(OWN)},
    )  # fmt: skip
    model = transformers.ViTForImageClassification(config).eval()
    model.save_pretrained(tmp_path / "vit")
    transformers.ViTImageProcessorPil(size={"height": 8, "width": 8}).save_pretrained(tmp_path / "vit")
    images = torch.randint(0, 256, (3, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    found = probs_of(tmp_path / "vit", from_arrays(images), classes=())
    with torch.no_grad():
        shown = (images.expand(-1, 3, -1, -1) / 255 - 0.5) / 0.5
        torch.testing.assert_close(found, model(shown).logits.softmax(dim=1)[:, ORDER], atol=1e-5, rtol=0)


def edit(folder: Path, **changes) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, **changes}))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"}}, "does not name its 3 classes"),
        ({"id2label": {"0": "red", "1": "blue", "2": "grey"}}, "missing classes 'green' and extra classes 'grey'"),
        ({"architectures": ["BertModel"]}, "is 'BertModel'; a classifier is needed"),
        ({"architectures": ["ViTForImageClassification"]}, "reads images, but the data are of kind 'text'"),
        ({"problem_type": "multi_label_classification"}, "one class an example is needed"),
        ({"id2label": {"0": "red", "2": "blue"}}, "numbers its classes '0', '2'"),
    ],
)
def test_a_folder_that_does_not_fit_is_refused(text_folder: Path, changes: dict, words: str):
    edit(text_folder, **changes)
    with pytest.raises(InputError, match=words):
        probs_of(text_folder, from_arrays(["good"], origin="pool"), classes=())


def test_a_body_without_its_head_and_pickled_weights_are_refused(text_folder: Path):
    weights = text_folder / "model.safetensors"
    tensors = safetensors.torch.load(weights.read_bytes())
    body = {name: value for name, value in tensors.items() if not name.startswith("classifier")}
    safetensors.torch.save_file(body, weights, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"lacks the weights 'classifier\.bias', 'classifier\.weight'"):
        probs_of(text_folder, from_arrays(["good"], origin="pool"), classes=())
    weights.unlink()
    torch.save(tensors, text_folder / "pytorch_model.bin")
    with pytest.raises(InputError, match="holds no safetensors"):
        probs_of(text_folder, from_arrays(["good"], origin="pool"), classes=())


# --- torch modules and frozen encoders


@allowing("overproof.models.layers:linear")
def test_a_torch_module_with_weights_is_asked_as_it_is(tmp_path: Path):
    module = linear((2,), 3)
    safetensors.torch.save_file(module.state_dict(), tmp_path / "w.safetensors")
    words = {"examples": TABLE, "weights": str(tmp_path / "w.safetensors")}
    teacher = opened("overproof.models.layers:linear", {}, NAMES, classes=OWN, **words)
    inputs = torch.tensor([[1.0, 0.5], [0.0, 1.0], [-2.0, 3.0]])
    torch.testing.assert_close(teacher.probs(TABLE), module(inputs).softmax(dim=1)[:, ORDER].detach())
    with pytest.raises(InputError, match=r"'teacher\.classes' is empty"):
        opened("overproof.models.layers:linear", {}, NAMES, **words)
    with pytest.raises(InputError, match=r"shapes differ: '.*weight' is \(3, 2\) and must be \(4, 2\)"):
        opened("overproof.models.layers:linear", {}, NAMES, classes=(*OWN, "grey"), **words)


@pytest.mark.parametrize("backend", ["torch", "onnxruntime"])
def test_efficientnet_says_the_same_of_grey_and_of_three_grey_channels(backend: str):
    images = torch.randint(0, 256, (3, 1, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    encoder = efficientnet_lite0(size=64, backend=backend)
    features = encoder.embed_images(images)
    assert features.shape == (3, 1280)
    assert features.std(dim=0).max() > 0.1
    torch.testing.assert_close(encoder.embed_images(images.repeat(1, 3, 1, 1)), features)
    # To the last bit, alone and in other company.
    assert torch.equal(encoder.embed_images(images[1:2])[0], features[1])
    assert torch.equal(encoder.embed_images(images.flip(0).repeat(13, 1, 1, 1))[-3:], features.flip(0))
    assert encoder.fingerprint != efficientnet_lite0(size=64, batch_size=31, backend=backend).fingerprint
    with pytest.raises(InputError, match="size of 'efficientnet_lite0' is 3"):
        efficientnet_lite0(size=3)


def test_efficientnet_is_the_same_network_by_torch_and_by_onnxruntime(monkeypatch: pytest.MonkeyPatch):
    images = torch.randint(0, 256, (5, 3, 40, 40), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    by_torch, by_graph = (efficientnet_lite0(size=64, backend=each) for each in ("torch", "onnxruntime"))
    features = by_torch.embed_images(images)
    torch.testing.assert_close(by_graph.embed_images(images), features, atol=1e-4, rtol=0)
    assert not torch.equal(by_graph.embed_images(images), features), "both are computed by the same library"
    # What computed them is in the key, the version of onnxruntime too; torch's key is that of older stores.
    assert by_graph.fingerprint.startswith(f"{by_torch.fingerprint} by=onnxruntime ")
    assert by_torch.fingerprint.endswith(" size=64 batch=32")
    assert efficientnet_lite0(size=64).fingerprint == by_graph.fingerprint, "the default where it is installed"
    monkeypatch.setattr("overproof.models.frozen.graphs.PACKAGES", ("onnx", "no_such_package"))
    assert efficientnet_lite0(size=64).fingerprint == by_torch.fingerprint
    with pytest.raises(InputError, match=r"needs the package no_such_package; .* 'overproof\[onnx\]'"):
        efficientnet_lite0(backend="onnxruntime")
    with pytest.raises(InputError, match="backend of 'efficientnet_lite0' is 'tvm'; allowed are 'auto'"):
        efficientnet_lite0(backend="tvm")


@allowing("torch.nn:Conv2d")
def test_a_frozen_encoder_by_import_path_teaches(tmp_path: Path):
    weight = torch.nn.Conv2d(3, 4, 2)
    safetensors.torch.save_file(weight.state_dict(), tmp_path / "w.safetensors")
    made = {"encoder": "torch.nn:Conv2d", "encoder_options": {"in_channels": 3, "out_channels": 4, "kernel_size": 2}}
    generator = torch.Generator().manual_seed(0)
    label = torch.arange(60) % 2
    images = (torch.rand(60, 3, 4, 4, generator=generator) * 60 + 150 * label[:, None, None, None]).byte()
    examples = from_arrays(images, label, class_names=["dark", "light"])
    options = {**made, "weights": str(tmp_path / "w.safetensors")}
    words = {
        "everyone": lambda: examples,
        "fitting": (examples,),
        "folder": tmp_path / "f",
        "train": lambda *words: None,
        "recipe": TrainOptions(),
    }
    teacher = trainable("frozen_encoder", options, **words)
    answers = cross_fitted(teacher, examples, {}, num_folds=2, seed=0, folder=tmp_path / "labels")["labelled"]
    assert (answers.pseudo_label == label).float().mean() > 0.95
    with pytest.raises(InputError, match="with random weights"):
        frozen_embedder("frozen_encoder", made)
    with pytest.raises(InputError, match=r"has no option 'sise' \(nearest: 'size'\)"):
        frozen_embedder("efficientnet_lite0", {"sise": 32})
    with pytest.raises(InputError, match="reads image, but the data are of kind 'text'"):
        trainable("efficientnet_lite0", {}, **{**words, "fitting": (from_arrays(["a"]),)})
    assert "minilm" in FROZEN


# --- the whole way


def test_the_same_teacher_brought_in_two_forms_gives_the_same_run(tmp_path: Path):
    world = blobs(num_examples=300, num_classes=3, seed=0)
    x = world.inputs.numpy()
    columns = {f"x{index}": column for index, column in enumerate(x.T)}
    columns["colour"] = np.array(OWN)[world.label.numpy()]
    pa.csv.write_csv(pa.table(columns), tmp_path / "blobs.csv")
    estimator = LogisticRegression(C=0.01).fit(x.astype(np.float64), columns["colour"])
    skops.io.dump(estimator, tmp_path / "a.skops")
    weights = {"w": estimator.coef_.T.astype(np.float32), "b": estimator.intercept_.astype(np.float32)}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Add", ["z", "b"], ["logits"])]
    save_onnx(tmp_path / "a.onnx", nodes, [number("x", None, x.shape[1])], [number("logits", None, 3)], weights)
    content = {
        "data": {
            "files": {"all": {"path": str(tmp_path / "blobs.csv"), "label": "colour"}},
            "rows": {"labelled": 40, "pool": 150, "test": 100},
        },
        "student": {"name": "linear"},
        "train": {"epochs": 2},
        "methods": ["hard"],
        "seeds": [0],
    }
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(content))
    accuracies = []
    for name, more in (("a.skops", []), ("a.onnx", ["--set", "teacher.classes=[blue, green, red]"])):
        words = ["run", str(tmp_path / "e.yaml"), "--out", str(tmp_path / name[2:])]
        main([*words, "--set", f"teacher.model={tmp_path / name}", *more])
        rows = json.loads((tmp_path / name[2:] / "result.json").read_text())["rows"]
        accuracies.append({row["method"]: row["metrics"]["accuracy"] for row in rows})
    assert accuracies[0]["teacher"] > 0.6
    assert accuracies[0] == accuracies[1]


def test_a_student_that_left_as_onnx_teaches(tmp_path: Path):
    table = pa.table({"size": [1.0, None, 3.0, 4.0], "kind": ["x", "y", None, "x"], "old": [True, False, True, None]})
    images = torch.randint(0, 256, (4, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for name, inputs in (("mlp", table), ("cnn", images)):
        label = torch.full((4,), -1)
        examples = examples_of(inputs=inputs, label=label, class_names=(), keys=None, origin="pool")
        student = build(name, [examples], class_names=OWN, seed=0)
        export(student, tmp_path / name)
        found = probs_of(tmp_path / name / "model.onnx", examples, classes=())
        torch.testing.assert_close(found, student.probs(examples)[:, ORDER], atol=1e-5, rtol=0)


# --- given from Python


def test_an_unfitted_classifier_is_cross_fitted_and_a_fitted_one_asked():
    world = blobs(num_examples=300, num_classes=3, seed=0)
    few, rest = slice(0, 60), slice(60, 300)
    labelled, pool = (
        from_arrays(world.inputs[few], world.label[few], class_names=NAMES),
        from_arrays(world.inputs[rest]),
    )
    teacher = LogisticRegression()
    out_of_fold, answers = cross_fitted_estimator(teacher, GivenRows(labelled), GivenRows(pool), num_folds=5, seed=0)
    assert not hasattr(teacher, "coef_")
    by_hand, sums = torch.zeros(60, 3).double(), torch.zeros(240, 3).double()
    fold = folds(labelled.label, 5, derived_seed(0, "teacher folds"))
    x, y = world.inputs.double().numpy(), world.label.numpy()
    for number in range(5):
        fitted = LogisticRegression().fit(x[few][fold != number], y[few][fold != number])
        by_hand[fold == number] = torch.from_numpy(fitted.predict_proba(x[few][fold == number]))
        sums += torch.from_numpy(fitted.predict_proba(x[rest]))
    torch.testing.assert_close(out_of_fold, by_hand, atol=1e-6, rtol=0)
    torch.testing.assert_close(answers, sums / 5, atol=1e-6, rtol=0)
    # A fitted one by the names of its classes, in its own order.
    fitted = LogisticRegression().fit(x[rest], np.array(NAMES[::-1])[y[rest]])
    asked, _ = cross_fitted_estimator(fitted, GivenRows(labelled), GivenRows(pool), num_folds=5, seed=0)
    torch.testing.assert_close(asked, torch.from_numpy(fitted.predict_proba(x[few])))
    other = LogisticRegression().fit(x[rest], np.array(["grey", "green", "red"])[y[rest]])
    with pytest.raises(InputError, match="missing classes 'blue'"):
        cross_fitted_estimator(other, GivenRows(labelled), GivenRows(pool), num_folds=5, seed=0)


@pytest.mark.parametrize("library", ["polars", "pandas"])
def test_a_pipeline_that_reads_columns_by_their_names_gets_the_frame(library):
    frames = pytest.importorskip(library)
    draw = np.random.default_rng(0)
    size, town = draw.normal(size=120), draw.choice(["x", "y", "z"], 120)
    kind = np.where(size + (town == "z") > 0.3, "up", "down")
    few = [None if row >= 60 else str(name) for row, name in enumerate(kind)]
    frame = frames.DataFrame({"size": size, "town": town, "kind": few})
    columns = ColumnTransformer(
        [("words", OneHotEncoder(handle_unknown="ignore"), ["town"]), ("rest", "passthrough", ["size"])]
    )
    teacher = make_pipeline(columns, RandomForestClassifier(20))
    made = [
        overproof.distill("linear", frame, teacher, labels="kind", method="soft", train=TrainOptions(epochs=1))
        for _ in range(2)
    ]
    # Also what is random within the pipeline follows from the seed.
    assert torch.equal(made[0].student.logits(frame), made[1].student.logits(frame))
    inputs = frame.drop("kind") if library == "polars" else frame.drop(columns=["kind"])
    examples = from_arrays(inputs, kind, class_names=["down", "up"])
    rows = GivenRows(examples, inputs)
    linear = make_pipeline(columns, LogisticRegression())
    out_of_fold, _ = cross_fitted_estimator(linear, rows, rows, num_folds=5, seed=0)
    fold = folds(examples.label, 5, derived_seed(0, "teacher folds"), repeats_in(examples).group)
    held = (fold == 2).nonzero()[:, 0]
    rest = (fold != 2).nonzero()[:, 0].tolist()
    fitted = linear.fit(inputs[rest] if library == "polars" else inputs.iloc[rest], examples.label[rest].numpy())
    asked = inputs[held.tolist()] if library == "polars" else inputs.iloc[held.numpy()]
    assert np.array_equal(out_of_fold[held].numpy(), fitted.predict_proba(asked))
    # A fitted one is asked about the columns that it knows.
    again, _ = cross_fitted_estimator(fitted, GivenRows(examples, frame), rows, num_folds=5, seed=0)
    assert np.array_equal(again.numpy(), fitted.predict_proba(inputs))
    with pytest.raises(InputError, match=r"reads numbers, and labelled has .*string in column 'town'; give a pipeline"):
        overproof.distill("linear", frame, LogisticRegression(), labels="kind", method="soft")
    arrow = pa.table({"size": size, "town": list(town)})
    with pytest.raises(InputError, match="give a data frame of pandas or Polars, of which a pipeline"):
        overproof.distill("linear", arrow, teacher, labels=few, method="soft")


def test_distill_takes_a_classifier_for_its_answers():
    world = blobs(num_examples=300, num_classes=3, seed=0)
    few, rest = slice(0, 60), slice(60, 200)
    train = TrainOptions(epochs=2)
    words = {"labelled": world.inputs[few], "labels": world.label[few], "train": train, "method": "slam"}
    result = overproof.distill("linear", world.inputs[rest], LogisticRegression(), **words)
    assert 0.6 < result.noise.mean_accuracy[0] < 1
    assert result.num_pool == 140
    probs = world.teacher_probs[few]
    with pytest.raises(InputError, match="left out where it is a classifier"):
        overproof.distill("linear", world.inputs[rest], LogisticRegression(), labelled_teacher_probs=probs, **words)
    with pytest.raises(InputError, match="is needed where teacher_probs is an array"):
        overproof.distill("linear", world.inputs[rest], world.teacher_probs[rest], **words)
