"""The server answers what `overproof predict` writes, refuses in one sentence, counts, and stops on SIGTERM."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

import uvicorn
from starlette.testclient import TestClient

from overproof.commands.main import main
from overproof.data import from_arrays
from overproof.data.examples import build as examples_of
from overproof.deployment.abstention import Abstention
from overproof.deployment.serving import Answerer, Limits, asgi_app
from overproof.errors import InputError
from overproof.models import ModelSpec, build
from overproof.models.saved.data_columns import DataColumns, with_columns
from overproof.storage.manifest import write_folder

CLASSES = ("no", "yes", "per\u2028haps")
TEXTS = ["so good!", "日本語 naïve ﬁne", "a" * 3000, "=1+1", '"quoted"\nline', "2020-01-01", "17", " ", "so good?"]
ROWS = [
    {"size": 3, "word": "red", "flag": True, "key": "a1", "other": [1]},
    {"size": 1e-300, "word": "größer", "flag": False, "key": "a2"},
    {"size": None, "word": None, "flag": None, "key": "a3", "other": None},
    {"size": -12345678901234, "word": "never seen", "flag": True, "key": "007"},
]


def moved(student):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in student.module.parameters():
            value += 0.3 * torch.randn(value.shape, generator=generator)
    return student


@pytest.fixture(scope="module")
def reader():
    """A student of texts, of which all n-grams are known."""
    spec = ModelSpec(name="ngram", options={"buckets": 2**10, "dim": 8})
    student = moved(build(spec, [from_arrays(TEXTS)], class_names=CLASSES, seed=0))
    student.module.idf[1:] = 1.0
    return student


@pytest.fixture(scope="module")
def tabular():
    """A student of a table in which every column had gaps."""
    draw = np.random.default_rng(0)
    table = pa.table(
        {
            "size": pa.array(draw.normal(3, 2, 60), mask=np.arange(60) % 7 == 3),
            "word": pa.array(np.array(["red", "größer", "007"])[np.arange(60) % 3], pa.large_string()),
            "flag": pa.array(draw.random(60) < 0.5, mask=np.arange(60) % 5 == 1),
        }
    )
    label = torch.full((60,), -1)
    examples = examples_of(inputs=table, label=label, class_names=(), keys=None, origin="table")
    return moved(build(ModelSpec(name="mlp"), [examples], class_names=["no", "yes"], seed=0))


def saved(student, folder, columns):
    write_folder(folder, with_columns(student.files(), columns), kind="student")
    return folder


def client(student, **options) -> TestClient:
    return TestClient(asgi_app(Answerer(student=student, **options)), raise_server_exceptions=False)


def predicted(folder, file, *more: str) -> pa.Table:
    """What the command writes."""
    target = file.with_suffix(".answers.parquet")
    main(["predict", str(folder), str(file), "--out", str(target), "--quiet", *more])
    return pq.read_table(target)


def check_same(answers: list[dict], table: pa.Table, class_names: tuple[str, ...]) -> None:
    """Every value is the same, to the last bit."""
    assert [each["id"] for each in answers] == table["id"].to_pylist()
    assert [each["label"] for each in answers] == table["label"].to_pylist()
    assert {tuple(each["probs"]) for each in answers} == {class_names}
    for name in class_names:
        found = np.array([each["probs"][name] for each in answers])
        assert (found == table[name].to_numpy().astype(np.float64)).all()
    assert len({tuple(each["probs"].values()) for each in answers}) == len(answers) > 1


def test_texts_have_the_answers_of_predict(reader, tmp_path):
    pq.write_table(pa.table({"Review": TEXTS}), tmp_path / "texts.parquet")
    folder = saved(reader, tmp_path / "student", DataColumns(input="Review", gaps=True))
    wanted = predicted(folder, tmp_path / "texts.parquet")
    served = client(reader, columns=DataColumns(input="Review", gaps=True))
    found = served.post("/predict", json={"texts": TEXTS})
    assert found.status_code == 200
    assert found.headers["content-type"] == "application/json"
    check_same(found.json()["answers"], wanted, CLASSES)
    assert found.json()["remarks"] == []
    assert "abstained" not in found.json()["answers"][0]
    rows = [{"Review": text, "unread": [place]} for place, text in enumerate(TEXTS)]
    assert served.post("/predict", json={"rows": rows}).json() == found.json()


@pytest.mark.parametrize("ending", ["jsonl", "csv"])
def test_rows_have_the_answers_of_predict(tabular, tmp_path, ending):
    file = tmp_path / f"rows.{ending}"
    if ending == "jsonl":
        file.write_text("".join(f"{json.dumps(row)}\n" for row in ROWS))
    else:
        cells = [
            "size,word,flag,key",
            "3,red,true,a1",
            "1e-300,größer,false,a2",
            ",,,a3",
            "-12345678901234,never seen,true,007",
        ]
        file.write_text("\n".join(cells))
    columns = DataColumns(id="key", gaps=True)
    wanted = predicted(saved(tabular, tmp_path / "student", columns), file)
    found = client(tabular, columns=columns).post("/predict", json={"rows": ROWS}).json()
    check_same(found["answers"], wanted, ("no", "yes"))
    assert [each["id"] for each in found["answers"]] == ["a1", "a2", "a3", "007"]
    assert any(
        "'word' holds a category that the student does not know in 1 of 4 rows" in each for each in found["remarks"]
    )
    # Without the column of ids, the ids are those of the content.
    bare = [{name: value for name, value in row.items() if name != "key"} for row in ROWS]
    again = client(tabular, columns=columns).post("/predict", json={"rows": bare}).json()
    assert [each["probs"] for each in again["answers"]] == [each["probs"] for each in found["answers"]]
    assert {len(each["id"]) for each in again["answers"]} == {32}


def test_with_a_threshold_it_abstains_below(reader):
    all_of_them = client(reader).post("/predict", json={"texts": TEXTS[:7]}).json()["answers"]
    sure = sorted(max(each["probs"].values()) for each in all_of_them)
    counts = {"num_calibration": 100, "num_accepted": 50, "num_wrong": 0}
    abstention = Abstention(risk=0.1, confidence=0.9, threshold=sure[3], bound=0.1, **counts)
    served = client(reader, abstention=abstention)
    answers = served.post("/predict", json={"texts": TEXTS[:7]}).json()["answers"]
    assert [each["abstained"] for each in answers] == [max(each["probs"].values()) <= sure[3] for each in answers]
    assert [each["label"] is None for each in answers] == [each["abstained"] for each in answers]
    assert sum(each["abstained"] for each in answers) == 4
    assert [each["probs"] for each in answers] == [each["probs"] for each in all_of_them]
    assert served.get("/health").json()["threshold"] == sure[3]
    assert "overproof_abstained_total 4.0" in served.get("/metrics").text


@pytest.mark.parametrize(
    ("body", "code", "sentence"),
    [
        (b"", 400, r"^The body is not JSON in UTF-8 \(.*\); \{\"texts\": .* is allowed\.$"),
        (b"\xff\xfe{", 400, r"^The body is not JSON in UTF-8"),
        (b"[" * 100_000, 400, r"^The body is not JSON in UTF-8"),
        (b'{"texts": ["a"], "texts": ["b"]}', 400, r"an object has the key 'texts' twice"),
        (b'{"texts": ["a"], "rows": []}', 400, r"^The body is not \{\"texts\""),
        (b'["a"]', 400, r"^The body is not \{\"texts\""),
        (b'{"text": ["a"]}', 400, r"^The body is not \{\"texts\""),
        (b'{"texts": "a"}', 400, r"^'texts' is not a list with at least one entry"),
        (b'{"texts": []}', 400, r"^'texts' is not a list with at least one entry"),
        (b'{"texts": ["a", null]}', 400, r"^Entry 1 of 'texts' \(counting from 0\) is not a text\.$"),
        (b'{"rows": ["a"]}', 400, r"^Entry 0 of 'rows' \(counting from 0\) is not an object"),
        (b'{"rows": [{"other": "a"}]}', 422, r"^No entry of 'rows' has the field 'text'; the student reads 'text': "),
        (b'{"rows": [{"text": "a"}, {"text": 3}]}', 422, r"^Entry 1 of 'rows' \(.*\) has 3 in field 'text'; .* a text"),
        (b'{"rows": [{"text": "a"}, {}]}', 422, r"^Entry 1 of 'rows' \(counting from 0\) has no value in field 'text'"),
        (b'{"rows": [{"text": "a"}, {"text": " "}]}', 422, r"^The request has no text in field 'text', row 1 "),
        (b'{"texts": ["a", ""]}', 422, r"^Entry 1 of 'texts' \(counting from 0\) is blank; every entry needs a"),
        (b'{"texts": ["a", "\\ud800"]}', 422, r"^Entry 1 of 'texts' \(counting from 0\) holds \\ud800, half of a pair"),
        (b'{"rows": [{"text": "\\ud800"}]}', 422, r"^Entry 0 of 'rows' \(.*\) has \\ud800 in field 'text', half"),
        (json.dumps({"texts": ["a"] * 6}).encode(), 413, r"^'texts' has 6 entries; at most 5 are allowed"),
        (json.dumps({"texts": ["a" * 200_000]}).encode(), 413, r"^The body has more than 150000 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused_in_a_sentence(reader, body, code, sentence):
    served = client(reader, limits=Limits(rows=5, num_bytes=150_000))
    found = served.post("/predict", content=body)
    assert found.status_code == code
    assert list(found.json()) == ["error"]
    assert re.search(sentence, found.json()["error"])
    assert found.json()["error"].endswith(".")
    assert not re.search(r"jsonl|column '|`missing`|--|/tmp", found.json()["error"])
    assert str(code) in served.get("/metrics").text


def test_a_table_refuses_texts_other_types_and_repeated_ids(tabular, reader):
    served = client(tabular, columns=DataColumns(id="key", gaps=True))
    for content, code, sentence in (
        ({"texts": ["a"]}, 400, "This student reads columns and no texts"),
        (
            {"rows": [{"size": 1}]},
            422,
            "No entry of 'rows' has the field 'word'; the student reads 'size', 'word', "
            "'flag': send all of them, null where an entry has no value.",
        ),
        ({"rows": [{"Size": 1, "word": "red", "flag": True}]}, 422, "has the field 'size' (nearest: 'Size')"),
        ({"rows": [{"other": 1}]}, 422, "No entry of 'rows' has the field 'size'"),
        (
            {"rows": [ROWS[0], ROWS[1] | {"size": "large"}]},
            422,
            "Entry 1 of 'rows' (counting from 0) has 'large' in field 'size'; the student reads a number there.",
        ),
        ({"rows": [ROWS[0] | {"flag": 1}]}, 422, "has 1 in field 'flag'; the student reads true or false there."),
        ({"rows": [ROWS[0] | {"word": ["red"]}]}, 422, "has ['red'] in field 'word'; the student reads a text there."),
        ({"rows": [ROWS[0], ROWS[0]]}, 422, "The request has the id 'a1' in field 'key' twice, in row 0 and row 1"),
        ({"rows": [ROWS[0], {**ROWS[1], "key": None}]}, 422, "Entry 1 of 'rows' (counting from 0) has no id in field"),
        ({"rows": [ROWS[0], {k: v for k, v in ROWS[1].items() if k != "key"}]}, 422, "which other entries have"),
    ):
        found = served.post("/predict", json=content)
        assert found.status_code == code, found.text
        assert sentence in found.json()["error"]
        assert not re.search(r"jsonl|column '|`missing`|--|/tmp", found.json()["error"])
    endless = json.dumps({"rows": [ROWS[0] | {"size": float("inf")}]})
    assert "has inf in field 'size'; a number must be" in served.post("/predict", content=endless).json()["error"]
    images = build("linear", [from_arrays(np.zeros((2, 4, 4), np.uint8))], class_names=["a", "b"], seed=0)
    with pytest.raises(InputError, match="this one reads images"):
        Answerer(student=images)


def test_a_field_without_values_is_missing_where_values_were_missing_in_training(tabular):
    served = client(tabular, columns=DataColumns(gaps=True))
    # No row has a size, which was missing in training; the others are there, and one is no date although it looks so.
    rows = [{"word": "red", "flag": True}, {"word": "2020-01-01", "flag": None}]
    found = served.post("/predict", json={"rows": rows}).json()
    given = served.post("/predict", json={"rows": [{"size": None, **row} for row in rows]}).json()
    assert found == given
    assert "A value is missing in field 'size' in 2 of 2 rows; the student reads it as missing." in found["remarks"]
    single = served.post("/predict", json={"rows": rows[1:]})
    assert single.status_code == 200, single.text
    assert single.json()["answers"][0]["probs"] == pytest.approx(found["answers"][1]["probs"], abs=1e-6)
    # A field that the student does not read may hold anything.
    noted = [{**rows[0], "size": 1, "note": [1]}, {**rows[1], "size": 2, "note": "x"}]
    assert served.post("/predict", json={"rows": noted}).status_code == 200
    # Without gaps in training every entry needs a value, and is named where it has none.
    table = pa.table({"size": np.arange(20.0), "word": ["red", "blue"] * 10})
    full = client(moved(build(ModelSpec(name="mlp"), [from_arrays(table)], class_names=["no", "yes"], seed=0)))
    for rows, sentence in (
        ([{"word": "red"}], "No entry of 'rows' has the field 'size'; the student reads 'size', 'word': send all of "
         "them."),
        ([{"size": 1, "word": "red"}, {"word": "red"}], "Entry 1 of 'rows' (counting from 0) has no value in field "
         "'size'; the student reads one in every row."),
        ([{"size": 1, "word": None}], "Entry 0 of 'rows' (counting from 0) has no value in field 'word'; the student "
         "reads one in every row."),
    ):  # fmt: skip
        assert full.post("/predict", json={"rows": rows}).json() == {"error": sentence}
    # Gaps elsewhere do not make this one allowed.
    some = pa.table({"size": np.arange(20.0), "high": pa.array([None, 1.0] * 10), "word": ["red", "blue"] * 10})
    mixed = client(
        moved(build(ModelSpec(name="mlp"), [from_arrays(some, missing="allow")], class_names=["no", "yes"], seed=0)),
        columns=DataColumns(gaps=True),
    )
    assert mixed.post("/predict", json={"rows": [{"size": 1, "word": "red"}]}).status_code == 200
    refused = mixed.post("/predict", json={"rows": [{"high": 1, "word": "red"}, {"size": None, "word": "red"}]})
    assert refused.json()["error"].startswith("Entry 0 of 'rows' (counting from 0) has no value in field 'size'")


def test_a_text_of_several_fields_may_lack_one_that_is_null(reader):
    served = client(reader, columns=DataColumns(input=("title", "body")))
    assert served.post("/predict", json={"rows": [{"title": "a", "body": None}]}).status_code == 200
    assert (
        "No entry of 'rows' has the field 'body'; the student reads 'title', 'body': send all of them, null where"
        in (served.post("/predict", json={"rows": [{"title": "a"}]}).json()["error"])
    )
    blank = served.post("/predict", json={"rows": [{"title": " ", "body": None}]}).json()["error"]
    assert blank == "The request has no text in fields 'title', 'body', row 0 (counting from 0); every row needs one."
    allowed = client(reader, columns=DataColumns(input=("title", "body"), gaps=True))
    assert allowed.post("/predict", json={"rows": [{"title": "a"}]}).status_code == 200
    assert allowed.post("/predict", json={"rows": [{"subject": "a"}]}).status_code == 422


def test_other_addresses_and_methods(reader):
    served = client(reader)
    for answer, code in ((served.get("/"), 404), (served.get("/predict"), 405), (served.post("/health"), 405)):
        assert answer.status_code == code
        assert answer.json()["error"].endswith("is not served; POST /predict, GET /health and GET /metrics are.")
    metrics = served.get("/metrics").text
    assert 'overproof_requests_total{code="404",path="other"} 1.0' in metrics
    assert 'overproof_requests_total{code="405",path="/predict"} 1.0' in metrics


def test_health_says_what_is_served_and_metrics_count(reader, tabular):
    served = client(reader, columns=DataColumns(input=("title", "body")))
    assert served.get("/health").json() == {
        "status": "ok", "student": "ngram", "reads": "text", "columns": ["title", "body"], "class_names": list(CLASSES),
        "threshold": None, "max_rows": 1024, "max_bytes": 4194304, "max_waiting": 256,
    }  # fmt: skip
    assert client(tabular).get("/health").json()["columns"] == ["size", "word", "flag"]
    for _ in range(3):
        served.post("/predict", json={"texts": ["a", "b"]})
    served.post("/predict", content=b"no")
    found = served.get("/metrics")
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        'overproof_requests_total{code="200",path="/predict"} 3.0',
        'overproof_requests_total{code="400",path="/predict"} 1.0',
        "overproof_errors_total 1.0",
        "overproof_rows_total 6.0",
        "overproof_abstained_total 0.0",
        'overproof_predict_seconds_bucket{le="+Inf"} 4.0',
        "overproof_predict_seconds_count 4.0",
    ):
        assert line in found.text.splitlines()


def test_a_fault_of_the_server_is_told_and_counted(reader, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError

    monkeypatch.setattr(Answerer, "answer", broken)
    served = client(reader)
    found = served.post("/predict", json={"texts": ["a"]})
    assert (found.status_code, found.json()) == (500, {"error": "The server failed; its log says why."})
    assert "overproof_errors_total 1.0" in served.get("/metrics").text


@contextmanager
def served_at(answerer):
    """The address of a server with a port of its own."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(asgi_app(answerer), log_config=None, lifespan="off", ws="none", http="h11")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    server.should_exit = True
    thread.join()
    listening.close()


