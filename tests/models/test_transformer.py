"""A small transformer as student, and first weights from a file."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers

import overproof
from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.models import ModelSpec, build, load_student
from overproof.models.transformer import Transformer
from overproof.runs.experiment import experiment_from
from overproof.synthetic import blobs
from overproof.training.options import TrainOptions

WORDS = ["[PAD]", "[UNK]", "good", "bad", "film", "very", "not"]
NAMES = ("no", "yes")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration and its tokenizer, as `save_pretrained` leaves them, and weights of three classes."""
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
        max_position_embeddings=16, num_labels=3, hidden_dropout_prob=0.1,
    )  # fmt: skip
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path / "tiny")
    tokenizer.save(str(tmp_path / "tiny/tokenizer.json"))
    return tmp_path / "tiny"


def spec_of(folder: Path, **more) -> ModelSpec:
    return ModelSpec(name="transformer", options={"config": str(folder), "max_tokens": 8}, **more)


TEXTS = ["good film", "bad film", "very good", "very bad", "not bad film", "good"] * 10
LABEL = [1, 0, 1, 0, 0, 1] * 10


def test_it_says_what_the_library_says(folder: Path):
    examples = from_arrays(["good film not", "bad", ""])
    student = build(spec_of(folder), [examples], class_names=("a", "b", "c"), seed=0)
    inner = student.module.model.eval()
    with torch.no_grad():
        alone = [inner(input_ids=torch.tensor([ids])).logits[0] for ids in ([2, 4, 6], [3], [0])]
    torch.testing.assert_close(student.logits(examples), torch.stack(alone), atol=1e-5, rtol=1e-4)
    assert not torch.equal(student.fresh(seed=1).logits(examples), student.logits(examples))
    assert torch.equal(student.fresh(seed=0).logits(examples), student.logits(examples))


def test_it_learns_is_saved_whole_and_predicts_where_its_folder_is_gone(folder: Path, tmp_path: Path):
    answers = torch.nn.functional.one_hot(torch.tensor(LABEL), 2).float()
    train = TrainOptions(epochs=12, batch_size=16, learning_rate=0.01)
    results = [
        overproof.distill(
            spec_of(folder), TEXTS[20:], answers[20:], TEXTS[:20], LABEL[:20], answers[:20], method="slam",
            class_names=NAMES, train=train,
        )
        for _ in range(2)
    ]  # fmt: skip
    probs = results[0].student.probs(TEXTS)
    assert torch.equal(probs, results[1].student.probs(TEXTS))
    assert (probs.argmax(dim=1) == torch.tensor(LABEL)).float().mean() > 0.9
    results[0].student.save(tmp_path / "student")
    for path in folder.iterdir():
        path.unlink()
    assert torch.equal(load_student(tmp_path / "student").probs(TEXTS), probs)


def test_a_start_from_a_file_is_what_the_file_says_but_for_the_head(folder: Path):
    weights, examples = folder / "model.safetensors", from_arrays(TEXTS[:2])
    with pytest.raises(InputError, match=r"shapes differ: .*classifier\.weight' is \(3, 8\) and must be \(2, 8\)"):
        build(spec_of(folder, start=str(weights)), [examples], class_names=NAMES, seed=0)
    spec = spec_of(folder, start=str(weights), afresh=("classifier",))
    student = build(spec, [examples], class_names=NAMES, seed=0)
    given = safetensors.torch.load(weights.read_bytes())
    own = student.module.state_dict()
    assert all(torch.equal(own[f"model.{name}"], value) for name, value in given.items() if "classifier" not in name)
    # Every method's student starts there, and the answers kept under it know the file.
    assert torch.equal(student.fresh(seed=0).logits(examples), student.logits(examples))
    assert "start=" in repr(student.spec)
    assert "start" not in repr(ModelSpec(name="mlp"))


def test_a_saved_student_starts_another(tmp_path: Path):
    world = blobs(num_examples=60, num_classes=3, seed=0)
    examples = from_arrays(world.inputs)
    first = build("mlp", [examples], class_names=("a", "b", "c"), seed=0)
    first.save(tmp_path / "first")
    start = str(tmp_path / "first/student.safetensors")
    again = build(ModelSpec(name="mlp", start=start), [examples], class_names=("a", "b", "c"), seed=1)
    assert torch.equal(again.logits(examples), first.logits(examples))
    wider = ModelSpec(name="mlp", options={"hidden": [4]}, start=start)
    with pytest.raises(InputError, match=r"student\.start '.*' does not match the module; shapes differ") as refusal:
        build(wider, [examples], class_names=("a", "b", "c"), seed=0)
    assert "\n" not in str(refusal.value)
    other = ModelSpec(name="linear", start=start)
    with pytest.raises(InputError, match="tensors are unknown: "):
        build(other, [examples], class_names=("a", "b", "c"), seed=0)


