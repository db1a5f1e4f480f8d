"""Folders of sentence-transformers, SetFit and MLflow are read as the tools mean them, or say what to do."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import skops.io
import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer import modules as parts
from sklearn.linear_model import LogisticRegression
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import overproof
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from
from overproof.teachers import is_brought, opened, remarks_on
from overproof.teachers.brought.mlflow_folder import MlflowFolder
from overproof.teachers.kind import TeacherName
from overproof.teachers.trained import sentence_folder
from overproof.teachers.trained.sentence_folder import open_sentence_folder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "so", "fine", "movie", "a", "the", "plot"]
DRAW = np.random.default_rng(0)
TEXTS = [" ".join(DRAW.choice(WORDS[4:], size=1 + index % 40)) for index in range(60)]


@pytest.fixture
def body(tmp_path: Path) -> str:
    """A small transformer with its tokenizer."""
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    front = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", model_max_length=32
    )
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=40,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.BertModel(config)
    for values in model.parameters():
        if values.ndim > 1:
            torch.nn.init.normal_(values, std=0.7)
    model.eval().save_pretrained(tmp_path / "body")
    front.save_pretrained(tmp_path / "body")
    return str(tmp_path / "body")


def encoder(folder: Path, body: str, *more, pooling: str = "mean") -> SentenceTransformer:
    model = SentenceTransformer(
        modules=[parts.Transformer(body), parts.Pooling(16, pooling_mode=pooling), *more], device="cpu"
    )
    model.save(str(folder))
    return model


@pytest.mark.parametrize("pooling", ["mean", "cls", "max", "lasttoken"])
@pytest.mark.parametrize("last", ["nothing", "normalize", "dense"])
def test_an_encoder_gives_the_vectors_of_sentence_transformers(tmp_path: Path, body: str, pooling: str, last: str):
    more = {"nothing": [], "normalize": [parts.Normalize()], "dense": [parts.Dense(16, 5)]}[last]
    encoder(tmp_path / "st", body, *more, pooling=pooling)
    expected = SentenceTransformer(str(tmp_path / "st"), device="cpu").encode(TEXTS)
    found = open_sentence_folder(tmp_path / "st", {})
    assert found.texts.max_tokens == 32
    assert found.normalised == (last == "normalize")
    np.testing.assert_allclose(found.embed(TEXTS), expected, atol=1e-5)
    # The vector of a text does not depend on the others.
    assert torch.equal(found.embed(TEXTS)[7:9], found.embed(TEXTS[7:9]))


def test_files_of_earlier_versions_prompts_and_lower_case(tmp_path: Path, body: str):
    folder = tmp_path / "st"
    encoder(folder, body)
    # As sentence-transformers 2 wrote them.
    flags = {"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 12, "do_lower_case": true}')
    about = json.loads((folder / "config_sentence_transformers.json").read_text())
    about |= {"prompts": {"query": "the plot "}, "default_prompt_name": "query"}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(about))
    texts = [text.title() for text in TEXTS]
    expected = SentenceTransformer(str(folder), device="cpu").encode(texts)
    found = open_sentence_folder(folder, {})
    assert found.texts.max_tokens == 12
    np.testing.assert_allclose(found.embed(texts), expected, atol=1e-5)
    # The prompt has two tokens more, and two mark start and end.
    longer = sum(len(text.split()) + 4 > 12 for text in texts)
    assert remarks_on(TeacherName(model=str(folder)), from_arrays(texts, origin="pool")) == [
        f"The sentence encoder {folder} reads the first 12 tokens of a text, and {longer} of the {len(texts)} texts of "
        f"pool are longer (teacher.options.max_tokens)."
    ]


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("modules.json", [{"type": "sentence_transformers.models.Transformer", "path": ""}], "has the parts 'Trans"),
        ("modules.json", [{"type": "my.Transformer", "path": ""}, {"type": "my.Pooling", "path": ""}], "has the parts"),
        ("1_Pooling/config.json", {"pooling_mode": ["cls", "mean"]}, "pools tokens by 'cls', 'mean'; one of 'mean'"),
        ("1_Pooling/config.json", {"pooling_mode_weightedmean_tokens": True}, "pools tokens by 'pooling_mode_weighted"),
        ("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}, "has 'model_args', which is"),
        ("sentence_bert_config.json", {"modality_config": {"text": {"method": "generate"}}}, "has 'modality_config'"),
        ("config_setfit.json", {"normalize_embeddings": False}, r"model_head\.pkl\) is a pickle, .*head: refit'"),
    ],
)  # fmt: skip
def test_what_is_not_read_is_named(tmp_path: Path, body: str, file: str, change, words: str):
    encoder(tmp_path / "st", body)
    (tmp_path / "st" / file).write_text(json.dumps(change))
    with pytest.raises(InputError, match=words):
        open_sentence_folder(tmp_path / "st", {})


def test_a_part_outside_the_folder_is_not_read(tmp_path: Path, body: str):
    encoder(tmp_path / "st", body)
    listing = json.loads((tmp_path / "st" / "modules.json").read_text())
    listing[1]["path"] = "../elsewhere"
    (tmp_path / "st" / "modules.json").write_text(json.dumps(listing))
    with pytest.raises(InputError, match="not all of them below its folder"):
        open_sentence_folder(tmp_path / "st", {})


def test_the_head_of_a_setfit_folder_is_fitted_on_the_labels(tmp_path: Path, body: str):
    folder = tmp_path / "setfit"
    encoder(folder, body)
    # As SetFit 1.2 writes it, beside model_head.pkl.
    (folder / "config_setfit.json").write_text('{"normalize_embeddings": true, "labels": ["neg", "pos"]}')
    assert open_sentence_folder(folder, {"head": "refit"}).normalised
    assert not is_brought(TeacherName(model=str(folder)))
    rows = [
        f"{index},{'pos' if text.count('good') > text.count('bad') else 'neg'},{text} {index}"
        for index, text in enumerate(TEXTS)
    ]
    (tmp_path / "all.csv").write_text("\n".join(["key,label,words", *rows]) + "\n")
    content = {
        "data": {
            "files": {"all": {"path": str(tmp_path / "all.csv"), "id": "key", "label": "label", "input": "words"}},
            "rows": {"labelled": 30, "pool": 15, "test": 15},
        },
        "teacher": {"model": str(folder), "options": {"head": "refit"}},
        "student": {"name": "ngram"},
        "train": {"epochs": 1},
        "methods": ["hard"],
        "seeds": [0],
    }
    overproof.run(experiment_from(content), tmp_path / "run")
    written = json.loads((tmp_path / "run" / "inputs.json").read_text())
    assert "modules.json" in json.dumps(written)
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls", "embedding_dimension": 16}')
    with pytest.raises(InputError, match=r"has changed since this run was begun: .*'1_Pooling/config\.json' differs"):
        overproof.run(experiment_from(content), tmp_path / "run")


def test_an_encoder_is_opened_once_for_all_folds_and_the_count_of_cut_texts(tmp_path: Path, body: str, monkeypatch):
    encoder(tmp_path / "st", body)
    rows = [f"{index},{'pos' if index % 2 else 'neg'},{text} {index}" for index, text in enumerate(TEXTS)]
    (tmp_path / "all.csv").write_text("\n".join(["key,label,words", *rows]) + "\n")
    content = {
        "data": {
            "files": {"all": {"path": str(tmp_path / "all.csv"), "id": "key", "label": "label", "input": "words"}},
            "rows": {"labelled": 30, "pool": 30, "test": "cross-validate"},
            "folds": 3,
        },
        "teacher": {"model": str(tmp_path / "st")},
        "student": {"name": "ngram"},
        "train": {"epochs": 1},
        "methods": ["hard"],
        "seeds": [0],
    }
    opened_here, load = [], sentence_folder._loaded
    monkeypatch.setattr(sentence_folder, "_loaded", lambda *given: opened_here.append(given) or load(*given))
    found = overproof.run(experiment_from(content), tmp_path / "run")
    assert any("reads the first 32 tokens of a text" in each for each in found.findings)
    assert len(opened_here) == 1
    # A file that has changed is another encoder.
    (tmp_path / "st" / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls", "embedding_dimension": 16}')
    assert open_sentence_folder(tmp_path / "st", {}).pooling == "cls"
    assert len(opened_here) == 2


def test_weights_of_half_precision_are_said(tmp_path: Path, body: str):
    transformers.BertModel.from_pretrained(body).to(torch.bfloat16).save_pretrained(tmp_path / "half")
    transformers.AutoTokenizer.from_pretrained(body).save_pretrained(tmp_path / "half")
    encoder(tmp_path / "st", str(tmp_path / "half"))
    (said,) = remarks_on(TeacherName(model=str(tmp_path / "st")), from_arrays(["good"], origin="pool"))
    assert "has weights in bfloat16; they are computed with in float32, and sentence-transformers itself" in said


def test_texts_that_an_adapters_encoder_cuts_are_counted(tmp_path: Path, body: str):
    encoder(tmp_path / "st", body)
    named = TeacherName(
        model="adapter", options={"encoder": str(tmp_path / "st"), "encoder_options": {"max_tokens": 9}}
    )
    longer = sum(len(text.split()) + 2 > 9 for text in TEXTS)
    assert remarks_on(named, from_arrays(TEXTS, origin="pool")) == [
        f"The adapter's encoder {tmp_path / 'st'} reads the first 9 tokens of a text, and {longer} of the {len(TEXTS)} "
        f"texts of pool are longer (teacher.options.encoder_options.max_tokens)."
    ]
    assert remarks_on(TeacherName(model="adapter"), from_arrays(np.eye(3), origin="pool")) == []


# --- MLflow

X = np.random.default_rng(0).normal(size=(60, 2))
TABLE = from_arrays(pa.table({"a": X[:, 0], "b": X[:, 1]}), origin="pool")
NAMES = ("yes", "no")


def about(folder: Path, **flavours) -> Path:
    """An `MLmodel`, as MLflow 3.17 writes it."""
    folder.mkdir(exist_ok=True)
    plain = {"python_function": {"loader_module": "mlflow.sklearn"}, **flavours}
    (folder / "MLmodel").write_text(json.dumps({"flavors": plain, "mlflow_version": "3.17.2"}))
    return folder


def test_a_folder_of_mlflow_is_the_model_inside(tmp_path: Path):
    model = LogisticRegression().fit(X, np.where(X[:, 0] > 0, "yes", "no"))
    folder = about(tmp_path / "ml", sklearn={"pickled_model": "model.skops", "serialization_format": "skops"})
    skops.io.dump(model, folder / "model.skops")
    assert is_brought(TeacherName(model=str(folder)))
    found = opened(str(folder), {}, NAMES, examples=TABLE).probs(TABLE)
    np.testing.assert_allclose(found, model.predict_proba(X)[:, [1, 0]])


@pytest.mark.parametrize(
    ("flavours", "words"),
    [
        ({"sklearn": {"pickled_model": "m.pkl", "serialization_format": "cloudpickle"}}, "as cloudpickle, .*'skops'"),
        ({"lightgbm": {"data": "model.lgb"}}, "of the flavour 'lightgbm'; 'transformers', .* mlflow.onnx.save_model"),
        ({"sentence_transformers": {}}, "labels with 'teacher.model: .*/ml/model.sentence_transformer'"),
        ({"onnx": {"data": "../model.onnx"}}, "which is not below its folder"),
        ({"transformers": {"model_binary": "/model"}}, "which is not below its folder"),
        ({"transformers": {"source_model_name": "a/b"}}, "the model 'a/b' and does not hold it; .*pretrained=True"),
        ({"transformers": {"model_binary": "model", "peft_adaptor": "peft"}}, "a PEFT adapter .*merge_and_unload"),
    ],
)  # fmt: skip
def test_other_folders_of_mlflow_say_what_to_do(tmp_path: Path, flavours: dict, words: str):
    folder = about(tmp_path / "ml", **flavours)
    with pytest.raises(InputError, match=words):
        opened(str(folder), {}, NAMES, examples=TABLE)


SPACES = ("low", "mid", "top")


@pytest.fixture
def pipeline(tmp_path: Path, body: str):
    """A pipeline of transformers, and a folder as MLflow 3.17 writes one of it."""
    names = dict(enumerate(SPACES))
    config = transformers.BertConfig.from_pretrained(body, id2label=names, label2id={v: k for k, v in names.items()})
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(config)
    for values in model.parameters():
        if values.ndim > 1:
            torch.nn.init.normal_(values, std=0.7)
    made = transformers.pipeline("text-classification", model=model.eval(), tokenizer=body)
    folder = about(
        tmp_path / "ml",
        transformers={
            "components": ["tokenizer"],
            "instance_type": "TextClassificationPipeline",
            "model_binary": "model",
            "task": "text-classification",
            "torch_dtype": "torch.float32",
        },
    )
    made.model.save_pretrained(folder / "model")
    made.tokenizer.save_pretrained(folder / "components" / "tokenizer")
    return made, folder


def test_a_pipeline_of_transformers_that_mlflow_saved_answers_as_itself(pipeline):
    made, folder = pipeline
    texts = [text for text in TEXTS if len(text.split()) <= 30]
    said = [{each["label"]: each["score"] for each in made(text, top_k=None)} for text in texts]
    wanted = [[each[name] for name in ("top", "low", "mid")] for each in said]
    assert is_brought(TeacherName(model=str(folder)))
    examples = from_arrays(texts, origin="pool")
    found = opened(str(folder), {}, ("top", "low", "mid"), examples=examples)
    np.testing.assert_allclose(found.probs(examples), wanted, atol=1e-5)
    files = MlflowFolder().files(TeacherName(model=str(folder)))
    assert {str(each.relative_to(folder)) for each in files} == {
        "MLmodel", "model/config.json", "model/model.safetensors", "components/tokenizer/tokenizer.json",
        "components/tokenizer/tokenizer_config.json",
    }  # fmt: skip
    # Another tokenizer gives other answers: it is among what they follow from.
    place = folder / "components" / "tokenizer" / "tokenizer_config.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"model_max_length": 20}))
    other = opened(str(folder), {}, SPACES, examples=examples)
    assert other.fingerprint != opened(str(folder), {"max_tokens": 32}, SPACES, examples=examples).fingerprint
    assert other.front.max_tokens == 20


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"task": "zero-shot-classification"}, {}, "pipeline for the task 'zero-shot-classification'; 'text-class"),
        ({"config": {"function_to_apply": "sigmoid"}}, {}, "repeat it as an option: 'teacher.options.scores: sigmoid'"),
        ({"config": {"max_length": 9}}, {}, "repeat it as an option: 'teacher.options.max_tokens: 9'"),
        ({"config": {"max_length": 9}}, {"max_tokens": 9}, ""),
        ({"config": {"function_to_apply": "none", "top_k": 1}}, {}, ""),
    ],
)
def test_a_pipeline_that_mlflow_saved_with_settings(pipeline, change: dict, options: dict, words: str):
    folder, examples = pipeline[1], from_arrays(TEXTS, origin="pool")
    written = json.loads((folder / "MLmodel").read_text())
    written["flavors"]["transformers"] |= {name: each for name, each in change.items() if name == "task"}
    written["flavors"]["python_function"] |= {name: each for name, each in change.items() if name == "config"}
    (folder / "MLmodel").write_text(json.dumps(written))
    if words:
        with pytest.raises(InputError, match=words):
            opened(str(folder), options, SPACES, examples=examples)
    else:
        assert opened(str(folder), options, SPACES, examples=examples).probs(examples).shape == (60, 3)
