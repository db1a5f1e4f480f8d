"""A job against a server that fails in every way: each question is asked once, and failures are no answers."""

import random
import socket
import time
from email.utils import formatdate

import pytest

from overproof.errors import InputError
from overproof.progress import Silent
from overproof.teachers.endpoint.client import waited
from overproof.teachers.endpoint.ledger import read_lines
from overproof.teachers.endpoint.options import endpoint_options
from overproof.teachers.endpoint.pace import wait_before
from tests.teachers.endpoint.model_server import error, send

SILENT = Silent()


def closing(handler):
    """The connection ends with this request."""
    handler.close_connection = True
    return True


def outcomes(job):
    return [line["outcome"] for line in read_lines(job.folder)]


def labels(told):
    return [None if each is None else each["label"] for each in told.answers]


def test_every_text_is_asked_once_and_nothing_is_asked_again(server, job):
    made = job(texts=["billing", "returns", "billing", "other", "billing"])
    asked, told, summary = made.run(SILENT)
    assert labels(told) == ["billing", "returns", "billing", "other", "billing"]
    assert sorted(server.counts.values()) == [1, 1, 1]
    assert summary["versions"] == {"tiny-2026-11-01": 5}
    assert (summary["requests"], summary["num_answered"], asked.num_left) == (3, 5, 0)
    _, again, summary = made.run(SILENT)
    assert len(server.requests) == 3
    assert (labels(again), summary["requests_now"]) == (labels(told), 0)


def test_whatever_can_change_the_answer_is_in_the_key(server, job):
    job(1).run(SILENT)
    others = [{"model": "n"}, {"temperature": 0.5}, {"parameters": {"seed": 1}}, {"max_answer_tokens": 9}]
    for number, other in enumerate(others, 2):
        job(1, **other).run(SILENT)
        assert len(server.requests) == number
    job(1, concurrency=3, timeout_seconds=4.0, retries=1, max_calls=99).run(SILENT)
    assert len(server.requests) == len(others) + 1


@pytest.mark.parametrize(
    "fault",
    [
        lambda handler: error(500, "oops"),
        lambda handler: error(503, "busy", Retry_After="0.02"),
        lambda handler: error(429, "slow down", Retry_After=formatdate(time.time() - 5, usegmt=True)),
        lambda handler: (200, b'{"choices": [{"mess', {}),
        lambda handler: (200, b"<html>busy</html>", {}),
        lambda handler: (200, {"choices": []}, {}),
        lambda handler: (200, {"choices": [{"message": {"content": ["a"]}}]}, {}),
        lambda handler: (200, [1], {}),
        lambda handler: closing(handler) and (200, b'{"choices": []}', {"Content-Length": "500"}),
        lambda handler: closing(handler) and (handler.connection.shutdown(socket.SHUT_RDWR) or True),
    ],
    ids=["500", "503", "429-date", "half-json", "html", "no-choice", "list-content", "list", "cut", "closed"],
)
def test_what_may_pass_is_asked_again_and_is_never_an_answer(server, job, fault):
    def sometimes(number, body, handler):
        if number not in (3, 4, 6):
            return None
        return fault(handler)

    server.fault = sometimes
    asked, told, _ = job(5, retries=8).run(SILENT)
    assert labels(told) == ["billing", "returns", "other", "billing", "returns"]
    assert set(server.counts.values()) == {1}
    assert asked.used_now.calls == 8


def test_a_stall_ends_with_the_time_out_and_is_asked_again(server, job):
    server.fault = lambda number, body, handler: (time.sleep(1.0) or True) if number == 2 else None
    began = time.perf_counter()
    asked, told, _ = job(2, timeout_seconds=0.4).run(SILENT)
    assert labels(told) == ["billing", "returns"]
    assert asked.used_now.calls >= 3
    # The server may have computed an answer that it did not send: its tokens are counted.
    assert asked.used_now.estimated_calls >= 1
    assert time.perf_counter() - began < 5


def test_what_goes_on_failing_is_stored_as_a_failure_and_asked_in_the_next_call(server, job):
    server.fault = lambda number, body, handler: error(500, "oops") if "returns" in str(body["messages"]) else None
    made = job(6, retries=1)
    asked, told, summary = made.run(SILENT)
    assert labels(told) == ["billing", None, "other", "billing", None, "other"]
    assert outcomes(made).count("failure") == 2
    assert summary["unanswered"] == {"failed: status 500 (oops)": 2}
    assert (asked.num_left, len(server.requests)) == (2, 8)
    answers = (made.folder / "answers.jsonl").read_text()
    assert '"r1"' not in answers
    assert "r1,failed: status 500 (oops)," in (made.folder / "refusals.csv").read_text()
    server.fault = lambda number, body, handler: None
    asked, told, _ = made.run(SILENT)
    assert labels(told)[1] == "returns"
    assert (asked.num_left, len(server.requests)) == (0, 10)
    assert not (made.folder / "refusals.csv").exists()


