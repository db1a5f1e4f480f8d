"""Would a test notice? One small change to the code at a time, each against the tests of its folder.

    python benchmarks/mutations.py [--sample 40] [--seed 0] [--only noise] [--out FILE]      (pip install -e '.[bench]')

Half a minute a mutant and less, on one core: some 400 by default. cosmic-ray finds the places and makes the changes
(another operator, comparison, number, `not`, `and` for `or`, an exception that is not caught, a loop that does not
run, a decorator gone); this script adds the statement that is left out, draws a sample, and runs the tests.

- Places are drawn, not mutants: an addition has eleven replacements and would count eleven times. Annotations are left
  out, because a wrong one is noticed when the file is imported, and the options of `@dataclass`.
- A mutant is killed if its tests fail (pytest's exit code 1, or 2 or 4 where it breaks an import), or take
  three times as long as without it and half a minute more; those are counted apart. Any other end of the tests, such
  as a signal or no test found, says nothing about them and stops the script. It is tried in a copy of the project.
- Every mutant is tested in a fork of one process that has imported the libraries, but nothing of the package.
- Of the folder's tests only those run that reach the changed lines, the fastest first, as coverage.py saw it without a
  change; all of a file where its fixtures reach them, and all that reach the file where they run when it is imported.
- Survivors are printed as differences. Those in `equivalent_mutants.txt` change nothing that a caller can see; the
  second share leaves them out.

Intervals are Clopper and Pearson's at 95 %: of the folder's places, one replacement each.
"""

import argparse
import ast
import contextlib
import difflib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cosmic_ray.ast
import cosmic_ray.mutating
import cosmic_ray.plugins
import coverage
import parso
import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "src/overproof"
EQUIVALENT = ROOT / "benchmarks/equivalent_mutants.txt"

FOLDERS = ("cross_fitting.py", "functional", "noise", "methods", "answers", "evaluation", "deployment", "training")

TESTS = {
    "cross_fitting.py": "tests/test_cross_fitting.py tests/training/test_held_out.py",
    "functional": "tests/functional tests/methods/test_contract.py tests/methods/test_selectors.py",
    "noise": "tests/noise tests/test_cross_fitting.py",
    "methods": "tests/methods tests/storage/test_keys.py",
    "answers": "tests/answers",
    "evaluation": "tests/evaluation tests/runs/people",
    "deployment": "tests/deployment",
    "deployment/annotate.py": "tests/deployment tests/runs/people",
    "training": "tests/training tests/models/test_estimator.py tests/scenarios/test_self_distillation.py "
    "tests/report/test_weights_over_training.py tests/storage/test_checked.py",
}
"""The tests of each file, by the longest path that it begins with; the examples in its docstrings belong to them."""

IMPORTED = ("torch", "numpy", "scipy.optimize", "scipy.stats", "scipy.spatial", "sklearn.linear_model", "pyarrow.csv",
            "pyarrow.parquet", "pydantic", "hypothesis", "jaxtyping", "beartype", "pytest", "yaml", "PIL.Image",
            "safetensors.torch", "rich.console", "typer")  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change: the file, its content with the change, and what changes it."""

    file: str
    operator: str
    code: str
    original: str
    line_number: int

    def difference(self) -> list[str]:
        """The changed lines, old ones with -, new ones with +."""
        lines = difflib.unified_diff(self.original.splitlines(), self.code.splitlines(), lineterm="", n=0)
        return [line for line in lines if not line.startswith(("---", "+++", "@@"))]

    def line(self) -> str:
        """The difference in one line, as the list of equivalent mutants has it."""
        return f"{self.file} | " + " | ".join(line[0] + line[1:].strip() for line in self.difference())


# --- the places


def annotations(source: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where types are written, and the options of dataclasses: annotations, bases, and names for unions of types."""
    found: list[ast.expr] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg | ast.AnnAssign) and node.annotation is not None:
            found.append(node.annotation)
        if isinstance(node, ast.FunctionDef) and node.returns is not None:
            found.append(node.returns)
        if isinstance(node, ast.ClassDef):
            found += [
                *node.bases,
                *(each for each in node.decorator_list if ast.unparse(each).startswith("dataclass(")),
            ]
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.BitOr):
            found += [node.value] if all(isinstance(t, ast.Name) and t.id[0].isupper() for t in node.targets) else []
    return [((n.lineno, n.col_offset), (n.end_lineno or 0, n.end_col_offset or 0)) for n in found]


