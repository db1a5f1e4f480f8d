"""`auto` beside tuned conventional rows, labels alone and every single method, setting by setting.

    python recipes/automatic.py runs/automatic                      # all settings whose data are there
    python recipes/automatic.py runs/automatic letter adult --seeds 0 1 2

Prints the tables of docs/results_auto.md. A run that is finished is read; an interrupted one goes on. What a setting
needs is said in the head of its recipe; a setting without its files is left out with a line. Settings marked as
confirmation were not looked at while the rules of the search were chosen.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import yaml

from overproof.errors import InputError

RECIPES = Path(__file__).parent
FLIPS = {"teacher.flip_share": 0.3}
BY_CLASS = {"teacher.spoil": {"kind": "class_conditional", "share": 0.3}}
LINEAR = {"student.name": "linear", "student.options": {}}
METHODS = ["labelled_only", "hard", "soft", "slam_auto", "forward", "hard_tuned", "soft_tuned", "auto"]


def zero_shot(name, answers, *others):
    """A recipe of a zero-shot teacher with other files of answers, or stacked with other teachers."""
    first = {"answers": [f"runs/zero_shot/{name}/{answers}.parquet"]}
    return f"zero_shot_{name}", {"teacher": [first, *others] if others else first}, False


SETTINGS = {
    "newsgroups_zero_shot": zero_shot("newsgroups", "answers"),
    "newsgroups_zero_shot_hard": zero_shot("newsgroups", "answers_hard"),
    "newsgroups_zero_shot_stacked": zero_shot("newsgroups", "answers", "auto"),
    "newsgroups_zero_shot_hard_stacked": zero_shot("newsgroups", "answers_hard", "auto"),
    "newsgroups_zero_shot_adapted": zero_shot("newsgroups", "answers", "auto", "adapter"),
    "newsgroups_zero_shot_hard_adapted": zero_shot("newsgroups", "answers_hard", "auto", "adapter"),
    "clothing_zero_shot": zero_shot("clothing", "answers"),
    "clothing_zero_shot_hard": zero_shot("clothing", "answers_hard"),
    "imdb_zero_shot": zero_shot("imdb", "answers"),
    "imdb_zero_shot_hard": zero_shot("imdb", "answers_hard"),
    "letter": ("letter", {}, False),
    "letter_flips": ("letter", FLIPS, False),
    "letter_by_class": ("letter", BY_CLASS, False),
    "letter_llm": ("llm_like_letter", {}, False),
    "letter_linear": ("letter", LINEAR, False),
    "adult": ("adult", {}, False),
    "adult_flips": ("adult", FLIPS, False),
    "adult_linear": ("adult", LINEAR, False),
    "imdb": ("imdb", {}, False),
    "newsgroups": ("newsgroups", {}, False),
    "newsgroups_llm": ("llm_like_newsgroups", {}, True),
    "flights": ("flights", {}, True),
    "flights_linear": ("flights", LINEAR, True),
    "cifar10": ("cifar10_features", {}, True),
    "cifar10_flips": ("cifar10_features", FLIPS, True),
    "newsgroups_by_class": ("newsgroups", BY_CLASS, True),
}
"""Recipe, changes, and whether it is kept for confirmation."""


def content_of(name, seeds):
    """The experiment of a setting."""
    recipe, changes, _ = SETTINGS[name]
    content = yaml.safe_load((RECIPES / f"{recipe}.yaml").read_text())
    for path, value in changes.items():
        *groups, last = path.split(".")
        node = content
        for group in groups:
            node = node.setdefault(group, {})
        node[last] = value
    return content | {"name": name, "methods": METHODS, "seeds": seeds}


def run(name, folder, seeds):
    """Run one setting; its result, or None where its files are missing."""
    content = content_of(name, seeds)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    ended = subprocess.run(
        [sys.executable, "-m", "overproof", "run", str(file), "--out", str(folder / name), "--quiet"],
        check=False,
        capture_output=True,
        text=True,
    )
    if ended.returncode:
        print(f"{name}: left out. {ended.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    return json.loads((folder / name / "result.json").read_text())


def accuracies(result):
    """Row to its accuracies by seed."""
    found = {}
    for row in result["rows"]:
        found.setdefault(row["method"], {})[row["seed"]] = row["metrics"]["accuracy"]
    return found


def line(name, result):
    """The line of a setting, and auto's mean differences."""
    by_row = accuracies(result)
    mean = {row: statistics.fmean(values.values()) for row, values in by_row.items()}
    summary = {each["method"]: each for each in result["summary"]}
    tuned = max(("hard", "soft", "hard_tuned", "soft_tuned"), key=mean.__getitem__)
    single = max(("labelled_only", "hard", "soft", "slam_auto", "forward"), key=mean.__getitem__)
    gains = {
        "tuned": mean["auto"] - mean[tuned],
        "single": mean["auto"] - mean[single],
        "labels": mean["auto"] - mean["labelled_only"],
    }
    low, high = summary["auto"]["difference_low"], summary["auto"]["difference_high"]
    interval = "" if low is None else f" [{100 * low:+.1f}, {100 * high:+.1f}]"
    chosen = [each["search"]["chosen"] for each in result["students"] if each["method"] == "auto"]
    cells = [
        name + (" (confirmation)" if SETTINGS[name][2] else ""),
        f"{100 * mean['teacher']:.1f}",
        f"{100 * mean['labelled_only']:.1f}",
        f"{100 * mean[tuned]:.1f} (`{tuned}`)",
        f"{100 * mean[single]:.1f} (`{single}`)",
        f"{100 * mean['auto']:.1f}",
        f"{100 * gains['tuned']:+.1f}{interval}",
        "; ".join(dict.fromkeys(chosen)),
    ]
    return f"| {' | '.join(cells)} |", gains


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("settings", nargs="*", default=list(SETTINGS), metavar="SETTING")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args()
    if unknown := set(arguments.settings) - set(SETTINGS):
        raise InputError(f"No such setting: {', '.join(sorted(unknown))}; there are {', '.join(SETTINGS)}.")
    head = ["setting", "teacher", "labels alone", "best conventional, tuned or not", "best single method", "`auto`"]
    head += ["`auto` minus best conventional", "chosen"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    gains = {}
    for name in arguments.settings:
        result = run(name, arguments.folder, arguments.seeds)
        if result is not None:
            text, gains[name] = line(name, result)
            print(text, flush=True)
    for kind, words in (("False", "settings"), ("True", "confirmation")):
        some = [each for name, each in gains.items() if str(SETTINGS[name][2]) == kind]
        if some:
            found = {key: [100 * each[key] for each in some] for key in some[0]}
            words_of = {"tuned": "best conventional row", "single": "best single method", "labels": "labels alone"}
            parts = [
                f"{what} {statistics.fmean(found[each]):+.2f} (worst {min(found[each]):+.1f})"
                for each, what in words_of.items()
            ]
            print(f"\n{len(some)} {words}: auto minus {', '.join(parts)}.")


if __name__ == "__main__":
    main()
