"""The teacher `endpoint` in an experiment: asked once for all examples, and only at an address that the user types."""

import json
from dataclasses import replace

import pytest

from overproof.commands.main import main
from overproof.errors import InputError
from overproof.progress import Silent
from overproof.runs.experiment import dump, experiment_from, load
from overproof.runs.folder.neighbours import caches_beside
from overproof.runs.pipeline import Run, open_run
from tests.teachers.endpoint.model_server import error

NAMES = ["no", "yes"]


@pytest.fixture
def run(server, tmp_path):
    """A function that makes a run of 40 texts with ids; the words behind # are what the server answers."""
    rows = [(f"t-{row}", f"text {row % 37} #{NAMES[row % 37 % 2]}", NAMES[row % 37 % 2]) for row in range(40)]
    lines = [json.dumps({"key": key, "text": text, "kind": kind}) for key, text, kind in rows]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    (tmp_path / "prompt.txt").write_text("{classes}? {text}")

    def make(*, allow=True, folder="run", seeds=(0,), data=None, more=None, **options):
        source = {"path": str(tmp_path / "texts.jsonl"), "input": "text", "label": "kind", "id": "key"}
        given = {"url": server.url, "model": "m", "prompt": str(tmp_path / "prompt.txt"), "first_wait_seconds": 0.01}
        content = {
            "data": {"files": {"all": data or source}, "rows": {"labelled": 12, "pool": 14, "test": 10}},
            "teacher": {"model": "endpoint", "options": {**given, **options}, **(more or {})},
            "student": {"name": "auto"},
            "methods": ["hard"],
            "train": {"epochs": 1},
            "seeds": list(seeds),
        }
        return Run(
            experiment=experiment_from(content),
            folder=tmp_path / folder,
            progress=Silent(),
            allow_import=frozenset([server.url] if allow else []),
        )

    return make


def test_all_seeds_and_steps_ask_each_text_once(server, run):
    made = run(seeds=(0, 1))
    made.label()
    assert set(server.counts.values()) == {1}
    assert len(server.requests) <= 37
    answers = made.teacher.for_seed(1)
    label = made.seed_roles(1).pool.label
    assert (answers["pool"].pseudo_label == label).all()
    sent = len(server.requests)
    # Another process, which needs no permission because nothing is sent.
    again = run(seeds=(0, 1), allow=False)
    again.label()
    assert open_run(again.folder).seed_roles(0).pool.label.tolist() == made.seed_roles(0).pool.label.tolist()
    assert len(server.requests) == sent


def test_a_run_beside_another_asks_what_that_did_not(server, run, tmp_path):
    run().label()
    sent = len(server.requests)
    ledger = next((tmp_path / "run/asked").glob("*/raw.jsonl"))
    lines = ledger.read_bytes().splitlines(keepends=True)
    # A damaged line, and one that was not finished.
    ledger.write_bytes(b"".join([*lines[:-1], lines[-1].replace(b"1", b"2"), lines[0][:20]]))
    made = replace(run(folder="other"), caches=caches_beside(tmp_path / "other"))
    made.label()
    assert len(server.requests) == sent + 1
    copied = (tmp_path / "other" / ledger.relative_to(tmp_path / "run")).read_bytes().splitlines(keepends=True)
    assert copied[: len(lines) - 1] == lines[:-1]
    for role, answers in made.teacher.for_seed(0).items():
        assert (answers.probs() == run().teacher.for_seed(0)[role].probs()).all()


def test_texts_go_only_to_an_address_that_is_typed(server, run):
    with pytest.raises(InputError, match=r"only to an address that you type: add --allow-import http://127"):
        run(allow=False).label()
    assert server.requests == []


def test_what_fails_ends_the_step_and_the_next_one_goes_on(server, run):
    server.fault = lambda number, body, handler: error(500, "oops") if number in (9, 10) else None
    with pytest.raises(InputError, match=r"The teacher 'm' is not done: .* rows are still to be asked.*oops"):
        run(retries=0, concurrency=1).label()
    sent = len(server.requests)
    run(retries=0, concurrency=1).label()
    assert len(server.requests) == sent + 2


@pytest.mark.parametrize("unanswered", ["refuse", "drop", "uniform"])
def test_answers_that_name_no_class_are_unanswered(server, run, unanswered):
    plain = server.reply
    server.reply = lambda body: {"content": "?"} if "text 1" in body["messages"][0]["content"] else plain(body)
    made = run(more={"unanswered": unanswered})
    if unanswered == "refuse":
        with pytest.raises(InputError, match=r"no answer for .* of the .* examples"):
            made.label()
        return
    made.label()
    roles, answers = made.seed_roles(0), made.teacher.for_seed(0)["pool"]
    unsure = sum(answers.margin == 0)
    texts = roles.pool.inputs.to_pylist() + roles.labelled.inputs.to_pylist()
    assert any(text.startswith("text 1") for text in texts) == (unanswered == "uniform")
    assert (unsure > 0) == (unanswered == "uniform")


