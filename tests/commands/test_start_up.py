"""Start-up: what `import overproof`, `--help`, completion, `methods`, `cite` may import, and what they read instead."""

import ast
import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import overproof
from overproof import deployment
from overproof.commands.catalogue import read_catalogue
from overproof.commands.main import COMMANDS, main
from overproof.commands.output.terminal import ends_with_command, quick_imports
from overproof.registry import entries
from overproof.runs.experiment import dump, experiment_from
from overproof.runs.folder.citations import FILE, record_papers, recorded_papers

TERMINAL = {"typer", "click", "rich", "annotated_doc", "shellingham"}
"""typer, and what it imports to print a help text."""
PARAMETERS = {"pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
"""What typer imports to convert the values of parameters."""

EXPERIMENT = {
    "data": {
        "files": {name: {"path": f"{name}.csv", "label": "y"} for name in ("all", "test")},
        "rows": {"labelled": 40, "pool": 200},
    },
    "methods": ["slam", {"method": "hard", "name": "mixed", "options": {"pool.loss": "forward_correction"}}],
}


def imported(code: str, **environment: str) -> tuple[set[str], set[str], str]:
    """The packages and the modules of overproof that a program imports, and what it prints."""
    # What is imported before the first line, by files of the environment, is not the program's.
    report = """if True:
        import atexit, json, sys
        first = set(sys.modules)
        atexit.register(lambda: print(json.dumps(sorted(set(sys.modules) - first)), file=sys.stderr))
    """
    done = subprocess.run(
        [sys.executable, "-c", f"{report}\n{code}"], capture_output=True, text=True, env={**os.environ, **environment}
    )
    modules = json.loads(done.stderr.splitlines()[-1])
    packages = {name.partition(".")[0] for name in modules} - set(sys.stdlib_module_names) - {"overproof"}
    packages = {name for name in packages if not name.startswith("_sysconfigdata")}
    return packages, {name for name in modules if name.startswith("overproof.")}, done.stdout


def call(*arguments: str) -> str:
    return f"import sys; sys.argv = {['overproof', *arguments]!r}\nfrom overproof.commands.main import main\nmain()"


def test_importing_overproof_imports_nothing_else():
    assert imported("import overproof") == (set(), {"overproof.errors", "overproof.version"}, "")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_the_command_line_alone(arguments):
    packages, own, printed = imported(call(*arguments))
    assert printed.startswith("overproof 0" if arguments == ["--version"] else "Usage: overproof")
    assert packages <= (TERMINAL if arguments[0].startswith("-") else TERMINAL | PARAMETERS)
    outside = {name for name in own if not name.startswith("overproof.commands")}
    assert outside == {f"overproof.{name}" for name in ("errors", "papers", "processes", "version")}


@pytest.mark.parametrize("arguments", [["methods"], ["methods", "slam", "--json"]])
def test_methods_are_listed_without_importing_them(arguments):
    packages, own, printed = imported(call(*arguments))
    assert "tudent-label mixing" in printed
    assert packages <= TERMINAL | PARAMETERS
    assert not {name for name in own if name.startswith("overproof.methods")}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("methods sl", "slam"),
        ("select --rule con", "confident"),
        ("run --set train.ep", "train.epochs="),
        ("ru", "run"),
    ],
)
def test_completion_imports_no_method(typed, expected):
    words = {"COMP_WORDS": f"overproof {typed}", "COMP_CWORD": str(len(typed.split()))}
    packages, own, printed = imported(call(), _OVERPROOF_COMPLETE="complete_bash", **words)
    assert expected in printed.split()
    assert packages <= TERMINAL | PARAMETERS
    assert not {name for name in own if name.startswith(("overproof.methods", "overproof.runs"))}


def test_works_are_cited_without_importing_the_methods(tmp_path):
    experiment = experiment_from(EXPERIMENT)
    (tmp_path / "experiment.yaml").write_text(dump(experiment))
    record_papers(tmp_path, experiment)
    packages, own, printed = imported(call("cite", str(tmp_path)))
    assert printed == "".join(f"{paper.bibtex()}\n" for paper in experiment.papers())
    assert "patrini2017making" in printed
    assert packages <= TERMINAL | PARAMETERS | {"filelock"}
    assert not {name for name in own if name.startswith("overproof.methods")}


def test_a_run_without_a_record_is_cited_from_its_experiment(tmp_path, capsys):
    experiment = experiment_from(EXPERIMENT)
    (tmp_path / "experiment.yaml").write_text(dump(experiment))
    wanted = "".join(f"{paper.bibtex()}\n" for paper in experiment.papers())
    assert recorded_papers(tmp_path) is None
    main(["cite", str(tmp_path)])
    assert capsys.readouterr().out == wanted
    # Recorded for the next call.
    assert recorded_papers(tmp_path) == experiment.papers()
    # The record of another experiment, or half of one, is not read.
    (tmp_path / "experiment.yaml").write_text(dump(experiment_from({**EXPERIMENT, "methods": ["wd"]})))
    assert recorded_papers(tmp_path) is None
    main(["cite", str(tmp_path)])
    assert "iliopoulos2022weighted" in capsys.readouterr().out
    (tmp_path / FILE).write_text('{"key"')
    assert recorded_papers(tmp_path) is None


def test_the_catalogue_lists_what_is_registered():
    catalogue = read_catalogue()
    registered = [(entry.name, entry.summary, entry.paper) for entry in entries("method")]
    assert [(each.name, each.summary, each.paper) for each in catalogue.methods] == registered
    assert all(
        each.parts == entry.make().described() for each, entry in zip(catalogue.methods, entries("method"), strict=True)
    )
    assert list(catalogue.selectors) == [entry.name for entry in entries("select")]


@pytest.mark.parametrize("package", [overproof, deployment])
def test_type_checkers_and_python_find_the_same_names(package):
    tree = ast.parse(Path(package.__file__).read_text())
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = {alias.name: node.module for node in guarded.body for alias in node.names}
    assert imports == package._MODULES
    for name in imports:
        assert getattr(package, name).__name__ == name
        assert name in dir(package)
    with pytest.raises(AttributeError, match=f"module '{package.__name__}' has no attribute 'distil'"):
        package.distil  # noqa: B018


def test_garbage_of_imports_is_looked_through_where_a_command_is_called_from_python(monkeypatch):
    made = []  # before the imports, so that a freeze leaves it out

    def outcome(_):
        with quick_imports():
            assert not gc.isenabled()
        assert gc.isenabled()
        return "", 0

    monkeypatch.setattr("overproof.commands.main._outcome", outcome)
    main(["predict"])
    assert any(each is made for each in gc.get_objects())
    token = ends_with_command.set(True)
    try:
        main(["predict"])
        assert not any(each is made for each in gc.get_objects())
    finally:
        ends_with_command.reset(token)
