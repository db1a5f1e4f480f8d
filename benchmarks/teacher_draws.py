"""How many answers of a teacher a student needs: asked at random, by uncertainty, by RAD, or where it is least sure.

    python benchmarks/teacher_draws.py runs/llm_like_letter/experiment.yaml --method hard --answers 500,1000,2000

Takes experiments whose teacher answers the whole pool, and hides its answers: a random sample is answered first, a
student is trained on it and on the labelled examples, and says which rows are asked about next, up to each number of
answers. `uncertainty` and `robust` are the rules of `overproof next --for teacher`, with the weights that keep the loss
without bias; `counted alike` draws as `uncertainty` does and leaves the weights out; `least sure` asks about the rows
with the smallest margins and leaves them out too, as active learning does. Students are trained on equally many
examples in all, whatever the number of answers. The table holds the mean test accuracy over the seeds, and with every
number of answers the paired difference to random questions with its interval of 95 % (Student's t over seeds).
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student_t

from overproof.data import repeats_in
from overproof.evaluation.pool_sample import drawn_rows
from overproof.evaluation.staged_draws import Stage, draw_weights
from overproof.functional import margin
from overproof.methods.published import method
from overproof.models import Placed
from overproof.progress import Silent
from overproof.runs.asking.next_rows import inclusion_by
from overproof.runs.experiment import load
from overproof.runs.pipeline import Run
from overproof.seeds import derived_seed
from overproof.training.distillation import distilled
from overproof.training.examples import TrainingData

RULES = ("random", "uncertainty", "robust", "counted alike", "least sure")


class Asked:
    """One seed's pool, of which some rows are answered."""

    def __init__(self, run, seed, name, per_epoch):
        self.run, self.seed, self.method, self.per_epoch = run, seed, method(name), per_epoch
        self.inputs = run._whole.students.inputs_of(seed)
        roles = run.seed_roles(seed)
        self.once, self.test = repeats_in(roles.pool).once, roles.test
        self.pool = self.inputs.answered["pool"]
        self.wrong = 1 - self.inputs.teacher_accuracy["mean"]

    def trained(self, rows, weight):
        """A student of the answers to some rows."""
        pool = self.pool.take(rows)
        pool = replace(pool, label=torch.full_like(pool.label, -1), draw_weight=weight)
        data = TrainingData(
            inputs=self.inputs.inputs,
            labelled=self.inputs.answered["labelled"],
            pool=pool,
            trust_labelled_answers=self.inputs.trust_labelled_answers,
        )
        student = self.inputs.fresh()
        options = self.run.experiment.train
        distilled(
            student, data, method=self.method, options=options, seed=self.seed, examples_per_epoch=self.per_epoch
        )  # fmt: skip
        return student

    def accuracy(self, student):
        """On the test."""
        probs = student.probs(student.encode(self.test))
        return (probs.argmax(dim=1) == self.test.label).double().mean().item()

    def curve(self, rule, totals, first, first_student):
        """The test accuracy at each number of answers."""
        rows, student, found = [first], first_student, []
        stages, inclusion, place = [], [], []
        generator = np.random.default_rng(derived_seed(self.seed, "next", rule))
        for number, total in enumerate(totals):
            if number:
                left = np.setdiff1d(self.once.numpy(), np.concatenate(rows))
                num = total - totals[number - 1]
                probs = student.probs(Placed(inputs=self.inputs.inputs, place=self.pool.place[left]))
                if rule == "least sure":
                    chosen = np.argsort(margin(probs).numpy(), kind="stable")[:num]
                else:
                    by = "uncertainty" if rule == "counted alike" else rule
                    likely = inclusion_by(by, probs, num, self.wrong * len(left))
                    chosen = drawn_rows(likely, generator)
                    inclusion.append(likely[chosen])
                    place.append(np.full(num, len(stages)))
                    stages.append(Stage(num_left=len(left), num=num))
                rows.append(left[chosen])
                weight = None
                if rule in ("uncertainty", "robust"):
                    later = draw_weights(np.concatenate(inclusion), np.concatenate(place), stages)
                    weight = torch.from_numpy(np.concatenate([np.ones(totals[0]), later])).float()
                student = self.trained(torch.from_numpy(np.concatenate(rows)), weight)
            found.append(self.accuracy(student))
        return found


def interval(differences):
    """Mean and 95 % interval, in points."""
    values = 100 * np.array(differences)
    half = student_t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{values.mean():+.1f} [{values.mean() - half:+.1f}, {values.mean() + half:+.1f}]"


def needed(totals, means, wanted):
    """The number of answers at which a curve reaches an accuracy; none where it does not."""
    for (low, before), (high, after) in zip(
        zip(totals, means, strict=True), list(zip(totals, means, strict=True))[1:], strict=False
    ):
        if after >= wanted:
            return f"{low + (high - low) * max(0.0, (wanted - before) / max(after - before, 1e-12)):.0f}"
    return "more"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiments", nargs="+", type=Path)
    parser.add_argument("--set", action="append", default=[])
    parser.add_argument("--method", default="hard")
    parser.add_argument("--answers", default="500,1000,2000")
    arguments = parser.parse_args()
    totals = [int(each) for each in arguments.answers.split(",")]
    head = ["data", "rule", *(f"{total} answers" for total in totals), "to reach random's last"]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for path in arguments.experiments:
        experiment = load(path, arguments.set)
        curves = {rule: [] for rule in RULES}
        with tempfile.TemporaryDirectory() as folder:
            run = Run(experiment=experiment, folder=Path(folder) / "run", progress=Silent())
            run.label()
            for seed in experiment.seeds:
                asked = Asked(run, seed, arguments.method, totals[-1])
                generator = np.random.default_rng(derived_seed(seed, "first"))
                first = generator.permutation(asked.once.numpy())[: totals[0]]
                student = asked.trained(torch.from_numpy(first), None)
                for rule in RULES:
                    curves[rule].append(asked.curve(rule, totals, first, student))
        means = {rule: np.mean(curve, axis=0) for rule, curve in curves.items()}
        for rule, curve in curves.items():
            cells = [f"{100 * means[rule][0]:.1f}"]
            for number in range(1, len(totals)):
                cell = f"{100 * means[rule][number]:.1f}"
                if rule != "random":
                    ours, theirs = (np.array(each)[:, number] for each in (curve, curves["random"]))
                    cell += f" ({interval(ours - theirs)})"
                cells.append(cell)
            cells.append(needed(totals, means[rule], means["random"][-1]))
            print(f"| {experiment.name} | {rule} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
