"""`overproof label --endpoint` is killed again and again: no call that was finished is repeated, none is lost."""

import json
import signal
from collections import Counter

import pytest

from overproof.teachers.endpoint.ledger import read_lines
from tests.teachers.endpoint.model_server import Server

NUM_TEXTS = 60


@pytest.fixture
def server():
    made = Server(seconds=0.02)
    yield made
    made.close()


@pytest.mark.parametrize("sent", [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_no_finished_call_is_repeated_however_often_the_command_is_killed(server, commands, tmp_path, sent):
    rows = [f"{row},note {row} #{'yes' if row % 3 else 'no'}" for row in range(NUM_TEXTS)]
    (tmp_path / "rows.csv").write_text("id,text\n" + "".join(f"{row}\n" for row in rows))
    (tmp_path / "prompt.txt").write_text("{classes}? {text}")
    asked = ["--endpoint", server.url, "--model", "m", "--prompt", tmp_path / "prompt.txt", "--classes", "yes,no"]
    arguments = ["label", tmp_path / "rows.csv", *asked, "--concurrency", "3", "--out", tmp_path / "out"]
    finished, killed = Counter[str](), 0
    for after in (0.4, 0.5):
        sent_before = Counter(server.counts)
        ended = commands(*arguments, sent=sent, after=after)
        assert ended.code in (0, -9 if sent == signal.SIGKILL else 130), ended.err
        killed += ended.code != 0
        assert all(server.counts[prompt] == sent_before[prompt] for prompt in finished), "a finished call is repeated"
        finished = Counter(line["body"]["prompt"] for line in read_lines(tmp_path / "out") if "body" in line)
    assert killed, "the signals came too late"
    assert len(finished) > 0
    before = Counter(server.counts)
    assert commands(*arguments, "--quiet").code == 0
    assert all(server.counts[prompt] == before[prompt] for prompt in finished)
    lines = [line["body"]["prompt"] for line in read_lines(tmp_path / "out") if "body" in line]
    assert sorted(lines) == sorted(server.counts), "each question has one answer"
    assert len(lines) == NUM_TEXTS
    # What was under way when the signal came was asked twice, and no more than that.
    assert sum(server.counts.values()) <= NUM_TEXTS + 3 * killed
    answers = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    assert [each["label"] for each in answers] == ["yes" if row % 3 else "no" for row in range(NUM_TEXTS)]
