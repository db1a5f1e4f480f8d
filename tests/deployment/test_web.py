"""The page of an export reads texts as the student does: every code point, many scripts, in Node and in a browser."""

import functools
import html
import http.server
import json
import re
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch

import overproof
from overproof.commands.main import main
from overproof.data import from_arrays
from overproof.deployment.web import RUNTIME, runtime_files, web_files
from overproof.errors import InputError
from overproof.models import ModelSpec, build, load_student
from overproof.models.ngram_hashes import character_kinds, normalised
from overproof.models.ngrams import Ngrams

NODE, CHROMIUM = shutil.which("node"), shutil.which("chromium")
in_node = pytest.mark.skipif(NODE is None, reason="there is no node on this machine")
# `make bench` installs it.
INSTALLED = Path(sys.prefix) / "node_modules/onnxruntime-web"
with_runtime = pytest.mark.skipif(not INSTALLED.is_dir(), reason="npm has not installed onnxruntime-web")
CLASSES = ("no", "yes", "</script> & ünïcode \u2028")
SETTINGS = [((1, 2), (3, 4), 997, 60), ((2, 3), None, 2**31, 4000), (None, (1, 6), 2, 7), ((1, 1), (4, 4), 2**17, 4000)]

# A block of each kind of script: bicameral, with marks, right to left, syllables, without spaces, of plane 1.
BLOCKS = [
    (0x20, 0x7E), (0xA0, 0x17F), (0x180, 0x24F), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x530, 0x58F),
    (0x590, 0x5FF), (0x600, 0x6FF), (0x900, 0x97F), (0x980, 0x9FF), (0xB80, 0xBFF), (0xE00, 0xE7F), (0x1000, 0x109F),
    (0x10A0, 0x10FF), (0x1100, 0x11FF), (0x13A0, 0x13FF), (0x1780, 0x17FF), (0x1E00, 0x1EFF), (0x1F00, 0x1FFF),
    (0x2000, 0x206F), (0x2100, 0x214F), (0x2460, 0x24FF), (0x3040, 0x30FF), (0x3300, 0x33FF), (0x4E00, 0x4FFF),
    (0xAB70, 0xABBF), (0xAC00, 0xAFFF), (0xF900, 0xFAFF), (0xFB00, 0xFDFF), (0xFE00, 0xFFFF), (0x10400, 0x1044F),
    (0x11080, 0x110CF), (0x1D400, 0x1D7FF), (0x1E900, 0x1E95F), (0x1F300, 0x1F6FF), (0x2F800, 0x2FA1F),
    (0xE0000, 0xE01FF),
]  # fmt: skip
ODD = [
    "", " \t\n", "\0", "a\0b", "so good!", "ＦＵＬＬ　ｗｉｄｔｈ ﬁne ½ ①", "ΣΊΣΥΦΟΣ İstanbul STRASSE straße ẞ",
    "e\u0301te\u0301 नमस्ते สวัสดี", "日本語とカタカナ、漢字テスト", "👍🏽 it's 5*5=25 \u200b zero\u00a0width under_score",
    "x" * 5000, "\U0001f9ea \U00020000", "\U0001f9ea" * 70, "\u1100\u1161\u11a8 \u0344\u0345 \u1e9b\u0323",
    "a\u0378\u0301 \u0378\u0344", "so\u00adft wo\u200drd", "\x1c\x1f\x85\u180e\u2028 \u3000", "ͅΑ ᾳ ᾼ ŉ ǰ ΐ",
    "\uac00\u11a8\u1161", "\U000e0041\ufe0f",
]  # fmt: skip


def texts_of_many_scripts() -> list[str]:
    """500 texts: words of one script, of all mixed, and oddities."""
    draw = np.random.default_rng(0)
    texts = list(ODD)
    while len(texts) < 500:
        blocks = [BLOCKS[len(texts) % len(BLOCKS)]] if len(texts) % 3 else BLOCKS
        codes = [int(draw.integers(low, high + 1)) for low, high in draw.choice(blocks, int(draw.integers(1, 90)))]
        texts.append("".join(" " if draw.random() < 0.15 else chr(code) for code in codes))
    return texts


