"""A finished run as one page: its files read, its examples looked up, its sections put together."""

import platform
import shlex
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from overproof.data import Examples
from overproof.evaluation.verdict import LABELLED_ONLY
from overproof.processes import leads
from overproof.report.page import Section, page
from overproof.report.sections import (
    Bill,
    Shown,
    belief_section,
    citations_section,
    costs_section,
    curves_section,
    examples_section,
    findings_section,
    mistakes_section,
    reliability_section,
    reproduce_section,
    results_section,
)
from overproof.report.sentence import best_of, verdict_sentence
from overproof.report.showing import shown
from overproof.runs.costs import Cost, costs_of
from overproof.runs.costs import Work as Kind
from overproof.runs.experiment import dump
from overproof.runs.pipeline import Run
from overproof.runs.result_file import Found, read_found
from overproof.runs.roles import Parties
from overproof.storage import atomic
from overproof.version import __version__

TEACHER = "teacher"


def write_report(run: Run, file: Path | None = None) -> Path:
    """Write a finished run as one page, by default as report.html in its folder, and return its path.

    Args:
        run: The run.
        file: Where to write the page; another one there is replaced.

    Raises:
        InputError: The run has not come to its end.
    """
    file = file or run.folder / "report.html"
    if not leads():
        return file
    found, experiment, folder = read_found(run.folder), run.experiment, run.folder
    detailed, rows = rows_in_detail(found), experiment.rows()
    seed = experiment.seeds[0]
    parties = run.parties(seed)
    labelled, pool, test = len(parties.labelled), len(parties.pool), len(parties.test)
    sections = [
        results_section(found.summary),
        findings_section(found.findings),
        curves_section(found.students),
        belief_section(found.students, [row.row for row in rows if experiment.method_of(row).needs_held_out]),
        mistakes_section(found.tallies, found.class_names, [TEACHER, *detailed]),
        reliability_section(found.tallies, [TEACHER, *detailed]),
        _disagreements(found, parties.test, detailed[0], seed),
        _doubted(found, parties, seed),
        _costs(found, parties, folder, costs_of(folder)),
        reproduce_section(
            f"overproof run {shlex.quote(str(folder / 'experiment.yaml'))} --out runs/again",
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
        f"{test:,} in the test".replace(",", " "),
        f"{len(found.class_names)} classes",
        "1 seed" if len(experiment.seeds) == 1 else f"{len(experiment.seeds)} seeds",
        f"student {experiment.student.name}",
    ]
    text = page(
        title=found.name,
        kind="Run",
        verdict=verdict_sentence(found.summary),
        sections=[section for section in sections if section is not None],
        facts=facts,
    )
    atomic.write_text(file, text)
    return file


def rows_in_detail(found: Found) -> list[str]:
    """The rows whose mistakes are shown beside the teacher's: the best method, or without methods the labels
    alone, and the best conventional one."""
    best = best_of(found.summary, ["method"])
    baseline = next((row.baseline for row in found.summary if row.baseline), None)
    trained = {facts["method"] for facts in found.students}
    chosen = [best.method if best else LABELLED_ONLY, baseline or ""]
    return list(dict.fromkeys(row for row in chosen if row in trained)) or sorted(trained)[:1]


def _disagreements(found: Found, test: Examples, row: str, seed: int) -> Section | None:
    told = next((each for each in found.tallies if each.method == row and each.seed == seed), None)
    names, examples = found.class_names, []
    for each in told.disagreements if told else ():
        said = [("true class", names[each["label"]], "")]
        for who, title in (("teacher", "teacher"), ("student", row)):
            named = each[who]
            mark = "right" if named == each["label"] else "wrong"
            said.append((title, f"{names[named]}, {100 * each[f'{who}_prob']:.0f} %", mark))
        examples.append(Shown(picture=shown(test, each["row"]), said=said))
    intro = (
        f"Test examples on which {row} and its teacher name different classes and are furthest apart (seed {seed}). "
        "The test is for looking only: what is chosen after such a look has seen it."
    )
    return examples_section("disagreements", "Where teacher and student disagree", intro, examples, kind=test.kind)


def _doubted(found: Found, parties: Parties, seed: int) -> Section | None:
    best = best_of(found.summary, ["method"])
    order = [best.method] if best else []
    order += [facts["method"] for facts in found.students]
    known = {
        facts["method"]: facts
        for facts in found.students
        if facts["seed"] == seed and "least" in facts.get("doubt", {})
    }
    # A method with weights first: that is what down-weighted means.
    rows = sorted(
        (row for row in dict.fromkeys(order) if row in known), key=lambda row: known[row]["doubt"]["by"] != "weight"
    )
    if not rows:
        return None
    row = rows[0]
    doubt = known[row]["doubt"]
    examples = []
    for each in doubt["least"]:
        for role in (parties.pool, parties.original):
            at = None if role is None else _place(role, each["id"])
            if role is None or at is None:
                continue
            truth = int(role.label[at])
            mark = "" if truth < 0 else "right" if truth == each["teacher"] else "wrong"
            said = [
                ("teacher", found.class_names[each["teacher"]], mark),
                ("student agrees", f"{100 * each['student_prob']:.0f} %", ""),
                (doubt["by"], f"{each['value']:.3g}", ""),
            ]
            if truth >= 0:
                said.insert(0, ("true class", found.class_names[truth], ""))
            examples.append(Shown(picture=shown(role, at), said=said))
            break
    intro = {
        "weight": f"Pool examples that counted least for {row} at the end of training (seed {seed}).",
        "teacher accuracy": f"Pool examples on which {row} expects the teacher to be wrong most (seed {seed}).",
    }[doubt["by"]] + " A look at them says whether the doubt is right, and which labels would be worth having."
    return examples_section("doubted", "The most doubted answers", intro, examples, kind=parties.pool.kind)


def _place(examples: Examples, content_id: str) -> int | None:
    """Where the example with that content id stands."""
    halves = np.ascontiguousarray(examples.ids).view(np.uint64).reshape(-1, 2)
    wanted = np.frombuffer(bytes.fromhex(content_id), np.uint64)
    rows = np.flatnonzero((halves == wanted).all(axis=1))
    return int(rows[0]) if len(rows) else None


def _costs(found: Found, parties: Parties, folder: Path, costs: Mapping[tuple[Kind, str, int], Cost]) -> Section:
    def seconds(work: Kind, row: str) -> list[Cost]:
        return [cost for (kind, method, _), cost in costs.items() if kind == work and method == row]

    asked = seconds("ask", TEACHER)
    calls = len(parties.labelled) + sum(map(len, parties.others().values()))
    lines = [("examples answered, each once", f"{calls:,} a seed".replace(",", " "))]
    if asked:
        lines.append(("time, training included", f"{fmean(cost.seconds for cost in asked):.1f} s a seed"))
    bills = []
    for row in dict.fromkeys(facts["method"] for facts in found.students):
        own = [facts for facts in found.students if facts["method"] == row]
        weights = [folder / "students" / f"seed-{facts['seed']}" / row / "student.safetensors" for facts in own]
        trained, answered = seconds("train", row), seconds("answer", row)
        bills.append(
            Bill(
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
    return costs_section(lines, bills)