def overloads(source: str) -> set[int]:
    """Lines of `@overload`, which does nothing when the code runs."""
    return {
        decorator.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Name) and decorator.id == "overload"
    }


def places(file: str, source: str) -> dict[tuple[int, int], list[tuple[str, int]]]:
    """For every place in a file what may be changed there: (operator, its occurrence)."""
    tree, typed, idle = parso.parse(source), annotations(source), overloads(source)
    found = defaultdict(list)
    for name in cosmic_ray.plugins.operator_names():
        operator = cosmic_ray.plugins.get_operator(name)
        if operator.arguments():
            continue
        spans = (span for node in cosmic_ray.ast.ast_nodes(tree) for span in operator().mutation_positions(node))
        for occurrence, (start, _) in enumerate(spans):
            if not any(first <= start < last for first, last in typed) and start[0] not in idle:
                found[start].append((name, occurrence))
    for number, node in enumerate(statements(source)):
        found[node.lineno, node.col_offset].append(("RemoveStatement", number))
    return found


def statements(source: str) -> list[ast.stmt]:
    """Calls whose value is not used, and assignments that change a value: what may be left out and still runs."""
    return [
        node
        for node in ast.walk(ast.parse(source))
        if (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)) or isinstance(node, ast.AugAssign)
    ]


def changed(source: str, name: str, occurrence: int) -> str:
    """The source with one change."""
    if name != "RemoveStatement":
        code = cosmic_ray.mutating.mutate_code(source, cosmic_ray.plugins.get_operator(name)(), occurrence)
        assert code is not None, (name, occurrence)
        return str(code)
    node, lines = statements(source)[occurrence], source.splitlines(keepends=True)
    first, last = node.lineno - 1, node.end_lineno or node.lineno
    before = lines[first].encode()[: node.col_offset].decode()
    after = lines[last - 1].encode()[node.end_col_offset :].decode()
    return "".join([*lines[:first], before, "pass", after, *lines[last:]])


def sample(folder: str, size: int, seed: int) -> Iterator[Mutant]:
    """Mutants of a folder: places drawn without replacement, one change drawn for each."""
    draw = random.Random(f"{folder} {seed}")
    root = ROOT / PACKAGE / folder
    files = [root] if root.is_file() else sorted(root.rglob("*.py"))
    sources = {str(file.relative_to(ROOT)): file.read_text() for file in files}
    everywhere = [
        (file, place, changes)
        for file, source in sources.items()
        for place, changes in sorted(places(file, source).items())
    ]
    for file, (line, _), changes in draw.sample(everywhere, min(size, len(everywhere))):
        # cosmic-ray knows no grammar: `a & not b` is no program; and a tuple of dotted exceptions ends in an error
        programs = list[tuple[str, str]]()
        for name, number in changes:
            with contextlib.suppress(AttributeError):
                programs += [(name, code)] if runs(code := changed(sources[file], name, number)) else []
        if programs:
            name, code = draw.choice(programs)
            yield Mutant(file, name, code, sources[file], line)


def runs(code: str) -> bool:
    """Whether Python can compile it, without a warning: `x is 0` fails tests by that alone."""
    with warnings.catch_warnings(action="error"):
        try:
            compile(code, "changed", "exec")
        except (SyntaxError, SyntaxWarning):
            return False
    return True


# --- the tests


def tests_of(file: str) -> str:
    """The tests of a file."""
    path = file.removeprefix(f"{PACKAGE}/")
    return TESTS[max((name for name in TESTS if path.startswith(name)), key=len)]