def shaken(options: dict):
    """A student with random weights, of which all n-grams are known."""
    student = build(ModelSpec(name="ngram", options=options), [from_arrays(["a"])], class_names=CLASSES, seed=0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in student.module.parameters():
            value += 0.2 * torch.randn(value.shape, generator=generator)
        student.module.idf[1:] = 1 + torch.rand(len(student.module.idf) - 1, generator=generator)
    return student


@pytest.fixture(scope="module")
def student():
    return shaken({"buckets": 2**12, "max_characters": 80})


@pytest.fixture(scope="module")
def page(student, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    for name, data in web_files(student, b"no graph", {}).items():
        (folder / name).write_bytes(data)
    return folder


READ = """
import { readFileSync, writeFileSync } from "node:fs";
const [home, asked, answered] = process.argv.slice(2);
const { ngrams, normalised, tokensOf } = await import(`${home}/ngrams.mjs`);
const { texts, settings } = JSON.parse(readFileSync(asked, "utf8"));
const lines = [], kinds = new Uint8Array(0x110000);
for (let code = 0; code < 0x110000; code++) {
  const character = String.fromCodePoint(code);
  if (code < 0xD800 || code >= 0xE000) lines.push(character);
  const tokens = tokensOf(`a${character}a`);
  kinds[code] = { 2: 0, 1: 1, 3: 2 }[tokens.length];
}
writeFileSync(`${answered}.kinds`, kinds);
writeFileSync(`${answered}.lines`, normalised(lines.join("\\n")));
writeFileSync(answered, JSON.stringify(settings.map(
  ([words, characters, buckets, max_characters]) =>
    texts.map(text => ngrams(text, { words, characters, buckets, max_characters })))));
"""


@pytest.fixture(scope="module")
def read_in_node(page):
    """What one process of Node makes of every code point and of the texts."""
    (page / "read.mjs").write_text(READ)
    (page / "asked.json").write_text(json.dumps({"texts": texts_of_many_scripts(), "settings": SETTINGS}))
    command = [NODE, "read.mjs", str(page), "asked.json", "answered"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=page)
    assert done.returncode == 0, done.stderr
    return page


@in_node
def test_every_code_point_is_normalised_and_split_as_in_python(read_in_node):
    kinds = np.frombuffer((read_in_node / "answered.kinds").read_bytes(), np.uint8)
    wanted = character_kinds(0x110000)
    assert [hex(code) for code in np.flatnonzero(kinds != wanted)[:20]] == []
    lines = "\n".join(chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000)
    found = (read_in_node / "answered.lines").read_bytes().decode()
    wanted = normalised(lines, "casefold")
    different = [pair for pair in zip(found.split("\n"), wanted.split("\n"), strict=True) if len(set(pair)) > 1]
    assert different == []
    assert found == wanted
    assert found != lines


@in_node
def test_texts_of_many_scripts_have_the_n_grams_of_the_student(read_in_node):
    texts = texts_of_many_scripts()
    answers = json.loads((read_in_node / "answered").read_text())
    for (words, characters, buckets, most), found in zip(SETTINGS, answers, strict=True):
        cut = pa.array([text[:most] for text in texts], pa.large_string())
        encoded = Ngrams(words=words, characters=characters, buckets=buckets).encode(cut)
        wanted = np.split(encoded.values.numpy(), encoded.offsets.numpy()[1:-1])
        assert len(found) == 500
        for text, own, each in zip(texts, found, wanted, strict=True):
            assert own == each.tolist(), ascii(text)


@in_node
def test_a_browser_of_an_earlier_unicode_version_is_refused(page, tmp_path):
    shutil.copy(page / "ngrams.mjs", tmp_path)
    tables = (page / "unicode.mjs").read_text()
    again = re.sub(r'"sum":\d+', '"sum":1', tables)
    assert again != tables
    (tmp_path / "unicode.mjs").write_text(again)
    done = subprocess.run([NODE, "ngrams.mjs"], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "Error: This browser does not know Unicode" in done.stderr


LOAD = """
import { readFileSync } from "node:fs";
import { Student } from "./classify.mjs";
const ort = { env: { wasm: {} }, InferenceSession: { create: async graph => `${graph.length} bytes` } };
if (process.argv[3] === "insecure") Object.defineProperty(globalThis, "crypto", { value: undefined });
const student = await Student.load(ort, readFileSync(process.argv[2]));
console.log(JSON.stringify([student.session, student.checked]));
"""


@in_node
def test_another_graph_or_table_than_the_pages_own_is_refused(student, tmp_path):
    for name, data in web_files(student, b"the graph", {}).items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "load.mjs").write_text(LOAD)

    def loaded(graph: bytes, *words: str) -> str:
        (tmp_path / "model.onnx").write_bytes(graph)
        command = [NODE, "load.mjs", "model.onnx", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == (1 if done.stderr else 0)
        return done.stdout.strip() or re.search(r"^Error: (.*)$", done.stderr, re.MULTILINE)[1]

    assert loaded(b"the graph") == '["9 bytes",true]'
    again = "copy the whole folder web of the export again."
    other = f"model.onnx is not the graph that about.mjs lists (its SHA-256 differs): {again}"
    assert loaded(b"the grapH") == other
    assert loaded(b"the grap") == f"model.onnx has 8 bytes, and about.mjs lists 9: {again}"
    # A page on plain http has no SHA-256: the size alone is compared, and the page says so.
    assert loaded(b"the graph", "insecure") == '["9 bytes",false]'
    assert loaded(b"the graph!", "insecure") == f"model.onnx has 10 bytes, and about.mjs lists 9: {again}"
    tables = (tmp_path / "unicode.mjs").read_text()
    (tmp_path / "unicode.mjs").write_text(re.sub(r'"version":"[^"]+"', '"version":"1.1.0"', tables, count=1))
    assert loaded(b"the graph") == f"unicode.mjs belongs to another page than about.mjs: {again}"


# --- the folder


@pytest.fixture(scope="module")
def runtime(tmp_path_factory):
    """A folder as npm makes it, with other content."""
    home = tmp_path_factory.mktemp("npm") / "onnxruntime-web"
    (home / "dist").mkdir(parents=True)
    (home / "package.json").write_text('{"name": "onnxruntime-web", "version": "1.30.0"}')
    for name in RUNTIME:
        (home / "dist" / name).write_text(f"// {name}")
    return home


def test_the_folder_is_complete_and_replaced_as_a_whole(student, runtime, tmp_path):
    written = overproof.export(student, tmp_path, web=True, runtime=runtime)
    web = tmp_path / "web"
    listed = json.loads((web / "manifest.json").read_text())["files"]
    assert {each.name for each in web.iterdir()} == {*listed, "manifest.json"} >= set(RUNTIME)
    assert {f"web/{name}" for name in listed} < set(written.files)
    assert written.files[-1] == "manifest.json"
    assert (web / "model.onnx").read_bytes() == (tmp_path / "model.onnx").read_bytes()
    scripts = "".join(each.read_text() for each in sorted(web.glob("*.*")) if each.name not in ("model.onnx", *RUNTIME))
    loaded = set(re.findall(r'(?:src="|(?:from |import\()"\./)([\w.-]+)', scripts))
    assert loaded == {"page.mjs", "about.mjs", "unicode.mjs", "ngrams.mjs", "classify.mjs", RUNTIME[0]}
    before = {each.name: each.read_bytes() for each in web.iterdir()}
    overproof.export(student, tmp_path, web=True, runtime=runtime / "dist")
    assert {each.name: each.read_bytes() for each in web.iterdir()} == before
    overproof.export(student, tmp_path, web=True)
    assert {each.name for each in web.iterdir()} == set(before) - set(RUNTIME)
    assert load_student(tmp_path).class_names == CLASSES
    # What is not of an export stays, and is named.
    (web / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds 'web/notes.txt', which is not part of an export"):
        overproof.export(student, tmp_path)
    (web / "notes.txt").unlink()
    overproof.export(student, tmp_path)
    assert not web.exists()


def test_without_the_runtime_the_command_says_what_to_copy(student, tmp_path, capsys):
    student.save(tmp_path / "student")
    main(["export", str(tmp_path / "student"), "--out", str(tmp_path / "a"), "--web"])
    said = " ".join(capsys.readouterr().err.split())
    assert f"copy {', '.join(RUNTIME)} from the folder dist of that npm package to {tmp_path / 'a/web'}" in said


def test_what_has_no_page_is_refused_and_nothing_is_written(student, runtime, tmp_path):
    table = build("linear", [from_arrays(np.eye(3))], class_names=["no", "yes"], seed=0)
    with pytest.raises(InputError, match=r"^--web is for the student 'ngram'.*for 'linear' leave it out"):
        overproof.export(table, tmp_path, web=True)
    old = replace(student, encoder=replace(student.encoder, normalization="lower"))
    with pytest.raises(InputError, match=r"student 'ngram' is of an earlier version.*: train it again"):
        overproof.export(old, tmp_path, web=True)
    with pytest.raises(InputError, match=r"^--runtime is for the page of --web"):
        overproof.export(student, tmp_path, runtime=runtime)
    assert list(tmp_path.iterdir()) == []


def test_another_folder_than_the_runtime_is_refused(runtime, tmp_path):
    with pytest.raises(InputError, match=r"is not a folder of the npm package onnxruntime-web; `npm install"):
        runtime_files(tmp_path)
    (tmp_path / "package.json").write_text("[1")
    with pytest.raises(InputError, match="is not a folder of the npm package"):
        runtime_files(tmp_path)
    shutil.copy(runtime / "package.json", tmp_path)
    with pytest.raises(InputError, match=r"has no file dist/ort\.wasm\.min\.mjs, so it is another version"):
        runtime_files(tmp_path)
    assert set(runtime_files(runtime)) == set(RUNTIME)


# --- with onnxruntime-web


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A student with a layer, a page with the installed runtime, and the probabilities that `predict` writes."""
    home = tmp_path_factory.mktemp("exported")
    student, texts = shaken({"buckets": 2**14, "dim": 16}), texts_of_many_scripts()
    overproof.export(student, home / "export", web=True, runtime=INSTALLED)
    rows = pa.table({"text": texts, "id": list(map(str, range(500)))})
    pa.parquet.write_table(rows, home / "texts.parquet")
    command = [
        "predict",
        str(home / "export"),
        str(home / "texts.parquet"),
        "--input",
        "text",
        "--id",
        "id",
        "--missing",
        "allow",
    ]
    main([*command, "--out", str(home / "answers.parquet"), "--quiet"])
    answers = pa.parquet.read_table(home / "answers.parquet")
    (home / "texts.json").write_text(json.dumps(texts))
    return home, answers["label"].to_pylist(), np.stack([answers[name].to_numpy() for name in CLASSES], axis=1)


def check_equal(found: dict, labels: list[str], probs: np.ndarray) -> None:
    """The same class for all, and probabilities within 1e-5."""
    assert tuple(found["classes"]) == CLASSES
    own = np.array(found["probs"])
    assert own.shape == probs.shape == (500, 3)
    assert len(set(labels)) == 3
    assert [CLASSES[place] for place in own.argmax(axis=1)] == labels
    assert np.abs(own - probs).max() < 1e-5


IN_NODE = """
import { readFileSync } from "node:fs";
const [home, texts] = process.argv.slice(2);
const ort = await import(`${home}/ort.wasm.min.mjs`);
const { Student } = await import(`${home}/classify.mjs`);
const student = await Student.load(ort, readFileSync(`${home}/model.onnx`));
const probs = [];
const asked = JSON.parse(readFileSync(texts, "utf8"));
for (let row = 0; row < asked.length; row += 64) probs.push(...await student.probs(asked.slice(row, row + 64)));
console.log(JSON.stringify({ classes: student.classNames, probs, none: await student.probs([]) }));
"""

IN_PAGE = """<!DOCTYPE html><body><script type="module">
import * as ort from "./ort.wasm.min.mjs";
import { Student } from "./classify.mjs";
const shown = document.createElement("pre");
try {
  const student = await Student.load(ort, "./model.onnx");
  const asked = await (await fetch("./texts.json")).json(), probs = [];
  for (let row = 0; row < asked.length; row += 64) probs.push(...await student.probs(asked.slice(row, row + 64)));
  const frame = document.createElement("iframe");
  frame.src = "index.html";
  document.body.append(frame);
  const until = async found => { while (!found()) await new Promise(done => setTimeout(done, 20)); };
  await until(() => frame.contentDocument.getElementById("typed")?.disabled === false);
  const inside = frame.contentDocument, typed = inside.getElementById("typed");
  typed.value = asked[4];
  typed.dispatchEvent(new Event("input"));
  await new Promise(done => setTimeout(done, 1000));
  const rows = [...inside.querySelectorAll("tr")].map(row => [...row.cells].map(each => each.textContent));
  const state = inside.getElementById("state").textContent;
  shown.textContent = JSON.stringify({ classes: student.classNames, probs, rows, state });
} catch (error) {
  shown.textContent = JSON.stringify({ error: String(error.stack) });
}
shown.id = "found";
document.body.append(shown);
</script></body>"""


@pytest.mark.slow
@in_node
@with_runtime
def test_node_answers_as_predict_does(exported):
    home, labels, probs = exported
    (home / "ask.mjs").write_text(IN_NODE)
    command = [NODE, "ask.mjs", str(home / "export/web"), "texts.json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=home)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    check_equal(found, labels, probs)
    assert found["none"] == []


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words):
        pass


@pytest.fixture(scope="module")
def served(exported, tmp_path_factory):
    """The address of a copy of the page that stands beside the one of the test."""
    folder = tmp_path_factory.mktemp("served") / "web"
    shutil.copytree(exported[0] / "export/web", folder)
    shutil.copy(exported[0] / "texts.json", folder)
    (folder / "ask.html").write_text(IN_PAGE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def browsed(address: str, home: Path) -> str:
    words = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={home}", "--dump-dom"]
    command = [
        *words,
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--virtual-time-budget=60000",
        address,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
@with_runtime
def test_a_browser_answers_as_predict_does(exported, served, tmp_path):
    _, labels, probs = exported
    shown = browsed(f"{served[1]}/ask.html", tmp_path)
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', shown, re.DOTALL)[1]))
    assert "error" not in found, found
    check_equal(found, labels, probs)
    # The page itself, with one text typed: all classes, likeliest first.
    order = (-probs[4]).argsort()
    assert [row[0] for row in found["rows"]] == [CLASSES[place] for place in order]
    assert [float(row[2]) for row in found["rows"]] == pytest.approx(probs[4][order], abs=6e-5)
    assert found["state"] == "Everything is computed in this page; no text leaves it."


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine")
@with_runtime
def test_the_page_says_what_is_missing(served, tmp_path):
    folder, address = served
    assert "Everything is computed in this page" in browsed(f"{address}/index.html", tmp_path)
    graph = (folder / "model.onnx").read_bytes()
    changed = bytes([*graph[:-1], graph[-1] ^ 1])
    (folder / "model.onnx").write_bytes(changed)
    shown = browsed(f"{address}/index.html", tmp_path)
    assert "The student cannot be loaded: model.onnx is not the graph that about.mjs lists" in shown
    (folder / "model.onnx").write_bytes(graph)
    (folder / RUNTIME[0]).unlink()
    shown = browsed(f"{address}/index.html", tmp_path)
    assert "onnxruntime-web is missing here: copy ort.wasm.min.mjs" in shown
    shown = browsed((folder / "index.html").as_uri(), tmp_path)
    assert "The page needs a web server" in shown
