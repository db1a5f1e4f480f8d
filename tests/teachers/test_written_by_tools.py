"""Teachers that other tools wrote themselves answer as these tools do; each test runs where its tool is installed."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.teachers import opened
from overproof.teachers.trained.sentence_folder import open_sentence_folder

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

DRAW = np.random.default_rng(0)
X = DRAW.normal(size=(400, 4)).astype(np.float32)
NOISY = X + 0.5 * DRAW.normal(size=X.shape)
LABELS = {2: np.where(NOISY[:, 0] > 0.3, "yes", "no"), 3: np.array(["cat", "dog", "emu"])[NOISY[:, :3].argmax(axis=1)]}
ASKED = DRAW.normal(size=(60, 4)).astype(np.float32)
TABLE = from_arrays(pa.table({f"f{index}": ASKED[:, index] for index in range(4)}), origin="pool")


def check(path: Path, wanted: np.ndarray, names: list[str], examples=TABLE, **options) -> None:
    """The teacher's answers are those of the tool, whatever the order of the run's classes."""
    order = [*names[1:], names[0]]
    found = opened(str(path), options, order, examples=examples, classes=names).probs(examples).numpy()
    np.testing.assert_allclose(found, wanted[:, [names.index(name) for name in order]], atol=1e-5)
    assert np.ptp(found) > 0.1


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("tool", ["lightgbm", "xgboost", "catboost"])
def test_boosted_trees(tmp_path: Path, tool: str, num_classes: int):
    package = pytest.importorskip(tool)
    names, number = np.unique(LABELS[num_classes], return_inverse=True)
    path = tmp_path / "a.onnx"
    if tool == "catboost":
        model = package.CatBoostClassifier(iterations=10, verbose=0, thread_count=1, allow_writing_files=False)
        model.fit(X, LABELS[num_classes]).save_model(str(path), format="onnx")
    else:
        onnxmltools = pytest.importorskip("onnxmltools")
        from onnxmltools.convert.common.data_types import FloatTensorType

        kind = package.LGBMClassifier if tool == "lightgbm" else package.XGBClassifier
        model = kind(n_estimators=10, n_jobs=1).fit(X, number)
        convert = onnxmltools.convert_lightgbm if tool == "lightgbm" else onnxmltools.convert_xgboost
        made = convert(model, initial_types=[("x", FloatTensorType([None, 4]))])
        path.write_bytes(made.SerializeToString())
    check(path, model.predict_proba(ASKED), names.tolist())


@pytest.mark.parametrize("first", ["rescaling", "nothing"])
def test_images_of_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    keras = pytest.importorskip("keras")
    layers, normal = keras.layers, keras.initializers.RandomNormal
    keras.utils.set_random_seed(0)
    scaled = [layers.Rescaling(1 / 255)] if first == "rescaling" else []
    body = [
        layers.Conv2D(4, 3, activation="relu", kernel_initializer=normal(stddev=0.5)),
        layers.GlobalAveragePooling2D(),
    ]
    last = layers.Dense(3, activation="softmax", kernel_initializer=normal(stddev=3))
    model = keras.Sequential([keras.Input((12, 12, 3)), *scaled, *body, last])
    images = (DRAW.integers(0, 56, (60, 12, 12, 3)) + DRAW.integers(0, 200, (60, 1, 1, 3))).astype(np.uint8)
    given = images.astype(np.float32) / (1 if scaled else 255)
    examples = from_arrays(torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), origin="pool")
    wanted = np.asarray(model.predict(given, verbose=0))
    model.export(str(tmp_path / "a.onnx"), format="onnx", verbose=False)
    check(tmp_path / "a.onnx", wanted, ["cat", "dog", "emu"], examples)


# --- texts

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "so", "fine", "movie", "a", "the", "plot"]
TEXTS = [" ".join(DRAW.choice(WORDS[4:], size=1 + index % 23)) for index in range(60)]
SMALL = {
    "vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "max_position_embeddings": 40,
}  # fmt: skip
NAMES = ["blue", "green", "red"]
POOL = from_arrays(TEXTS, origin="pool")


def tokenizer():
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", pad_token="[PAD]", model_max_length=40
    )


def drawn(model):
    torch.manual_seed(0)
    for values in model.parameters():
        if values.ndim > 1:
            torch.nn.init.normal_(values, std=0.7)
    return model.eval()


def classifier():
    names = dict(enumerate(NAMES))
    config = transformers.BertConfig(**SMALL, id2label=names, label2id={name: index for index, name in names.items()})
    return drawn(transformers.BertForSequenceClassification(config))


def probs_of(model) -> np.ndarray:
    with torch.no_grad():
        rows = [model(**tokenizer()(text, return_tensors="pt")).logits.softmax(dim=1) for text in TEXTS]
    return torch.cat(rows).numpy()


def test_a_pipeline_that_mlflow_saved(tmp_path: Path):
    # Its requirements exclude those of this project, so that it is in no extra.
    mlflow = pytest.importorskip("mlflow")
    model = classifier()
    made = transformers.pipeline("text-classification", model=model, tokenizer=tokenizer())
    mlflow.transformers.save_model(made, str(tmp_path / "a"), pip_requirements=[])
    check(tmp_path / "a", probs_of(model), NAMES, POOL)


def test_an_adapter_is_merged_by_the_lines_of_its_refusal(tmp_path: Path):
    peft = pytest.importorskip("peft")
    classifier().save_pretrained(tmp_path / "base")
    base = transformers.BertForSequenceClassification.from_pretrained(tmp_path / "base")
    config = peft.LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"], r=2, init_lora_weights=False)
    adapted = peft.get_peft_model(base, config).eval()
    adapted.save_pretrained(tmp_path / "adapter")
    with pytest.raises(InputError, match=r"PEFT adapter .*AutoPeftModelForSequenceClassification\.from_pretrained\("):
        opened(str(tmp_path / "adapter"), {}, NAMES, examples=POOL)
    loaded = peft.AutoPeftModelForSequenceClassification.from_pretrained(str(tmp_path / "adapter"), num_labels=3)
    merged = loaded.merge_and_unload().eval()
    merged.save_pretrained(tmp_path / "merged")
    tokenizer().save_pretrained(tmp_path / "merged")
    # The sum of two weights is rounded.
    np.testing.assert_allclose(probs_of(merged), probs_of(adapted), atol=1e-3)
    check(tmp_path / "merged", probs_of(merged), NAMES, POOL)


def test_the_encoder_of_a_model_of_setfit(tmp_path: Path):
    setfit = pytest.importorskip("setfit")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer import modules as parts
    from sklearn.linear_model import LogisticRegression

    drawn(transformers.BertModel(transformers.BertConfig(**SMALL))).save_pretrained(tmp_path / "body")
    tokenizer().save_pretrained(tmp_path / "body")
    modules = [parts.Transformer(str(tmp_path / "body")), parts.Pooling(16, pooling_mode="mean")]
    body = SentenceTransformer(modules=modules, device="cpu")
    head = LogisticRegression().fit(body.encode(TEXTS), np.arange(60) % 3)
    setfit.SetFitModel(model_body=body, model_head=head, labels=NAMES).save_pretrained(str(tmp_path / "a"))
    with pytest.raises(InputError, match=r"SetFit model, whose head \(model_head\.pkl\) is a pickle"):
        open_sentence_folder(tmp_path / "a", {})
    found = open_sentence_folder(tmp_path / "a", {"head": "refit"}).embed(TEXTS)
    np.testing.assert_allclose(found, body.encode(TEXTS), atol=1e-5)
