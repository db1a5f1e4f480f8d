"""The terminal: nothing cut at 80 columns, no unwanted colour, quiet and JSON on every command, completion."""

import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.main import get_command

from overproof.assessment.assess import assess as assessed
from overproof.commands.main import app, main
from overproof.commands.output.assess_table import page as assess_page
from overproof.commands.output.terminal import (
    changes,
    method_names,
    not_repeated,
    remarks,
    results,
    run_folders,
    selector_names,
)
from overproof.evaluation.verdict import Row, summarise, table
from overproof.progress import OnTerminal
from overproof.synthetic import margin_world
from overproof.version import __version__

LONG = "wd_agreement_soft_stopped_early"


@pytest.fixture
def plain(monkeypatch):
    """As in a pipe: 80 columns, no colours asked for or refused."""
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def commands() -> dict:
    return get_command(app).commands


def lines_of(text: str) -> list[str]:
    assert "…" not in text
    assert "..." not in text.replace("]...", "").replace("}...", "")
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    return lines


def some_rows() -> list[Row]:
    draw = torch.Generator().manual_seed(0)
    roles = {"teacher": "reference", "labelled_only": "reference", "oracle": "reference", "soft": "conventional"}
    names = {**roles, LONG: "method", "slam": "method"}
    return [
        Row(method=name, role=role, seed=seed, metrics={"accuracy": 0.6 + place / 20 + float(noise)}, test="t")
        for place, (name, role) in enumerate(names.items())
        for seed, noise in enumerate(torch.rand(3, generator=draw) / 50)
    ]


def test_the_table_is_whole_at_80_columns(plain, capsys):
    results().print(table(summarise(some_rows())))
    text = capsys.readouterr().out
    lines_of(text)
    for row in summarise(some_rows()):
        assert row.method in text
        assert f"{100 * row.mean:.1f}" in text
        assert row.verdict is None or row.verdict in text


def test_the_assessment_is_whole_at_80_columns(plain, capsys):
    world = margin_world(num_examples=600, num_classes=4, seed=0)
    names = [f"a class with a long name, number {number}" for number in range(4)]
    few, pool = slice(0, 200), slice(200, 600)
    found = assessed(
        world.label[few], world.teacher_probs[few], world.teacher_probs[pool], class_names=names,
        features=world.inputs[few].numpy(),
    )  # fmt: skip
    results().print(assess_page(found))
    text = " ".join(" ".join(lines_of(capsys.readouterr().out)).split())
    assert found.recommendation in text
    assert f"In the experiment: {found.yaml} " in text
    assert f"{found.accuracy.mean:.1%}" in text
    assert all(f"number {number}" in text for number in range(4))


def test_the_list_of_methods_is_whole_at_80_columns(plain, capsys):
    main(["methods"])
    text = capsys.readouterr().out
    lines_of(text)
    assert all(name in text for name in method_names(""))


def test_no_colour_off_a_terminal_and_none_where_it_is_refused(plain, capsys, monkeypatch):
    results().print(table(summarise(some_rows())))
    assert "\x1b" not in capsys.readouterr().out
    monkeypatch.setenv("FORCE_COLOR", "1")
    results().print(table(summarise(some_rows())))
    assert "\x1b[3" in capsys.readouterr().out
    monkeypatch.setenv("NO_COLOR", "1")
    results().print(table(summarise(some_rows())))
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", capsys.readouterr().out)


def test_every_command_can_be_quiet_and_speak_to_machines():
    for name, command in commands().items():
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--quiet", "--json"} <= options, name


def test_quiet_leaves_the_result(tmp_path, capsys):
    world = margin_world(num_examples=300, num_classes=3, seed=0)
    lines = [
        f"row-{row},{','.join(f'{prob:.6f}' for prob in probs)}"
        for row, probs in enumerate(world.teacher_probs.tolist())
    ]
    (tmp_path / "answers.csv").write_text("\n".join(["id,a,b,c", *lines]))
    words = ["select", str(tmp_path / "answers.csv"), "--rule", "confident", "--budget", "50"]
    main([*words, "--out", str(tmp_path / "loud.parquet")])
    loud = capsys.readouterr()
    main([*words, "--out", str(tmp_path / "quiet.parquet"), "--quiet"])
    quiet = capsys.readouterr()
    assert "50 rows in" in loud.err
    assert quiet.err == ""
    assert quiet.out == loud.out != ""
    main([*words, "--out", str(tmp_path / "json.parquet"), "--quiet", "--json"])
    assert json.loads(capsys.readouterr().out)["file"].endswith("json.parquet")
    assert not remarks().quiet, "the next command speaks again"


