"""The rows of a file as questions, and the command that asks them."""

import json

import pytest

from overproof.commands.main import main
from overproof.errors import InputError
from overproof.runs.asking.rows import Columns, rows_of
from overproof.teachers.endpoint.prompt import parsed

TABLE = "ticket_id,subject,body,queue\n07,late,where is it,\n08,bill,{classes} of me,billing\n09,,nothing,other\n"


@pytest.fixture
def table(tmp_path):
    (tmp_path / "t.csv").write_text(TABLE)
    return str(tmp_path / "t.csv")


def rows(table, question="{body}", **said):
    said = {"classes": "billing,other", **said}
    return rows_of(table, parsed(question), Columns(**said), "prompt.txt")


def test_fields_are_filled_and_what_stands_in_a_text_is_not(table):
    found = rows(table, "{{{classes}}}: {subject}/{body}", id="ticket_id")
    assert found.ids == ("07", "08", "09")
    assert found.prompts == (
        "{billing, other}: late/where is it",
        "{billing, other}: bill/{classes} of me",
        "",
    )


def test_text_stands_for_the_column_that_is_named(table):
    assert rows(table, "{text}", text="subject").prompts[0] == "late"


def test_classes_are_those_of_the_labels_where_none_are_named(table):
    found = rows(table, classes="", label="queue")
    assert found.class_names == ("billing", "other")
    assert any("values of 'queue'" in each for each in found.understood)


def test_names_with_commas_are_a_json_list_and_are_quoted(table):
    found = rows(table, "{classes} {body}", classes='["a, b", "c"]')
    assert found.class_names == ("a, b", "c")
    assert found.prompts[0].startswith('"a, b", "c" ')


def test_the_only_column_that_is_different_in_every_row_is_the_id(tmp_path):
    (tmp_path / "t.csv").write_text("ticket,text\n0007,the first one\n0008,the second one\n")
    assert rows_of(str(tmp_path / "t.csv"), parsed("{text}"), Columns(classes="a,b"), "p").ids == ("0007", "0008")


def test_without_ids_answers_are_joined_by_content(tmp_path):
    from overproof.answers.tables import as_text
    from overproof.data import from_arrays

    (tmp_path / "t.csv").write_text("text\nthe first one\nthe second one\n")
    found = rows_of(str(tmp_path / "t.csv"), parsed("{text}"), Columns(classes="a,b"), "p")
    ids = from_arrays(["the first one", "the second one"]).ids
    assert list(found.ids) == as_text(ids).to_pylist()


@pytest.mark.parametrize(
    ("text", "said", "message"),
    [
        ("{topic}", {}, r"prompt.txt asks for \{topic\}, and the data have no column"),
        ("{body}", {"text": "body"}, r"prompt.txt has no \{text\}"),
        ("{body}", {"id": "nr"}, r"--id 'nr': .* has no such column"),
        ("{body}", {"classes": "one"}, "two names at least are needed"),
        ("{body}", {"classes": "a,a"}, "none twice"),
        ("{body}", {"classes": "[1]"}, "starts as a JSON list and is none"),
        ("{queue} {body}", {"classes": "", "label": "queue"}, "shows the model the label"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(table, text, said, message):
    with pytest.raises(InputError, match=message):
        rows(table, text, **said)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no field", "every row would be asked the same question"),
        ("{classes}", "every row would be asked the same question"),
        ('{"label": "{text}"}', "is the name of a column alone"),
        ("{text", "write {{ and }}"),
        ("{text!r}", "is the name of a column alone"),
        ("{}", "is the name of a column alone"),
    ],
)
def test_a_prompt_that_is_none_is_refused(text, message):
    with pytest.raises(InputError, match=message.replace("{", r"\{").replace("}", r"\}")):
        parsed(text)


def test_ids_that_occur_twice_are_refused_with_both_rows(tmp_path):
    (tmp_path / "t.csv").write_text("id,text\n1,a\n2,b\n1,c\n")
    with pytest.raises(InputError, match=r"rows 0 and 2 .* have the same id '1'"):
        rows_of(str(tmp_path / "t.csv"), parsed("{text}"), Columns(classes="a,b", id="id"), "p")


@pytest.fixture
def command(server, tmp_path):
    (tmp_path / "t.csv").write_text(
        "id,text\n" + "".join(f"{row},#{'ab'[row % 2]} {' ' * row}.\n" for row in range(30))
    )
    (tmp_path / "p.txt").write_text("{text}")
    server.reply = lambda body: {"content": body["messages"][0]["content"][1]}

    def run(*more, classes="a,b"):
        fixed = ["--endpoint", server.url, "--model", "m", "--prompt", str(tmp_path / "p.txt"), "--classes", classes]
        main(["label", str(tmp_path / "t.csv"), *fixed, "--out", str(tmp_path / "out"), *more])

    return run


def test_a_dry_run_sends_and_writes_nothing(command, server, tmp_path, capsys):
    command("--dry-run", "--json", "--price-in", "1", "--price-out", "2", "--quiet")
    said = json.loads(capsys.readouterr().out)
    assert (said["num_left"], said["num_sampled"], said["basis"]) == (30, 20, "characters")
    assert 0 < said["cost"] < said["most_cost"]
    assert server.requests == []
    assert not (tmp_path / "out").exists()


def test_a_sample_that_is_sent_is_measured_and_kept(command, server, capsys):
    command("--dry-run", "--send-sample", "--json", "--quiet")
    said = json.loads(capsys.readouterr().out)
    assert (said["num_left"], said["basis"], said["answer_tokens"]) == (10, "measured", 20)
    command("--quiet")
    assert len(server.requests) == 30


def test_a_cap_ends_in_exit_code_1_with_what_there_is(command, server, tmp_path, capsys):
    with pytest.raises(SystemExit, match="1"):
        command("--max-calls", "7", "--json")
    printed = capsys.readouterr()
    assert json.loads(printed.out)["num_left"] == 23
    assert "23 rows are still to be asked: max_calls 7 is reached." in printed.err
    assert len((tmp_path / "out" / "answers.jsonl").read_text().splitlines()) == 7


def test_the_licence_is_written_or_said_to_be_missing(command, tmp_path, capsys):
    command("--max-calls", "99", "--set", "teacher.options.concurrency=2")
    assert "Licence of the teacher's answers: not stated." in capsys.readouterr().err
    command("--licence", "CC-BY-4.0")
    assert "answers: CC-BY-4.0." in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["licence"] == "CC-BY-4.0"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--max-cost", "1"], "'max_cost' needs prices"),
        (["--price-in", "1"], "go together"),
        (["--answer", "sets"], "answer"),
        (["--set", "student.name=mlp"], "--set student: with --endpoint"),
        (["--set", "teacher.options.modle=m"], "did you mean 'model'"),
        (["--send-sample"], "goes with --dry-run"),
        (["--answer", "set", "--logprobs"], "leave one of them out"),
    ],
)
def test_options_that_do_not_fit_end_in_exit_code_2(command, server, tmp_path, capsys, more, said):
    with pytest.raises(SystemExit, match="2"):
        command(*more)
    assert said in capsys.readouterr().err
    assert server.requests == []
    assert not (tmp_path / "out").exists()


def test_without_an_address_its_options_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["label", "t.csv", "--model", "m", "--out", str(tmp_path / "out")])
    assert "whose address is missing" in capsys.readouterr().err


def test_without_its_package_it_is_refused_with_the_line_to_install_it(command, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SystemExit, match="2"):
        command()
    assert "pip install 'overproof[llm]'" in capsys.readouterr().err