@pytest.fixture
def address(reader):
    with served_at(Answerer(student=reader)) as found:
        yield found


def asked(address: str, texts: list[str]) -> list[dict]:
    request = urllib.request.Request(f"{address}/predict", json.dumps({"texts": texts}).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["answers"]


def test_clients_at_the_same_time_get_their_own_answers(reader, address):
    texts = [[f"{client} {number}" for number in range(1 + client % 4)] for client in range(12)]
    found: dict[int, list[dict]] = {}
    threads = [
        threading.Thread(target=lambda place=place, own=own: found.update({place: asked(address, own)}))
        for place, own in enumerate(texts)
    ]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for place, own in enumerate(texts):
        wanted = reader.probs(own).numpy()
        probs = np.array([list(each["probs"].values()) for each in found[place]])
        assert (probs == wanted.astype(np.float64)).all()


def test_a_request_too_many_is_told_to_come_again(reader, monkeypatch):
    answer, begun, go_on = Answerer.answer, threading.Event(), threading.Event()

    def slow(*arguments):
        begun.set()
        assert go_on.wait(30)
        return answer(*arguments)

    monkeypatch.setattr(Answerer, "answer", slow)
    with served_at(Answerer(student=reader, limits=Limits(waiting=1))) as address:
        found: list[list[dict]] = []
        first = threading.Thread(target=lambda: found.append(asked(address, ["a"])))
        first.start()
        assert begun.wait(30)
        with pytest.raises(urllib.error.HTTPError) as refused:
            asked(address, ["b"])
        assert (refused.value.code, refused.value.headers["retry-after"]) == (503, "1")
        sentence = "1 request is answered or waiting, and no more may be; ask again in a second."
        assert json.loads(refused.value.read()) == {"error": sentence}
        go_on.set()
        first.join()
        assert len(found[0]) == len(asked(address, ["b"])) == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--max-rows", "0"], "--max-rows is 0; at least 1 is allowed."),
        (["--max-waiting", "0"], "--max-waiting is 0; at least 1 is allowed."),
        (["--port", "70000"], "--port is 70000; 0 to 65535 are allowed."),
        (["--label", "x"], "--calibrate and --label choose a threshold for --risk, which is not given."),
        (["--port", "TAKEN"], r"--host '127.0.0.1' with --port \d+ cannot be listened at (.*); choose others."),
        (["--host", "203.0.113.1"], "--host '203.0.113.1' with --port 8000 cannot be listened at"),
    ],
)
def test_options_that_cannot_be_are_refused(reader, tmp_path, capsys, words, sentence):
    folder = saved(reader, tmp_path / "student", DataColumns())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words = [str(taken.getsockname()[1]) if word == "TAKEN" else word for word in words]
        with pytest.raises(SystemExit) as stopped:
            main(["serve", str(folder), *words])
    assert stopped.value.code == 2
    assert re.search(sentence.replace("(.*)", r"\(.*\)"), " ".join(capsys.readouterr().err.split()))


