"""A server for each test, and a job of some rows that is asked of it."""

import pytest

from overproof.runs.asking.job import Job
from overproof.teachers.endpoint.options import endpoint_options
from tests.teachers.endpoint.model_server import Server

CLASSES = ("billing", "returns", "other")


@pytest.fixture
def server():
    made = Server()
    yield made
    made.close()


@pytest.fixture
def job(server, tmp_path):
    """A function that makes a job of rows of class 0, 1, 2, 0, …; texts differ in blanks at their ends."""
    prompt = tmp_path / "prompt.txt"
    prompt.write_text("One of {classes}? #{text}")

    def make(num=6, *, texts=None, classes=CLASSES, licence="", **options):
        texts = (
            [classes[row % len(classes)] + " " * (row // len(classes)) for row in range(num)]
            if texts is None
            else texts
        )
        options = {"url": server.url, "model": "m", "first_wait_seconds": 0.01, "timeout_seconds": 5.0, **options}
        return Job(
            options=endpoint_options({"prompt": str(prompt), **options}),
            ids=[f"r{row}" for row in range(len(texts))],
            prompts=[f"One? #{text}" if text else "" for text in texts],
            class_names=tuple(classes),
            licence=licence,
            folder=tmp_path / "asked",
        )

    return make
