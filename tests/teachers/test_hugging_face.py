"""A Hugging Face folder answers as transformers itself does, text by text, or says what it is and what to do."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import overproof
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.runs.experiment import experiment_from
from overproof.teachers import opened, remarks_of

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "bad", "so", "fine", "movie", "a", "the", "plot"]
NAMES = ("blue", "green", "red")
DRAW = np.random.default_rng(0)
TEXTS = [" ".join(DRAW.choice(WORDS[4:], size=1 + index % 23)) for index in range(60)]
SMALL = {"vocab_size": len(WORDS), "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
TWICE = {"intermediate_size": 32, "max_position_embeddings": 40, **SMALL}


def tokenizer(*, padding_side: str = "right", pad: bool = True, longest: int = 40, ends: bool = True):
    made = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    if ends:
        made.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    special = {"pad_token": "[PAD]"} if pad else {}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="[UNK]", model_max_length=longest, padding_side=padding_side, **special
    )


def saved(folder: Path, model, front) -> Path:
    torch.manual_seed(0)
    for values in model.parameters():
        if values.ndim > 1:
            torch.nn.init.normal_(values, std=0.7)
    model.eval().save_pretrained(folder)
    front.save_pretrained(folder)
    return folder


def named(count: int = 3) -> dict:
    return {"id2label": dict(enumerate(NAMES[:count])), "label2id": {name: i for i, name in enumerate(NAMES[:count])}}


def bert(folder: Path, front=None, **changes) -> Path:
    config = transformers.BertConfig(**{**TWICE, **named(), **changes})
    return saved(folder, transformers.BertForSequenceClassification(config), front or tokenizer())


def teacher_of(folder: Path, texts=TEXTS, names=NAMES, classes=(), **options):
    return opened(str(folder), options, names, examples=from_arrays(texts, origin="pool"), classes=classes)


def as_the_tool_does(folder: Path, texts=TEXTS, **options) -> np.ndarray:
    """The probabilities of transformers' own pipeline, one text at a time."""
    transformers.utils.logging.set_verbosity_error()
    pipe = transformers.pipeline("text-classification", model=str(folder), device="cpu", dtype=torch.float32)
    order = pipe.model.config.id2label
    found = [{each["label"]: each["score"] for each in pipe(text, top_k=None, **options)} for text in texts]
    return np.array([[row[order[index]] for index in range(len(order))] for row in found])


@pytest.mark.parametrize("side", ["left", "right"])
def test_answers_do_not_depend_on_the_batch_or_on_the_side_of_padding(tmp_path: Path, side: str):
    front = tokenizer(padding_side=side)
    folder = bert(tmp_path / "bert", front)
    expected = as_the_tool_does(folder)
    for size in (1, 7, 32):
        found = teacher_of(folder, batch_size=size).probs(from_arrays(TEXTS, origin="pool"))
        np.testing.assert_allclose(found, expected, atol=1e-5)
    turned = teacher_of(folder).probs(from_arrays(TEXTS[::-1], origin="pool")).flip(0)
    np.testing.assert_allclose(turned, expected, atol=1e-5)
    if side == "left":
        model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
        with torch.no_grad():
            padded = model(**front(TEXTS[:32], padding=True, return_tensors="pt")).logits.softmax(dim=1).numpy()
        assert np.abs(padded - expected[:32]).max() > 0.01, "a batch padded on the left is another answer"