def test_answers_are_sent_at_once(reader, tmp_path, monkeypatch):
    """asyncio turns off Nagle's algorithm, which delays answers by 40 ms, for sockets that name their protocol."""
    found = []
    monkeypatch.setattr("overproof.deployment.serving.serve", lambda answerer, listening: found.append(listening.proto))
    main(["serve", str(saved(reader, tmp_path / "student", DataColumns())), "--port", "0"])
    assert found == [socket.IPPROTO_TCP]


def test_a_changed_folder_is_not_served(reader, tmp_path, capsys):
    folder = saved(reader, tmp_path / "student", DataColumns())
    weights = folder / "student.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(SystemExit) as stopped:
        main(["serve", str(folder), "--port", "0"])
    assert stopped.value.code == 2
    assert "its SHA-256 differs" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_lets_requests_end_and_gives_the_exit_code_of_every_command(reader, tmp_path, number, code):
    folder = saved(reader, tmp_path / "student", DataColumns())
    command = [sys.executable, "-m", "overproof", "serve", str(folder), "--port", "0", "--json", "--quiet"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        lines = ""
        while "\n}" not in lines:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            lines += line
        about = json.loads(lines)
        texts = ["x" * 2000] * 1000
        found: list[list[dict]] = []
        thread = threading.Thread(target=lambda: found.append(asked(about["address"], texts)))
        thread.start()
        time.sleep(0.3)
        process.send_signal(number)
        thread.join()
        assert process.wait(timeout=60) == code
        # There is nothing to resume.
        assert process.stderr.read() == "overproof: stopped.\n"
    assert [len(each) for each in found] == [1000]
