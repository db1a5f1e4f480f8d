"""Write the HTML report of a finished run: read its files, look up its examples, put its sections together."""

import platform
import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from overproof.data import Examples
from overproof.data.wording import counted
from overproof.evaluation.deployable import deployable
from overproof.evaluation.verdict import LABELLED_ONLY
from overproof.processes import leads
from overproof.report.decision import decision_of, macro_f1
from overproof.report.example_html import example_html
from overproof.report.page import Section, page
from overproof.report.sections import (
    AnnotatedExample,
    RowCosts,
    citations_section,
    costs_section,
    curves_section,
    errors_section,
    examples_section,
    findings_section,
    reliability_section,
    reproduce_section,
    results_section,
    search_section,
    weights_section,
)
from overproof.report.sentence import best_of, verdict_sentence
from overproof.runs.costs import Cost, Task, costs_of
from overproof.runs.experiment import dump
from overproof.runs.folder.result_file import RunResult, read_result
from overproof.runs.pipeline import Run
from overproof.runs.roles import SeedRoles
from overproof.storage import atomic
from overproof.storage.one_writer import writing_file
from overproof.version import __version__

TEACHER = "teacher"


def write_report(run: Run, file: Path | None = None) -> Path:
    """Write a finished run as one page, by default as report.html in its folder, and return its path.

    Args:
        run: The run.
        file: The file to write; an existing one is replaced.

    Raises:
        InputError: The run is not finished, or an input file was replaced since.
    """
    file = file or run.folder / "report.html"
    if leads():
        atomic.check_page(file)
        with writing_file(file):
            _write(run, file)
    return file


def _write(run: Run, file: Path) -> None:
    run.verify_inputs()
    found, experiment, folder = read_result(run.folder), run.experiment, run.folder
    detailed, rows = rows_in_detail(found), experiment.rows()
    seed = experiment.seeds[0]
    roles = run.seed_roles(seed)
    labelled, pool = len(roles.labelled), len(roles.pool)
    # Files of answers need none to the test.
    judged = [row for row in (TEACHER, *detailed) if any(each.method == row for each in found.tallies)]
    licences = dict.fromkeys(each.licence_said for each in experiment.scorers if each.licence_said)
    addresses = [f" --allow-import {each.options['url']}" for each in experiment.scorers if each.asks]
    names = [row.method for row in found.summary]
    sections = [
        results_section(found.summary, more=("macro F1 %", _macro_f1(found))) if found.summary else None,
        findings_section((*found.findings, *licences)),
        search_section(found.students),
        curves_section(found.students, names),
        weights_section(found.students, [row.row for row in rows if experiment.method_of(row).needs_held_out]),
        errors_section(found.tallies, found.class_names, judged),
        reliability_section(found.tallies, judged, names),
        _disagreements(found, roles.judging, detailed[0], seed),
        _least_trusted(found, roles, seed),
        _costs(found, roles, folder, costs_of(folder)),
        reproduce_section(
            f"overproof run {shlex.quote(str(folder / 'experiment.yaml'))} --out runs/again" + "".join(addresses),
            dump(experiment),
            (
                ("overproof", __version__),
                ("torch", torch.__version__.partition("+")[0]),
                ("Python", platform.python_version()),
            ),
        ),
        citations_section(experiment.papers()),
    ]
    facts = [
        f"{labelled:,} labelled".replace(",", " "),
        f"{pool:,} in the pool".replace(",", " "),
        found.judged_on.words().replace(",", " "),
        f"{len(found.class_names)} classes",
        counted(len(experiment.seeds), "seed"),
        f"student {experiment.student.name}",
    ]
    decision = decision_of(found)
    verdict = verdict_sentence(found.summary) if found.summary else found.judged_on.sentence()
    text = page(
        title=found.name,
        kind="Run",
        verdict=verdict if decision is None else decision.deploy,
        sections=[
            replace(section, folded=section.name not in ("results", "findings"))
            for section in sections
            if section is not None
        ],
        facts=facts,
        more=() if decision is None else (*decision.beware, verdict),
        steps=() if decision is None else decision.steps,
    )
    atomic.write_text(file, text)


def _macro_f1(found: RunResult) -> dict[str, str]:
    """Its mean over the seeds, by row of the table."""
    return {row: f"{100 * value:.1f}" for row, value in macro_f1(found).items()}


def rows_in_detail(found: RunResult) -> list[str]:
    """The rows whose errors are shown beside the teacher's: the one to deploy, the best method (or, without methods,
    the labels alone) and the best conventional row."""
    best, deployed = best_of(found.summary, ["method"]), deployable(found.summary, found.rows)
    baseline = next((row.baseline for row in found.summary if row.baseline), None)
    trained = {facts["method"] for facts in found.students}
    chosen = [deployed.row if deployed else "", best.method if best else LABELLED_ONLY, baseline or ""]
    return list(dict.fromkeys(row for row in chosen if row in trained)) or sorted(trained)[:1]