@pytest.mark.parametrize("kind", ["gpt2", "roberta", "distilbert", "xlnet", "deberta", "llama", "modernbert"])
def test_each_kind_of_model_answers_as_in_the_pipeline(tmp_path: Path, kind: str):
    front = tokenizer(ends=kind != "gpt2", pad=kind not in ("gpt2", "llama"), longest=10**30)
    config, made = {
        "gpt2": lambda: (
            transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, n_positions=40, vocab_size=len(WORDS), **named()),
            transformers.GPT2ForSequenceClassification,
        ),
        "roberta": lambda: (
            transformers.RobertaConfig(**{**TWICE, "pad_token_id": 0}, **named()),
            transformers.RobertaForSequenceClassification,
        ),
        "distilbert": lambda: (
            transformers.DistilBertConfig(
                dim=16,
                n_layers=2,
                n_heads=2,
                hidden_dim=32,
                max_position_embeddings=40,
                vocab_size=len(WORDS),
                **named(),
            ),
            transformers.DistilBertForSequenceClassification,
        ),
        "xlnet": lambda: (
            transformers.XLNetConfig(d_model=16, n_layer=2, n_head=2, d_inner=32, vocab_size=len(WORDS), **named()),
            transformers.XLNetForSequenceClassification,
        ),
        "deberta": lambda: (
            transformers.DebertaV2Config(
                **TWICE, **named(), relative_attention=True, position_biased_input=False, pos_att_type=["p2c", "c2p"]
            ),
            transformers.DebertaV2ForSequenceClassification,
        ),
        "llama": lambda: (
            transformers.LlamaConfig(**TWICE, num_key_value_heads=2, **named(), pad_token_id=None),
            transformers.LlamaForSequenceClassification,
        ),
        "modernbert": lambda: (
            transformers.ModernBertConfig(**TWICE, **named(), pad_token_id=0),
            transformers.ModernBertForSequenceClassification,
        ),
    }[kind]()
    folder = saved(tmp_path / kind, made(config), front)
    teacher = teacher_of(folder)
    np.testing.assert_allclose(teacher.probs(from_arrays(TEXTS, origin="pool")), as_the_tool_does(folder), atol=1e-5)
    # Where a table of positions ends, a text does; the two of RoBERTa before the first are none.
    limits = {"gpt2": 40, "roberta": 39, "distilbert": 40}
    assert teacher.front.max_tokens == limits.get(kind, 8192)


def test_texts_are_cut_where_the_model_ends_and_counted(tmp_path: Path):
    folder = bert(tmp_path / "bert", tokenizer(longest=10))
    teacher = teacher_of(folder)
    expected = as_the_tool_does(folder, truncation=True)
    np.testing.assert_allclose(teacher.probs(from_arrays(TEXTS, origin="pool")), expected, atol=1e-5)
    longer = sum(len(text.split()) + 2 > 10 for text in TEXTS)
    assert remarks_of(teacher, from_arrays(TEXTS, origin="pool")) == [
        f"The teacher ({folder}) reads the first 10 tokens of a text, and {longer} of the 60 texts of pool are longer "
        f"(teacher.options.max_tokens)."
    ]
    assert remarks_of(teacher_of(folder, max_tokens=40), from_arrays(TEXTS, origin="pool")) == []
    with pytest.raises(InputError, match=r"max_tokens' is 41; .* has positions for 40 tokens"):
        teacher_of(folder, max_tokens=41)


def test_weights_of_half_precision_are_said(tmp_path: Path):
    folder = bert(tmp_path / "bert")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.bfloat16)
    model.save_pretrained(folder)
    teacher, texts = teacher_of(folder), from_arrays(TEXTS, origin="pool")
    np.testing.assert_allclose(teacher.probs(texts), as_the_tool_does(folder), atol=1e-5)
    assert any(
        "has weights in bfloat16; they are computed with in float32" in each for each in remarks_of(teacher, texts)
    )


