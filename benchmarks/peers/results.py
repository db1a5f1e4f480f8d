"""The tables of the race: every peer beside overproof's `auto`, paired by seed on the same test rows."""

from collections.abc import Mapping, Sequence
from statistics import fmean

import numpy as np
import torch
from peer import PEERS
from sets import FOLDER, OURS, ROOT, SETS, truth

from overproof.evaluation.verdict import Row, Summary, summarise

BASELINE = OURS["auto"]
PAGE = ROOT / "docs" / "results_peers.md"
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def macro_f1(predicted: np.ndarray, label: np.ndarray) -> float:
    """The mean over the classes that occur in `label` of 2 hits / (labels + predictions)."""
    found = []
    for each in np.unique(label):
        hits = ((predicted == each) & (label == each)).sum()
        found.append(2 * hits / ((predicted == each).sum() + (label == each).sum()))
    return float(np.mean(found))


def compared(cells: Sequence[Mapping], label: np.ndarray) -> dict[str, dict[str, Summary]]:
    """Every peer beside `BASELINE`, over the seeds that both have, by metric and peer.

    The package's own statistics: the interval of the accuracy's difference counts seeds and test sample, that of macro
    F1 the seeds alone. A positive difference is for the peer.

    Args:
        cells: With `title`, `seed` and `predicted`, class indices of the test; the same test for all.
        label: [N], the test's labels.
    """
    rows = []
    for each in cells:
        predicted = np.asarray(each["predicted"])
        scores = {"accuracy": float((predicted == label).mean()), "macro_f1": macro_f1(predicted, label)}
        role = "conventional" if each["title"] == BASELINE else "method"
        correct = torch.from_numpy(predicted == label)
        rows.append(
            Row(method=each["title"], seed=each["seed"], metrics=scores, role=role, correct=correct, test="test")
        )
    metrics = ("accuracy", "macro_f1")
    return {metric: {each.method: each for each in summarise(rows, metric=metric)} for metric in metrics}


def points(value: float | None, low: float | None, high: float | None) -> str:
    """A difference in points with its interval."""
    if value is None:
        return "–"
    interval = "" if low is None or high is None else f" [{100 * low:+.1f}, {100 * high:+.1f}]"
    return f"{100 * value:+.1f}{interval}"


def size_of(num_bytes: float) -> str:
    """Megabytes, with more digits where they are few."""
    return f"{num_bytes / 1e6:.{2 if num_bytes < 1e6 else 1 if num_bytes < 1e7 else 0}f}"


def table_of(cells: Sequence[Mapping], label: np.ndarray) -> str:
    """The table of one set, best accuracy first; a peer that BEATS `auto` is bold.

    Args:
        cells: As for `compared`, with seconds, bytes, memory and lines; those that broke have none of these and are
            left out.
        label: [N], the test's labels.
    """
    ran = [each for each in cells if "predicted" in each]
    by_metric = compared(ran, label)
    head = ["", "accuracy %", "minus `auto`", "verdict", "macro F1 %", "minus `auto`", "CPU s", "peak MB", "ships MB"]
    head += ["rows/s", "lines"]
    lines = [head, ["---"] * len(head)]
    for name in sorted(by_metric["accuracy"], key=lambda each: -by_metric["accuracy"][each].mean):
        accuracy, f1 = by_metric["accuracy"][name], by_metric["macro_f1"][name]
        mine = [each for each in ran if each["title"] == name]
        num = "" if len(mine) == 5 else f" ({len(mine)} seed{'s' * (len(mine) != 1)})"
        own = name == BASELINE
        shown = [f"{name}{num}", f"{100 * accuracy.mean:.1f}"]
        shown += ["" if own else points(accuracy.difference, accuracy.difference_low, accuracy.difference_high)]
        shown += ["" if own else str(accuracy.verdict), f"{100 * f1.mean:.1f}"]
        shown += ["" if own else points(f1.difference, f1.difference_low, f1.difference_high)]
        shown += [f"{fmean(each['seconds'] for each in mine):.0f}"]
        shown += [
            f"{max(each['peak_bytes'] for each in mine) / 1e6:.0f}",
            size_of(fmean(each["bytes"] for each in mine)),
        ]
        shown += [f"{fmean(each['rows_a_second'] for each in mine):,.0f}", str(mine[0]["lines"])]
        if accuracy.verdict == "BEATS":
            shown = [f"**{each}**" if place < 4 else each for place, each in enumerate(shown)]
        if f1.verdict == "BEATS":
            shown[4:6] = [f"**{each}**" for each in shown[4:6]]
        lines.append(shown)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def written(cells: Sequence[Mapping]) -> None:
    """Print the tables of all sets that have cells, and write them into the page."""
    titles = OURS | {called: each.title for called, each in PEERS.items()}
    parts = []
    for name, chosen in SETS.items():
        mine = [{**each, "title": titles[each["peer"]]} for each in cells if each["set"] == name]
        if not any(each["peer"] == "auto" and "predicted" in each for each in mine):
            continue
        label, answer = truth(name)
        broken = {}
        for each in mine:
            if "broke" in each:
                broken.setdefault((each["title"], each["broke"]), []).append(str(each["seed"]))
        words = [f"* {title}, seed {', '.join(seeds)}: {why}" for (title, why), seeds in broken.items()]
        about = f"Teacher on the test {100 * (answer == label).mean():.1f} %; {len(label):,} test rows."
        part = [f"## {chosen.title[0].upper()}{chosen.title[1:]}", about, table_of(mine, label)]
        parts += [*part, *(["What broke:\n\n" + "\n".join(words)] if words else [])]
    text = "\n\n".join(parts)
    print(text)
    if PAGE.exists() and BEGIN in (page := PAGE.read_text()):
        before, after = page.partition(BEGIN)[0], page.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")
    (FOLDER / "tables.md").write_text(text + "\n")
