"""overproof beside a hand-written PyTorch loop and scikit-learn's self-training: accuracy, seconds, memory.

    overproof run recipes/adult.yaml --out runs/adult
    python benchmarks/side_by_side.py runs/adult [--methods soft slam_soft]

Every contender gets the very examples, labels and teacher's answers of the run, a student of the same architecture with
the same first weights, and as many steps of as many examples. The hand-written loop is what one would write without a
library: some labels and some answers a batch, one cross-entropy, a cosine schedule. Its optimizer, its learning rate
and whether the answers are hard or soft are chosen by accuracy on a third of the labels held out; then it is trained
on all of them. scikit-learn's `SelfTrainingClassifier` asks no teacher (`recipes/self_training.py`); its perceptron
takes as many steps in each of its fits.

Each fit runs alone in a process of its own: seconds are that process's CPU seconds in the fit (one thread), its memory
the peak of the whole process. Contenders take turns within a seed. The table lies in RUN/side_by_side.json afterwards.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean

import torch
import torch.nn.functional as F

from overproof.cross_fitting import folds
from overproof.evaluation.verdict import Row, markdown, summarise
from overproof.functional import one_hot
from overproof.runs.pipeline import open_run
from overproof.seeds import derived_seed
from overproof.storage import atomic
from overproof.training.distillation import distilled
from overproof.training.examples import TrainingData
from overproof.training.options import batch_sizes

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "recipes"))

BY_HAND = "by_hand"
SELF_TRAINING = "self_training"
GRID = [
    (optimizer, rate, target)
    for optimizer, rate in (("adamw", 1e-3), ("adamw", 3e-3), ("sgd", 0.05), ("sgd", 0.2))
    for target in ("hard", "soft")
]


def by_hand(material, labelled, options, choice):
    """Write the loop, train a student with it, give it back."""
    kind, rate, target = choice
    student, pool = material.fresh(), material.answered["pool"]
    num_classes = pool.answers.num_classes
    answers = pool.answers.probs()
    answers = one_hot(answers) if target == "hard" else answers
    truth = F.one_hot(labelled.label, num_classes).float()
    labelled_size, pool_size = batch_sizes(options, len(labelled), len(pool))
    steps = options.epochs * max(1, round(len(pool) / pool_size))
    module = student.module.train()
    optimizer = (
        torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=options.weight_decay)
        if kind == "adamw"
        else torch.optim.SGD(module.parameters(), lr=rate, momentum=0.9, nesterov=True)
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    generator = torch.Generator().manual_seed(material.seed)
    order, left = torch.randperm(len(pool), generator=generator), 0
    for _ in range(steps):
        if left + pool_size > len(pool):
            order, left = torch.randperm(len(pool), generator=generator), 0
        asked, left = order[left : left + pool_size], left + pool_size
        known = torch.randint(len(labelled), (labelled_size,), generator=generator)
        inputs = material.inputs.take(torch.cat([labelled.place[known], pool.place[asked]]))
        loss = F.cross_entropy(module(inputs), torch.cat([truth[known], answers[asked]]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return student


def tuned_by_hand(material, options):
    """The choice on held-out labels, and the student trained with it on all of them; seconds of both."""
    labelled, start = material.answered["labelled"], time.process_time()
    out = folds(labelled.label, 3, derived_seed(material.seed, "held out")) == 0
    kept, judges = labelled.take((~out).nonzero()[:, 0]), labelled.take(out.nonzero()[:, 0])
    seen = material.inputs.take(judges.place)
    found = {}
    for choice in GRID:
        module = by_hand(material, kept, options, choice).module.eval()
        with torch.no_grad():
            logits = module(seen)
        right = (logits.argmax(dim=1) == judges.label).double().mean().item()
        found[choice] = (right, -F.cross_entropy(logits, judges.label).item())
    best = max(found, key=found.__getitem__)
    search_seconds, start = time.process_time() - start, time.process_time()
    student = by_hand(material, labelled, options, best)
    return student, {"search_seconds": search_seconds, "seconds": time.process_time() - start, "choice": best}


def with_overproof(work, material, name):
    """One method of the library, from the same encoded examples."""
    each = next(each for each in work.experiment.rows() if each.row == name)
    options = work.experiment.train_options(each)

    def fit(options):
        return distilled(
            material.fresh(),
            TrainingData(
                inputs=material.inputs,
                labelled=material.answered["labelled"],
                pool=material.answered["pool"],
                trust_labelled_answers=material.trust_labelled_answers,
                held_out_share=work.experiment.held_out_share,
            ),
            method=work.experiment.method_of(each),
            options=options,
            seed=material.seed,
        ).student

    # The hand-written loop is warm after its search.
    fit(options.model_copy(update={"epochs": 1}))
    start = time.process_time()
    student = fit(options)
    return student, {"seconds": time.process_time() - start}


def one(folder, contender, seed):
    """One fit, in this process: which test examples it gets right, seconds and memory."""
    torch.set_num_threads(1)
    work = open_run(folder)
    test = work.seed_roles(seed).test
    if contender == SELF_TRAINING:
        from self_training import predicted

        roles, options = work.seed_roles(seed), work.experiment.train
        _, pool_size = batch_sizes(options, len(roles.labelled), len(roles.pool))
        answer, seconds = predicted(work, seed, options.epochs * round(len(roles.pool) / pool_size))
        answer, facts = torch.from_numpy(answer), {"seconds": seconds}
    else:
        material = work._whole.students.inputs_of(seed)
        if contender == BY_HAND:
            student, facts = tuned_by_hand(material, work.experiment.train)
        else:
            student, facts = with_overproof(work, material, contender)
        answer = student.probs(test).argmax(dim=1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    facts |= {"peak_bytes": peak, "right": (answer == test.label).int().tolist()}
    print(json.dumps(facts))


def fitted(folder, contender, seed):
    """The same in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(folder), "--contender", contender, "--seed", str(seed)]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path, nargs="?", default=Path("runs/adult"))
    parser.add_argument("--methods", nargs="+", default=["soft", "slam_soft"])
    parser.add_argument("--seeds", nargs="+", type=int, help="Some of the run's; by default all.")
    parser.add_argument("--contender", help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender is not None:
        one(arguments.run, arguments.contender, arguments.seed)
        return
    if not (arguments.run / "result.json").exists():
        print(f"{arguments.run} holds no finished run: overproof run recipes/adult.yaml --out {arguments.run}")
        return
    seeds = arguments.seeds or open_run(arguments.run).experiment.seeds
    contenders = [*arguments.methods, BY_HAND, SELF_TRAINING]
    found = {(name, seed): fitted(arguments.run, name, seed) for seed in seeds for name in contenders}
    rows = [
        Row(
            method=name,
            seed=seed,
            metrics={"accuracy": fmean(facts["right"])},
            role="conventional" if name == BY_HAND else "method",
            correct=torch.tensor(facts["right"]).bool(),
            test="test",
        )
        for (name, seed), facts in found.items()
    ]
    print(markdown(summarise(rows)))
    print("| method | CPU seconds a fit | CPU seconds of its search | peak memory MB |\n| --- | --- | --- | --- |")
    for name in contenders:
        mine = [found[name, seed] for seed in seeds]
        search = fmean(facts.get("search_seconds", 0.0) for facts in mine)
        seconds = fmean(facts["seconds"] for facts in mine)
        memory = max(facts["peak_bytes"] for facts in mine) / 1e6
        print(f"| {name} | {seconds:.1f} | {search:.1f} | {memory:.0f} |")
    choices = {seed: found[BY_HAND, seed]["choice"] for seed in seeds}
    print("chosen by hand:", choices)
    atomic.write_json(
        arguments.run / "side_by_side.json",
        {
            name: {str(seed): {k: v for k, v in found[name, seed].items() if k != "right"} for seed in seeds}
            for name in contenders
        },
    )


if __name__ == "__main__":
    main()