def test_one_output_is_the_sigmoid_of_the_second_class(tmp_path: Path):
    texts, two = from_arrays(TEXTS, origin="pool"), ("no", "yes")
    folder = bert(tmp_path / "one", id2label={0: "LABEL_0"}, label2id={"LABEL_0": 0})
    with pytest.raises(InputError, match=r"one output \('LABEL_0'\), the probability of the second .*\[no, yes\]"):
        teacher_of(folder, names=two)
    expected = as_the_tool_does(folder)[:, 0]
    found = teacher_of(folder, names=two, classes=two).probs(texts)
    np.testing.assert_allclose(found[:, 1], expected, atol=1e-5)
    np.testing.assert_allclose(found.sum(dim=1), 1, atol=1e-6)
    folder = bert(tmp_path / "named", id2label={0: "no"}, label2id={"no": 0})
    np.testing.assert_allclose(teacher_of(folder, names=two).probs(texts)[:, 0], expected, atol=1e-5)
    with pytest.raises(InputError, match="one output: 'sigmoid' is needed"):
        teacher_of(folder, names=two, scores="softmax")
    folder = bert(tmp_path / "regression", id2label={0: "no"}, label2id={"no": 0}, problem_type="regression")
    with pytest.raises(InputError, match="its numbers are no probabilities of classes"):
        teacher_of(folder, names=two)


def test_several_labels_an_example_are_asked_for(tmp_path: Path):
    folder = bert(tmp_path / "several", problem_type="multi_label_classification")
    with pytest.raises(
        InputError, match=r"a probability for each class by itself, .*'teacher.options.scores: sigmoid'"
    ):
        teacher_of(folder)
    expected = as_the_tool_does(folder)
    found = teacher_of(folder, scores="sigmoid").probs(from_arrays(TEXTS, origin="pool"))
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True), atol=1e-5)


def test_a_cross_encoder_and_an_adapter_say_what_to_do(tmp_path: Path):
    from sentence_transformers import CrossEncoder

    folder = bert(tmp_path / "bert", id2label={0: "LABEL_0"}, label2id={"LABEL_0": 0})
    CrossEncoder(str(folder), num_labels=1, device="cpu").save_pretrained(str(tmp_path / "cross"))
    with pytest.raises(
        InputError, match=r"is a CrossEncoder of sentence-transformers, which scores pairs .*answers\.csv"
    ):
        teacher_of(tmp_path / "cross", names=("no", "yes"), classes=("no", "yes"))
    earlier = json.loads((folder / "config.json").read_text())
    earlier["sentence_transformers"] = {"activation_fn": "torch.nn.modules.activation.Sigmoid", "version": "4.1.0"}
    (folder / "config.json").write_text(json.dumps(earlier))
    with pytest.raises(InputError, match="is a CrossEncoder"):
        teacher_of(folder, names=("no", "yes"), classes=("no", "yes"))
    # As peft 0.21 writes it.
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    about = {"base_model_name_or_path": "some/base", "peft_type": "LORA", "task_type": "SEQ_CLS"}
    (adapter / "adapter_config.json").write_text(json.dumps(about))
    (adapter / "adapter_model.safetensors").write_bytes(b"")
    with pytest.raises(
        InputError, match=r"PEFT adapter of 'some/base', .*merge_and_unload\(\)\.save_pretrained\('merged'\)"
    ):
        teacher_of(adapter)


def test_a_run_says_how_many_texts_are_cut(tmp_path: Path):
    folder = bert(tmp_path / "bert", tokenizer(longest=10))
    rows = [f"{index},{NAMES[index % 3]},{text}" for index, text in enumerate(TEXTS)]
    (tmp_path / "all.csv").write_text("\n".join(["key,colour,words", *rows]) + "\n")
    experiment = experiment_from(
        {
            "data": {
                "files": {"all": {"path": str(tmp_path / "all.csv"), "id": "key", "label": "colour", "input": "words"}},
                "rows": {"labelled": 15, "pool": 30, "test": 15},
            },
            "teacher": {"model": str(folder)},
            "student": {"name": "ngram"},
            "train": {"epochs": 1},
            "methods": ["hard"],
            "seeds": [0],
        }
    )
    found = overproof.run(experiment, tmp_path / "run")
    longer = sum(len(text.split()) + 2 > 10 for text in TEXTS)
    said = [each for each in found.findings if each.startswith(f"The teacher ({folder}) reads the first 10 tokens")]
    assert [each.split(", and ")[1] for each in said] == [
        f"{longer} of the 60 texts of all (all.csv) are longer (teacher.options.max_tokens)."
    ]