def test_sets_of_classes_are_sets(server, run):
    both = '{"labels": ["yes", "no"]}'
    server.reply = lambda body: {"content": "no" if "#no" in body["messages"][0]["content"] else both}
    made = run(answer="set")
    made.label()
    assert made.teacher.for_seed(0)["pool"].probs().unique().tolist() == [0.0, 0.5, 1.0]
    assert made.teacher.votes()[0].vote == "set"


def test_report_and_model_card_name_teacher_version_and_licence(server, run, tmp_path):
    from overproof.deployment import export
    from overproof.report import write_report

    assert run(more={"licence": "CC-BY-4.0"}).experiment.teacher.licence_said.endswith(": CC-BY-4.0.")
    made = run()
    made.all_steps()
    export(made.folder / "students" / "seed-0" / "hard", tmp_path / "export")
    card = (tmp_path / "export" / "README.md").read_text()
    for text in (card, write_report(made).read_text().replace("&#39;", "'")):
        assert "Licence of the teacher's answers: not stated." in text
        assert "which calls itself tiny-2026-11-01" in text
    assert f"The language model `m` at `{server.url}`." in card


def test_the_run_says_who_answered(server, run):
    made = run(more={"licence": "CC-BY-4.0"})
    made.label()
    remarks = made._roles.remarks_for(0)
    assert any(f"m at {server.url}/chat/completions, which calls itself tiny-2026-11-01" in each for each in remarks)


def test_rows_of_a_table_are_asked_by_their_columns(server, run, tmp_path):
    (tmp_path / "rows.csv").write_text(
        "size,colour,kind\n" + "".join(f"{row},c{row},{NAMES[row % 2]}\n" for row in range(40))
    )
    (tmp_path / "prompt.txt").write_text("{size} {colour}? {classes}")
    server.reply = lambda body: {"content": NAMES[int(body["messages"][0]["content"].split()[0]) % 2]}
    made = run(data={"path": str(tmp_path / "rows.csv"), "label": "kind"})
    made.label()
    assert (made.teacher.for_seed(0)["pool"].pseudo_label == made.seed_roles(0).pool.label).all()
    assert "12 c12? no, yes" in server.counts


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"modle": "m"}, "did you mean 'model'"),
        ({"url": "ftp://a"}, "it must be an address of http or https"),
        ({"prompt": "none.txt"}, "there is nothing of that name"),
    ],
)
def test_options_are_checked_before_anything_is_asked(server, run, options, said):
    with pytest.raises(InputError, match=said):
        run(**options).label()
    assert server.requests == []


def test_an_address_that_is_typed_takes_the_place_of_an_experiments_teacher(server, run, tmp_path, capsys):
    (tmp_path / "e.yaml").write_text(dump(run(allow=False, more={"unanswered": "drop"}).experiment))
    own = load(tmp_path / "e.yaml", ["teacher={model: minilm, licence: MIT}"])
    (tmp_path / "other.yaml").write_text(dump(own))
    asking = ["--endpoint", server.url, "--model", "m", "--prompt", str(tmp_path / "prompt.txt")]
    main(["label", str(tmp_path / "other.yaml"), *asking, "--out", str(tmp_path / "a"), "--retries", "1"])
    made = open_run(tmp_path / "a").experiment.teacher
    assert (made.model, made.options["retries"], made.licence) == ("endpoint", 1, "MIT")
    assert set(server.counts.values()) == {1}
    sent = len(server.requests)
    # Later steps go on with what was answered and send nothing.
    main(["run", str(tmp_path / "a" / "experiment.yaml"), "--out", str(tmp_path / "a")])
    assert len(server.requests) == sent
    # What an experiment says of its model stays where nothing else is typed.
    main(["label", str(tmp_path / "e.yaml"), "--endpoint", server.url, "--out", str(tmp_path / "b")])
    kept = open_run(tmp_path / "b").experiment.teacher
    assert (kept.options["model"], kept.options["first_wait_seconds"], kept.unanswered) == ("m", 0.01, "drop")
    capsys.readouterr()
    for words in (["--classes", "no,yes"], ["--ask-again"], ["--id", "key"]):
        with pytest.raises(SystemExit) as ended:
            main(["label", str(tmp_path / "e.yaml"), *asking, *words, "--out", str(tmp_path / "c")])
        assert ended.value.code == 2
        assert f"{words[0]} is about a file of rows" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "c").exists()