def copied(target: Path) -> None:
    """The project's tracked and new files, in a folder of their own."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        if (
            name.startswith(("src/", "tests/", "docs/", "benchmarks/", "pyproject", "README"))
            and (ROOT / name).is_file()
        ):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target / name)


def lines_of_statement(source: str, line: int) -> range:
    """The lines of the innermost statement in a function that a line belongs to; of one with a body, its head.

    Empty where the line runs when the module is imported.
    """
    found, inside = range(0), range(0)
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.stmt) or not node.lineno <= line <= (node.end_lineno or 0):
            continue
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if body else node.end_lineno or node.lineno
        if line <= max(last, node.lineno):
            found = range(node.lineno, max(last, node.lineno) + 1)
        if isinstance(node, ast.FunctionDef) and line >= node.body[0].lineno:
            inside = range(node.body[0].lineno, (node.end_lineno or 0) + 1)
    return found if line in inside else range(0)


class Watched:
    """A plugin of pytest: which test reaches which line, and how long it takes."""

    def __init__(self, package: Path) -> None:
        self.coverage = coverage.Coverage(data_file=None, config_file=False, source=[str(package)])
        self.seconds: dict[str, float] = defaultdict(float)
        self.coverage.start()

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(f"{item.nodeid.partition('::')[0]}")
        yield

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        self.coverage.switch_context(item.nodeid)
        yield
        self.coverage.switch_context(f"{item.nodeid.partition('::')[0]}")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] += report.duration

    def write(self, target: Path) -> None:
        """For every file and line the tests (or files of tests, for fixtures), and the seconds of every test."""
        self.coverage.stop()
        data = self.coverage.get_data()
        lines = {file: data.contexts_by_lineno(file) for file in data.measured_files()}
        target.write_text(json.dumps({"lines": lines, "seconds": self.seconds}))


@dataclass(frozen=True)
class Chosen:
    """A plugin of pytest: these tests in their order, and before them those that only the changed code has."""

    tests: list[str]
    seen: Collection[str]

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        place = {each: number for number, each in enumerate(self.tests)}
        items[:] = [item for item in items if item.nodeid in place or item.nodeid not in self.seen]
        items.sort(key=lambda item: place.get(item.nodeid, -1))


def reached(seen: dict[str, Any], copy: Path, mutant: Mutant) -> list[str]:
    """The tests that reach the changed lines, the fastest first; those that reach the file where its import does.

    Args:
        seen: What `Watched` wrote.
        copy: The copy of the project that it saw.
        mutant: The change.
    """
    by_line = seen["lines"].get(str(copy / mutant.file), {})
    statement = lines_of_statement(mutant.original, mutant.line_number)
    if mutant.original.splitlines()[mutant.line_number - 1].lstrip().startswith("@"):
        # What a decorator does at the import, such as to register a part, is seen from anywhere.
        return sorted(seen["seconds"], key=lambda each: seen["seconds"][each])
    contexts = {each for line in statement or by_line for each in by_line.get(str(line), [])}
    near = {each for each in seen["seconds"] if each in contexts or each.partition("::")[0] in contexts}
    return sorted(near or (set() if statement else seen["seconds"]), key=lambda each: seen["seconds"][each])


def outcome_of(code: int, log: Path) -> str:
    """`passed` or `failed`, from the exit code of pytest and what it has printed.

    Raises:
        SystemExit: The code says neither, so counting it as killed would be a guess.
    """
    printed = log.read_text(errors="replace") if log.exists() else ""
    if code in (0, 1):
        return ("passed", "failed")[code]
    if (code == 4 and "while loading conftest" in printed) or (code == 2 and "during collection" in printed):
        return "failed"
    raise SystemExit(
        f"The tests ended with code {code} (0 is passed, 1 is failed), which does not say whether they notice the "
        f"change. The end of what they printed:\n{printed[-3000:]}"
    )


class Tests:
    """Runs tests of a copy in forks of this process."""

    def __init__(self, copy: Path, log: Path) -> None:
        self.copy, self.log, self.stamp = copy, log, 2_000_000_000
        os.environ.update(
            PYTHONPATH=str(copy / "src"), OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive", HF_HUB_OFFLINE="1",
            TOKENIZERS_PARALLELISM="false",
        )  # fmt: skip
        for name in IMPORTED:
            __import__(name)
        assert not any(name.startswith("overproof") for name in sys.modules)

    def write(self, file: str, code: str) -> None:
        """Change a file of the copy. Every change has a time of its own, so that no compiled file is taken for it."""
        path = self.copy / file
        path.write_text(code)
        self.stamp += 10
        os.utime(path, (self.stamp, self.stamp))

    def run(
        self, arguments: list[str], limit: float, plugins: Sequence[Any] = (), watched: Path | None = None
    ) -> tuple[str, float]:
        """`passed`, `failed` or `too long`, and the seconds it took.

        Args:
            arguments: What is given to pytest.
            limit: Seconds after which the tests are stopped.
            plugins: Of pytest.
            watched: The file that says afterwards which test reaches which line.

        Raises:
            SystemExit: The tests ended otherwise.
        """
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            self._in_the_child(arguments, plugins, watched)
        while time.monotonic() - start < limit:
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                return outcome_of(os.waitstatus_to_exitcode(status), self.log), time.monotonic() - start
            time.sleep(0.05)
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "too long", time.monotonic() - start

    def _in_the_child(self, arguments: list[str], plugins: Sequence[Any], watched: Path | None) -> None:
        code = 99
        try:
            os.setsid()
            os.chdir(self.copy)
            written = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(written, 1), os.dup2(written, 2)
            sys.path.insert(0, str(self.copy / "src"))
            sys.argv = ["pytest"]
            watching = [Watched(self.copy / PACKAGE)] if watched else []
            # Imported before pytest could rewrite its assertions: that concerns plugins alone.
            quiet = "-W", "ignore::pytest.PytestAssertRewriteWarning"
            code = int(
                pytest.main(
                    ["-q", "-x", *quiet, "-p", "no:randomly", "-p", "no:cacheprovider", *arguments],
                    [*plugins, *watching],
                )
            )
            for each in watching:
                each.write(watched)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)


def interval(killed: int, of: int) -> str:
    """The share and its interval in percent."""
    from scipy.stats import beta

    low = beta.ppf(0.025, killed, of - killed + 1) if killed else 0.0
    high = beta.ppf(0.975, killed + 1, of - killed) if killed < of else 1.0
    return f"{100 * killed / max(of, 1):.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def main() -> None:
    """Draw, test, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=40, help="mutants a folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=FOLDERS, help="this folder alone; may be repeated")
    parser.add_argument("--out", type=Path, help="a JSON file of all mutants")
    options = parser.parse_args()
    lines = EQUIVALENT.read_text().splitlines()
    equivalent = {line for line in lines if line and not line.startswith(("#", " "))}
    records = []
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / "project"
        copied(copy)
        tests, seconds = Tests(copy, Path(temporary) / "log.txt"), dict[str, float]()
        seen = dict[str, Any]()
        for folder in options.only or FOLDERS:
            for mutant in sample(folder, options.sample, options.seed):
                names = tests_of(mutant.file)
                if names not in seconds:
                    # Without a change all of them must pass. This compiles them as well, so the limit is generous.
                    watched = Path(temporary) / "watched.json"
                    outcome, seconds[names] = tests.run([f"{PACKAGE}/{folder}", *names.split()], 3600, watched=watched)
                    if outcome != "passed":
                        raise SystemExit(f"Without a change: {outcome}: {names}\n{tests.log.read_text()[-3000:]}")
                    seen[names] = json.loads(watched.read_text())
                    print(f"{seconds[names]:.0f} s without a change: {names}", flush=True)
                tests.write(mutant.file, mutant.code)
                try:
                    own = reached(seen[names], copy, mutant)
                    limit = 30 + 3 * sum(seen[names]["seconds"][each] for each in own)
                    files = list(dict.fromkeys(each.partition("::")[0] for each in own))
                    chosen = Chosen(own, seen[names]["seconds"].keys())
                    outcome, taken = tests.run(files, limit, [chosen]) if own else ("passed", 0.0)
                except SystemExit:
                    print(f"  stopped at: {mutant.line()}", flush=True)
                    raise
                finally:
                    tests.write(mutant.file, mutant.original)
                records.append(
                    {
                        "folder": folder, "file": mutant.file, "operator": mutant.operator, "outcome": outcome,
                        "seconds": round(taken, 1), "line": mutant.line(),
                        "equivalent": outcome == "passed" and mutant.line() in equivalent,
                    }
                )  # fmt: skip
                if options.out:
                    options.out.write_text(json.dumps(records, indent=1, ensure_ascii=False))
                if outcome == "passed" and not records[-1]["equivalent"]:
                    print(f"  survived: {mutant.line()}", flush=True)
    print(f"\nseed {options.seed}, {options.sample} places a folder; share killed with its 95 % interval")
    for folder in [*(options.only or FOLDERS), "all"]:
        own = [each for each in records if folder in (each["folder"], "all")]
        killed = sum(each["outcome"] != "passed" for each in own)
        same = sum(each["equivalent"] for each in own)
        late = sum(each["outcome"] == "too long" for each in own)
        print(
            f"{folder:18} {killed} of {len(own)}, {late} of them by time: {interval(killed, len(own))}; "
            f"without {same} equivalent ones {interval(killed, len(own) - same)}"
        )


if __name__ == "__main__":
    main()