def test_a_text_that_the_server_rejects_is_unanswered_until_it_is_asked_again(server, job):
    server.fault = lambda number, body, handler: error(400, "too long") if "other" in str(body["messages"][0]) else None
    made = job(4)
    asked, told, summary = made.run(SILENT)
    assert labels(told) == ["billing", "returns", None, "billing"]
    assert (asked.num_left, summary["unanswered"]) == (0, {"rejected: status 400 (too long)": 1})
    sent = len(server.requests)
    made.run(SILENT)
    assert len(server.requests) == sent
    server.fault = lambda number, body, handler: None
    assert labels(made.run(SILENT, again=True)[1])[2] == "other"
    assert len(server.requests) == sent + 1


def test_words_that_name_no_class_are_refusals_and_never_answers(server, job):
    words = {"billing": "I cannot say.", "returns": "Returns.", "other": "billing or other"}
    server.reply = lambda body: {"content": words[body["messages"][0]["content"].partition("#")[2].strip()]}
    made = job(3)
    _, told, summary = made.run(SILENT)
    assert labels(told) == [None, "returns", None]
    assert summary["unanswered"] == {"it names no class by the rules": 1, "it mentions several classes": 1}
    assert "r0,it names no class by the rules,I cannot say." in (made.folder / "refusals.csv").read_text()
    assert outcomes(made).count("answer") == 3
    made.run(SILENT, again=True)
    assert len(server.requests) == 5


def test_rows_without_a_text_are_not_asked_and_are_listed(server, job):
    _, told, summary = job(texts=["billing", "", "other"]).run(SILENT)
    assert labels(told) == ["billing", None, "other"]
    assert (len(server.requests), summary["unanswered"]) == (2, {"the row has no text": 1})


def test_no_more_requests_are_under_way_than_is_said(server, job):
    server.seconds = 0.02
    job(12, concurrency=3).run(SILENT)
    assert server.most_under_way == 3


def test_requests_keep_to_the_rate(server, job):
    began = time.perf_counter()
    job(6, max_requests_per_minute=600.0).run(SILENT)
    assert time.perf_counter() - began > 0.5


def test_all_pause_when_the_server_asks_for_it(server, job):
    times = []

    def fault(number, body, handler):
        times.append(time.perf_counter())
        return error(429, "slow", Retry_After="0.4") if number == 2 else None

    server.fault = fault
    job(5, concurrency=1).run(SILENT)
    assert times[2] - times[1] >= 0.4
    assert len(times) == 6


def test_a_wait_that_is_too_long_is_a_failure(server, job):
    server.fault = lambda number, body, handler: error(429, "slow", Retry_After="9999") if number == 2 else None
    asked, _, summary = job(3).run(SILENT)
    assert asked.num_left == 1
    assert "asks to wait 9999 seconds" in str(summary["unanswered"])


def test_waits_double_are_drawn_and_end_at_the_longest():
    options = endpoint_options({"url": "http://a", "model": "m", "prompt": "p", "longest_wait_seconds": 6.0})

    class Draw(random.Random):
        def random(self):
            return 0.5

    assert [wait_before(each, options, None, Draw()) for each in (1, 2, 3, 4)] == [0.75, 1.5, 3.0, 4.5]
    assert wait_before(1, options, 5.0, Draw()) == 5.5
    assert wait_before(1, options, 7.0, Draw()) is None


def test_a_retry_after_is_a_number_or_a_date():
    assert waited("3") == 3
    assert 8 < waited(formatdate(time.time() + 10, usegmt=True)) <= 10
    assert waited("-1") == 0
    assert [waited(each) for each in ("", "nan", "inf", "tomorrow")] == [None] * 4


@pytest.mark.parametrize(
    ("caps", "most"),
    [
        ({"max_calls": 4}, 4),
        # A prompt has 4 tokens and an answer 2; each may have 47 more before it is known.
        ({"max_tokens": 160}, 20),
        ({"max_cost": 160e-6, "price_in": 1.0, "price_out": 1.0}, 20),
    ],
)
def test_a_cap_stops_the_job_and_holds_for_the_next_call_too(server, job, caps, most):
    made = job(40, **caps)
    for _ in range(2):
        asked, _, summary = made.run(SILENT)
        used = asked.used
        assert 0 < len(server.requests) <= most
        assert summary["stopped"].startswith(next(iter(caps)))
        assert asked.num_left == 40 - len(server.requests) > 0
        assert used.tokens <= 160
    assert used.calls == len(server.requests)


@pytest.mark.parametrize("first_answers", [0, 3])
def test_attempts_at_what_was_not_answered_when_a_cap_was_reached_count_for_the_next_call(server, job, first_answers):
    # Every question fails from then on, and is tried again: the cap ends the call between two attempts.
    server.fault = lambda number, body, handler: error(500, "oops") if number > first_answers else None
    waits = {"first_wait_seconds": 0.01, "longest_wait_seconds": 0.02, "retries": 9, "concurrency": 2}
    asked, told, _ = job(8, max_calls=7, **waits).run(SILENT)
    assert len(server.requests) == asked.used.calls == 7
    assert told.reasons["failed: the command ended before it was answered"] == (2 if first_answers else 0)
    server.fault = lambda number, body, handler: None
    again, _, _ = job(8, max_calls=9, **waits).run(SILENT)
    assert (len(server.requests), again.used.calls, again.used_now.calls) == (9, 9, 2)
    whole, told, _ = job(8, max_calls=30, **waits).run(SILENT)
    assert whole.used.calls == len(server.requests) == 7 + 8 - first_answers
    assert (whole.num_left, told.num_answered) == (0, 8)


