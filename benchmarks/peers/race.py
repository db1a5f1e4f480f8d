"""A race of overproof against what engineers would otherwise use: the same rows, answers and test for every peer.

    python -m venv PEERS && PEERS/bin/pip install -c constraints.txt -r benchmarks/peers/requirements.txt
    PEERS/bin/python benchmarks/peers/race.py newsgroups clothing letter --file newsgroups=newsgroups.parquet
    PEERS/bin/python benchmarks/peers/race.py --table          # the tables of docs/results_peers.md alone

A cell is a peer on a set with a seed, which draws the labelled rows. It runs alone in a process of its own, on one
thread; its line goes to runs/peers/cells.jsonl, and is not run again. Seconds are the process's CPU seconds from raw
rows to the fitted model, the choice of options included, the teacher's apart; memory is the peak of the whole process,
in which the libraries of all peers are loaded (some 400 MB).
`--minutes` ends the race before the next cell; `--seeds` and `--peers` run a part of it.
"""

import argparse
import itertools
import json
import multiprocessing
import os
import resource
import shutil
import sys
import time
import traceback
import warnings
from pathlib import Path

# Before any library reads them: one thread, and no model hub.
os.environ |= {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
sys.path.insert(0, str(Path(__file__).parent))

import tables  # noqa: F401
import texts  # noqa: F401
import torch
from peer import PEERS
from results import written
from sets import FOLDER, OURS, ROOT, SEEDS, SETS, material, prepared

from overproof.models import load_student
from overproof.runs.folder.resume import student_folder
from overproof.runs.pipeline import open_run

FORKS = multiprocessing.get_context("fork")

CELLS = FOLDER / "cells.jsonl"
MOST_SECONDS = 1500
"""A cell that takes longer in processor seconds is ended, and its line says so."""

TEXTS = ["auto", "hard", "slam", "tfidf_labels", "tfidf_hard", "minilm_labels", "minilm_hard", "torch_hard"]
TEXTS += ["fasttext_hard", "self_training", "cleanlab_learning", "heartcut_tfidf", "shrewd_tfidf", "setfit_labels"]
TABLES = ["auto", "hard", "slam", "trees_labels", "trees_hard", "network_hard", "self_training_trees", "cleanlab_trees"]
SOFT = {"text": ["tfidf_soft", "torch_soft"], "table": ["trees_soft", "network_soft"]}
"""Peers that read probabilities; where the answers are classes they would repeat the others."""


def peers_of(name, given):
    """The peers of a set, in the order in which they run."""
    known = TEXTS if given.kind == "text" else TABLES
    if given.vectors is None:
        known = [each for each in known if not each.startswith("minilm")]
    return [*known, *([] if given.is_hard else SOFT[given.kind])]


def cell(name, called, seed):
    """Fit one peer and classify the test, in this process."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    given = material(name, seed)
    if called in OURS:
        return ours(name, called, seed, given)
    chosen = PEERS[called]
    start = time.process_time()
    fitted = chosen.fit(given)
    seconds = time.process_time() - start
    if chosen.vectors:
        seconds += given.vector_seconds * sum(len(given.vectors[role]) for role in chosen.vectors)
    slow = fitted.of_vectors is not None or called.startswith("setfit")
    few = given.test[: 200 if slow else None]
    fitted.classify(few[:32])
    start = time.process_time()
    predicted = fitted.classify(few)
    rate = len(few) / (time.process_time() - start)
    if fitted.of_vectors is not None:
        predicted = fitted.of_vectors(given.vectors["test"])
    elif slow:
        predicted = fitted.classify(given.test)
    return facts(predicted, seconds, rate, fitted.num_bytes(), chosen.lines, fitted.chosen)


def ours(name, called, seed, given):
    """One row of the library's own run, whose teacher has answered already."""
    folder = FOLDER / name / "run"
    run = open_run(folder)
    run.label()
    # What an interrupted cell left would make this one look faster than it is.
    left = [student_folder(folder, seed, called)]
    left += [folder / "labels" / f"seed-{seed}" / kept for kept in ("search", "peers")]
    for each in left if called == "auto" else left[:1]:
        shutil.rmtree(each, ignore_errors=True)
    wanted = next(each for each in run.cells() if each.row == called and each.seed == seed)
    start = time.process_time()
    run.trains()(wanted)
    seconds = time.process_time() - start
    student = load_student(student_folder(folder, seed, called))
    test = list(given.test) if given.kind == "text" else given.test
    student.predict(test[:32])
    start = time.process_time()
    predicted = student.probs(test).argmax(dim=1).numpy()
    rate = len(given.test) / (time.process_time() - start)
    size = sum(len(content) for content in student.files().values())
    about = json.loads((student_folder(folder, seed, called) / "row.json").read_text())
    chosen = (about.get("search") or {}).get("chosen", "")
    # What a user writes: the experiment, with one method, and the command.
    lines = 1 + sum(1 for line in yaml_lines(name) if line.strip() and not line.strip().startswith("#"))
    return facts(predicted, seconds, rate, size, lines, chosen)


def yaml_lines(name):
    return (ROOT / "recipes" / f"{SETS[name].recipe}.yaml").read_text().splitlines()


def facts(predicted, seconds, rate, size, lines, chosen):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {"seconds": seconds, "rows_a_second": rate, "bytes": size, "peak_bytes": peak, "lines": lines}
    return found | {"chosen": chosen, "predicted": [int(each) for each in predicted]}


def finished():
    """The cells that are run, by set, peer and seed."""
    lines = CELLS.read_text().splitlines() if CELLS.exists() else []
    return {(each["set"], each["peer"], each["seed"]): each for each in map(json.loads, lines)}


def raced(name, called, seed):
    """A cell in a process of its own, which has the libraries loaded; its line is added to the file."""
    line = {"set": name, "peer": called, "seed": seed}
    receiver, sender = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=told, args=(sender, name, called, seed))
    process.start()
    sender.close()
    try:
        line |= receiver.recv()
    except EOFError:
        line["broke"] = f"ended after {MOST_SECONDS} processor seconds"
    process.join()
    with CELLS.open("a") as file:
        file.write(json.dumps(line) + "\n")
    shown = line.get("broke") or f"{line['seconds']:.0f} s, {line['chosen']}"
    print(f"{time.strftime('%H:%M')} {name} {called} {seed}: {shown}", flush=True)


def told(sender, name, called, seed):
    """Run a cell and send what is found, or why it broke."""
    # One core: a search of ours would train as many candidates at a time as there are cores.
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))
    try:
        found = cell(name, called, seed)
    except Exception as error:
        traceback.print_exc()
        found = {"broke": f"{type(error).__name__}: {error}".replace("\n", " ")[:300]}
    sender.send(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", metavar="SET", help=", ".join(SETS))
    parser.add_argument("--file", action="append", default=[], metavar="NAME=PATH")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--peers", nargs="+")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    end = time.monotonic() + 60 * arguments.minutes
    if unknown := set(arguments.sets) - set(SETS):
        sys.exit(f"No such set: {', '.join(sorted(unknown))}; there are {', '.join(SETS)}.")
    for name in [] if arguments.table else arguments.sets:
        prepared(name, dict(each.split("=", 1) for each in arguments.file))
        wanted = [each for each in peers_of(name, material(name, 0)) if each in (arguments.peers or [each])]
        # A race that is ended early has few seeds of every peer, not all of a few peers.
        for seed, called in itertools.product(arguments.seeds, wanted):
            if (name, called, seed) not in finished() and time.monotonic() < end:
                raced(name, called, seed)
    written(list(finished().values()))


if __name__ == "__main__":
    main()