def test_a_quiet_console_has_no_bars(monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    from rich.console import Console

    with OnTerminal(Console(force_terminal=True, quiet=True)) as progress:
        assert progress._bars.disable
    with OnTerminal(Console(force_terminal=True, file=io.StringIO())) as progress:
        assert not progress._bars.disable


def test_methods_for_machines(capsys):
    main(["methods", "--json"])
    told = json.loads(capsys.readouterr().out)
    assert {each["name"] for each in told} == set(method_names(""))
    main(["methods", "slam", "--json"])
    one = json.loads(capsys.readouterr().out)
    assert one["parts"]["pool.loss"].startswith("StudentLabelMixing")
    assert one["paper"] == "arXiv 2302.03806"
    with pytest.raises(SystemExit) as stopped:
        main(["methods", "slma"])
    assert stopped.value.code == 2
    assert "did you mean 'slam'" in capsys.readouterr().err


@pytest.mark.parametrize("name", list(commands()))
def test_the_help_of_a_command_ends_with_an_example(plain, capsys, name):
    main([name, "--help"])
    lines = lines_of(capsys.readouterr().out)
    assert lines[-2] == "  Example:"
    words = shlex.split(lines[-1].partition(" > ")[0])
    assert words[:2] == ["overproof", name]
    # It names arguments and options that there are.
    context = commands()[name].make_context(name, words[2:])
    assert context.params["quiet"] is False


def test_the_version_is_printed(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"overproof {__version__}\n"


def test_help_says_what_exit_codes_mean(plain, capsys):
    for words in ([], ["--help"]):
        try:
            main(words)
        except SystemExit as stopped:
            assert stopped.code in (0, 2)  # noqa: PT017
        said = capsys.readouterr()
        text = " ".join(" ".join(lines_of(said.out + said.err)).split())
        assert "Exit codes: 0 success; 1 failed; 2 invalid input" in text
        assert "--install-completion" in text
        assert "--show-completion" in text


def test_completion_names_methods_selectors_runs_and_options(tmp_path, monkeypatch):
    assert "slam" in method_names("sl")
    assert method_names("zz") == []
    assert "confident" in selector_names("conf")
    assert "train.epochs=" in changes("train.ep")
    assert "methods=[slam,wd_soft" in changes("methods=[slam,wd_s")
    assert "seeds=" in changes("se")
    (tmp_path / "runs/one").mkdir(parents=True)
    (tmp_path / "runs/one/experiment.yaml").write_text("")
    (tmp_path / "runs/two").mkdir()
    monkeypatch.chdir(tmp_path)
    assert list(run_folders("ru")) == ["runs/"]
    assert list(run_folders("runs/")) == ["runs/one", "runs/two/"]
    assert list(run_folders("runs/o")) == ["runs/one"]
    assert list(run_folders("nowhere/")) == []


def test_a_shell_asks_and_is_answered(tmp_path):
    asked = {
        **os.environ,
        "_OVERPROOF_COMPLETE": "complete_bash",
        "COMP_WORDS": "overproof methods sl",
        "COMP_CWORD": "2",
    }
    code = "import sys; sys.argv = ['overproof']; from overproof.commands.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=asked, capture_output=True, text=True, cwd=Path(tmp_path))
    assert "slam" in done.stdout.split(), done.stderr


def test_sentences_are_repeated_only_where_results_go_elsewhere(tmp_path, monkeypatch):
    with (tmp_path / "one").open("w") as one, (tmp_path / "two").open("w") as two:
        for errors, shown in ((one, ["b"]), (two, ["a", "b"]), (io.StringIO(), ["a", "b"])):
            with monkeypatch.context() as patched:
                patched.setattr(sys, "stdout", one)
                patched.setattr(sys, "stderr", errors)
                found = not_repeated(["a", "b"], ["a", "c"])
            assert found == shown