def test_a_higher_cap_goes_on(server, job):
    job(8, max_calls=3).run(SILENT)
    asked, _, _ = job(8, max_calls=20).run(SILENT)
    assert (len(server.requests), asked.num_left) == (8, 0)


def test_tokens_that_the_server_does_not_count_are_estimated_and_it_is_said(server, job):
    server.usage = False
    _, _, summary = job(2).run(SILENT)
    assert summary["requests_with_estimated_tokens"] == 2
    assert summary["prompt_tokens"] > 0


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "the server wants a key"), (404, "is the model called 'm' there"), (402, "status 402"), (405, "status 405")],
)
def test_a_server_that_takes_no_request_ends_the_job_at_once(server, job, status, said):
    server.fault = lambda number, body, handler: error(status, "no")
    with pytest.raises(InputError, match=said):
        job(5).run(SILENT)
    assert len(server.requests) == 1


def test_an_exhausted_quota_is_not_waited_for(server, job):
    server.fault = lambda number, body, handler: (429, {"error": {"code": "insufficient_quota", "message": "pay"}}, {})
    with pytest.raises(InputError, match="pay"):
        job(5).run(SILENT)
    assert len(server.requests) == 1


def test_a_server_that_is_down_is_said_at_once(server, job):
    made = job(3)
    server.close()
    began = time.perf_counter()
    with pytest.raises(InputError, match=r"cannot be reached: no connection .*Is the server running"):
        made.run(SILENT)
    assert time.perf_counter() - began < 2


def test_a_server_that_dies_stops_the_job(server, job):
    server.fault = lambda number, body, handler: None if number < 4 else error(502, "gone")
    asked, _, summary = job(60, retries=0, concurrency=2).run(SILENT)
    assert summary["stopped"] == "the last 10 requests failed (status 502 (gone))"
    assert asked.num_left == 57
    assert len(server.requests) < 20


def test_a_server_that_rejects_the_first_questions_is_not_asked_the_others(server, job):
    server.fault = lambda number, body, handler: error(400, "bad request")
    with pytest.raises(InputError, match=r"takes none of the first questions: status 400 .bad request"):
        job(9, constrain="no").run(SILENT)
    assert len(server.requests) == 3


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_other_address_is_asked(server, job, status):
    elsewhere = "http://user:secret@127.0.0.1:9/v1?key=secret"
    server.fault = lambda number, body, handler: (status, {}, {"Location": elsewhere})
    with pytest.raises(InputError, match=r"it leads to 'http://127\.0\.0\.1:9/v1'") as raised:
        job(2).run(SILENT)
    assert "secret" not in str(raised.value)
    assert len(server.requests) == 1


def test_a_body_without_end_is_no_answer(server, job):
    def endless(number, body, handler):
        if number > 1:
            return None
        handler.close_connection = True
        send(handler, 200, b" " * 9_000_000, {})
        return True

    server.fault = endless
    asked, _, _ = job(1).run(SILENT)
    assert (asked.num_left, asked.used_now.calls) == (0, 2)


def test_a_schema_is_tried_once_and_left_out_where_it_is_refused(server, job):
    server.fault = lambda number, body, handler: (
        error(400, "no json_schema here") if "response_format" in body else None
    )
    made = job(4)
    asked, told, _ = made.run(SILENT)
    assert [("response_format" in each) for each in server.requests] == [True, False, False, False, False]
    assert labels(told) == ["billing", "returns", "other", "billing"]
    assert any("refuses a JSON schema" in each for each in asked.remarks)
    job(5).run(SILENT)
    assert len(server.requests) == 6, "what the server understands is remembered"


def test_names_of_parameters_follow_the_server(server, job):
    def picky(number, body, handler):
        if "max_tokens" in body:
            return error(400, "Unsupported parameter: use 'max_completion_tokens' instead.")
        return error(400, "temperature must be 1") if "temperature" in body else None

    server.fault = picky
    asked, _, _ = job(2).run(SILENT)
    assert asked.num_left == 0
    assert "max_completion_tokens" in server.requests[-1]
    assert any("temperature 0" in each for each in asked.remarks)


def test_a_schema_that_is_taken_and_not_followed_is_said(server, job):
    _, told, summary = job(3).run(SILENT)
    assert told.rules == {"as a name": 3}
    assert any("did not keep to it in 3 answers" in each for each in summary["remarks"])
    server.reply = lambda body: {"content": '{"label": "other"}'}
    _, told, summary = job(3, model="obedient").run(SILENT)
    assert told.rules == {"as JSON": 3}
    assert summary["remarks"] == []