def test_what_is_fitted_on_the_pool_stays_its_own(tmp_path: Path):
    generator = torch.Generator().manual_seed(0)
    dark = torch.randint(0, 50, (20, 1, 8, 8), generator=generator, dtype=torch.uint8)
    first = build("cnn", [from_arrays(dark)], class_names=NAMES, seed=0)
    first.save(tmp_path / "first")
    spec = ModelSpec(name="cnn", start=str(tmp_path / "first/student.safetensors"))
    second = build(spec, [from_arrays(dark + 200)], class_names=NAMES, seed=1).fresh(seed=2)
    one, two = first.module.state_dict(), second.module.state_dict()
    torch.testing.assert_close(two["front.mean"], one["front.mean"] + 200)
    assert all(torch.equal(one[name], two[name]) for name in one if name.startswith("body"))
    # A file without them is as good.
    bare = {name.removeprefix("body."): value for name, value in one.items() if name.startswith("body")}
    safetensors.torch.save_file(bare, tmp_path / "bare.safetensors")
    spec = ModelSpec(name="cnn", start=str(tmp_path / "bare.safetensors"))
    third = build(spec, [from_arrays(dark)], class_names=NAMES, seed=1)
    assert torch.equal(third.logits(dark), first.logits(dark))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "Option config of student 'transformer' is missing"),
        ({"config": "nowhere"}, r"config of student 'transformer': .*No such file"),
        ({"config": {"hidden_size": 8}}, "has no model_type"),
        ({"config": {"model_type": "bertt"}}, "is not valid for a classifier"),
        ({"max_tokens": 17}, "max_position_embeddings 16"),
        ({"tokenizer": "nowhere"}, r"tokenizer of student 'transformer': nowhere.tokenizer\.json: No such file"),
        ({"confg": 1}, "nearest: 'config'"),
    ],
)
def test_what_makes_no_transformer_is_refused(folder: Path, options: dict, words: str):
    examples = from_arrays(TEXTS[:2])
    named = {"config": str(folder), "tokenizer": str(folder), "max_tokens": 8} if options else {}
    with pytest.raises(InputError, match=words):
        build(ModelSpec(name="transformer", options={**named, **options}), [examples], class_names=NAMES, seed=0)


def test_a_tokenizer_of_more_words_than_the_configuration_is_refused(folder: Path):
    config = json.loads((folder / "config.json").read_text())
    options = {"config": {**config, "vocab_size": 3}, "tokenizer": str(folder), "max_tokens": 8}
    with pytest.raises(InputError, match="vocab_size 3, but the tokenizer has 7 tokens"):
        build(ModelSpec(name="transformer", options=options), [from_arrays(TEXTS[:2])], class_names=NAMES, seed=0)


def test_an_experiment_says_where_its_student_starts():
    data = {"files": {"all": {"path": "a.csv"}}, "rows": {"labelled": 3, "pool": 10, "test": 5}}
    student = {"name": "mlp", "start": "w.safetensors", "afresh": ["body.4"]}
    spec = experiment_from({"data": data, "student": student}).student.spec
    assert (spec.start, spec.afresh) == ("w.safetensors", ("body.4",))
    with pytest.raises(InputError, match=r"cannot be read"):
        build(spec, [from_arrays(torch.zeros(3, 2))], class_names=NAMES, seed=0)


CONFIG = {"model_type": "bert", "vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}


@pytest.mark.parametrize(
    "named",
    [
        {"auto_map": {"AutoModelForSequenceClassification": "code.Net"}},
        {"attn_implementation": "somebody/attention"},
        {"_attn_implementation": "somebody-attention"},
        {"quantization_config": {"quant_method": "somebody"}},
        {"backbone": "somebody"},
        {"inner": [{"tokenizer": "../elsewhere"}]},
    ],
)
def test_a_configuration_that_names_code_or_another_model_is_refused(named, monkeypatch):
    monkeypatch.setattr(transformers.AutoConfig, "for_model", lambda *words, **more: pytest.fail("it was used"))
    with pytest.raises(InputError, match=r"config of student 'transformer' has '.*remove this key"):
        Transformer({**CONFIG, **named}, 2)


def test_names_in_a_configuration_that_lead_nowhere_are_allowed():
    named = {"_name_or_path": "somebody/model", "id2label": {"0": "a/b"}, "attn_implementation": "eager"}
    config = {**CONFIG, **named, "intermediate_size": 8, "max_position_embeddings": 8}
    assert Transformer(config, 2)(torch.tensor([[1, 2, 0]])).shape == (1, 2)