def _disagreements(found: RunResult, test: Examples, row: str, seed: int) -> Section | None:
    tally = next((each for each in found.tallies if each.method == row and each.seed == seed), None)
    names, examples = found.class_names, []
    for each in tally.disagreements if tally else ():
        notes = [("true class", names[each["label"]], "")]
        for name, title in (("teacher", "teacher"), ("student", row)):
            named = each[name]
            mark = "right" if named == each["label"] else "wrong"
            notes.append((title, f"{names[named]}, {100 * each[f'{name}_prob']:.0f} %", mark))
        examples.append(AnnotatedExample(content=example_html(test, each["row"]), notes=notes))
    judging = "Labelled rows" if found.judged_on.kind == "cross-validation" else "Test examples"
    intro = (
        f"{judging} on which {row} and its teacher predict different classes, with the largest distance between "
        f"their probabilities (seed {seed}). Do not choose a method or its options by these examples: they would "
        f"not be independent of it any more."
    )
    return examples_section("disagreements", "Where teacher and student disagree", intro, examples, kind=test.kind)


def _least_trusted(found: RunResult, roles: SeedRoles, seed: int) -> Section | None:
    best = best_of(found.summary, ["method"])
    order = [best.method] if best else []
    order += [facts["method"] for facts in found.students]
    known = {
        facts["method"]: facts
        for facts in found.students
        if facts["seed"] == seed and "least" in facts.get("doubt", {})
    }
    # Methods with weights first.
    rows = sorted(
        (row for row in dict.fromkeys(order) if row in known), key=lambda row: known[row]["doubt"]["by"] != "weight"
    )
    if not rows:
        return None
    row = rows[0]
    doubt = known[row]["doubt"]
    examples = []
    for each in doubt["least"]:
        for role in (roles.pool, roles.original):
            at = None if role is None else _place(role, each["id"])
            if role is None or at is None:
                continue
            truth = int(role.label[at])
            mark = "" if truth < 0 else "right" if truth == each["teacher"] else "wrong"
            notes = [
                ("teacher", found.class_names[each["teacher"]], mark),
                ("student's probability of it", f"{100 * each['student_prob']:.0f} %", ""),
                (doubt["by"], f"{each['value']:.3g}", ""),
            ]
            if truth >= 0:
                notes.insert(0, ("true class", found.class_names[truth], ""))
            examples.append(AnnotatedExample(content=example_html(role, at), notes=notes))
            break
    intro = {
        "weight": f"Pool examples with the smallest weights of {row} at the end of training (seed {seed}).",
        "teacher accuracy": f"Pool examples with the lowest teacher accuracy, as estimated by {row} (seed {seed}).",
    }[doubt["by"]] + " Label these first: their teacher answers are the least trusted."
    return examples_section("least-trusted", "Least trusted teacher answers", intro, examples, kind=roles.pool.kind)


def _place(examples: Examples, content_id: str) -> int | None:
    """The row of the example with that content id."""
    halves = np.ascontiguousarray(examples.ids).view(np.uint64).reshape(-1, 2)
    wanted = np.frombuffer(bytes.fromhex(content_id), np.uint64)
    rows = np.flatnonzero((halves == wanted).all(axis=1))
    return int(rows[0]) if len(rows) else None


def _costs(found: RunResult, roles: SeedRoles, folder: Path, costs: Mapping[tuple[Task, str, int], Cost]) -> Section:
    def seconds(task: Task, row: str) -> list[Cost]:
        return [cost for (done, method, _), cost in costs.items() if done == task and method == row]

    asking = seconds("ask", TEACHER)
    calls = sum(map(len, roles.by_role().values()))
    lines = [("examples answered, each once", f"{calls:,} per seed".replace(",", " "))]
    if asking:
        lines.append(("time, training included", f"{fmean(cost.seconds for cost in asking):.1f} s per seed"))
    costs_by_row = []
    for row in dict.fromkeys(facts["method"] for facts in found.students):
        own = [facts for facts in found.students if facts["method"] == row]
        weights = [folder / "students" / f"seed-{facts['seed']}" / row / "student.safetensors" for facts in own]
        trained, answered = seconds("train", row), seconds("answer", row)
        costs_by_row.append(
            RowCosts(
                method=row,
                train_seconds=fmean(cost.seconds for cost in trained) if trained else None,
                num_parameters=own[0]["num_parameters"],
                num_bytes=weights[0].stat().st_size if weights[0].exists() else None,
                examples_per_second=(
                    sum(cost.num_examples for cost in answered) / max(sum(cost.seconds for cost in answered), 1e-9)
                    if answered
                    else None
                ),
            )
        )
    return costs_section(lines, costs_by_row)
