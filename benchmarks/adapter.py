"""An adapter beside a stack: a zero-shot teacher and features of the same encoder, with 100, 300 and 1,000 labels.

    python benchmarks/adapter.py clothing
    python benchmarks/adapter.py newsgroups --file newsgroups.parquet --num-test 2000    # made by recipes/newsgroups.py

Prints a line for each number of labels and form of the answers: accuracy in % and log-loss on the test of the teacher,
of a logistic regression on the features (penalty by cross-validation), of the stack of both (`overproof.noise.combine`,
the regression out of fold) and of the adapter (`overproof.noise.adapt`), means over five draws of the labelled
examples; and the adapter's accuracy minus the stack's with its standard error.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from overproof.cross_fitting import folds, out_of_fold
from overproof.models import minilm
from overproof.noise import adapt, combine, log_loss

sys.path.insert(0, str(Path(__file__).parents[1] / "recipes"))
from zero_shot import DESCRIPTIONS, SCALE, examples

NUM_DRAWS = 5


def head(features, label, num_classes):
    """A function from features to the probabilities of a logistic regression."""
    grid = {"C": [0.3, 1, 3, 10, 30, 100]}
    with warnings.catch_warnings():
        # A class with fewer examples than folds.
        warnings.simplefilter("ignore")
        found = GridSearchCV(LogisticRegression(max_iter=2000), grid, scoring="neg_log_loss", cv=3)
        found.fit(features, label)

    def probs(some):
        whole = torch.full((len(some), num_classes), 1e-6, dtype=torch.float64)
        whole[:, found.classes_] = torch.from_numpy(found.predict_proba(some))
        return whole / whole.sum(dim=1, keepdim=True)

    return probs


def compared(probs, features, label, labelled, test, seed):
    """Accuracy and log-loss on the test of teacher, head, stack and adapter."""
    num_classes, given, truth = probs.shape[1], features[labelled], label[labelled]
    fold = folds(truth, 5, seed)

    def fit(rows):
        fitted = head(given[rows], truth[rows], num_classes)
        return lambda held_out: fitted(given[held_out])

    alone = head(given, truth, num_classes)(features[test])
    stacked = combine([probs[labelled], out_of_fold(fit, fold)], truth, seed=seed)([probs[test], alone])
    adapted = adapt(probs[labelled], given, truth, seed=seed)(probs[test], features[test])
    answers = (probs[test].double(), alone, stacked, adapted)
    return [
        (100 * (each.argmax(dim=1) == label[test]).double().mean().item(), log_loss(each, label[test]).mean().item())
        for each in answers
    ]


def options(description):
    """The options of the command."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=DESCRIPTIONS)
    parser.add_argument("--file")
    parser.add_argument("--num-test", type=int, default=3000)
    return parser


def answered(words):
    """Features, the zero-shot teacher's probabilities and the classes of `num_test` + 1,500 texts."""
    texts, labels, _ = examples(words.name, words.file)
    taken = np.random.default_rng(0).permutation(len(texts))[: words.num_test + 1500]
    encoder, names = minilm(precision="auto"), sorted(DESCRIPTIONS[words.name])
    features = encoder.embed([texts[row] for row in taken])
    described = encoder.embed([DESCRIPTIONS[words.name][name] for name in names])
    label = torch.tensor([names.index(labels[row]) for row in taken])
    return features, (SCALE * features @ described.T).softmax(dim=1), label


def main():
    parser = options(__doc__)
    words = parser.parse_args()
    torch.set_num_threads(1)
    features, soft, label = answered(words)
    # A label alone: it enters the adapter with probability .9.
    hard = 0.9 * torch.nn.functional.one_hot(soft.argmax(dim=1), soft.shape[1]) + 0.1 / soft.shape[1]
    for num in (100, 300, 1000):
        for form, probs in (("probabilities", soft), ("labels", hard)):
            found = []
            for seed in range(NUM_DRAWS):
                order = torch.from_numpy(np.random.default_rng(seed).permutation(len(label)))
                found.append(compared(probs, features, label, order[:num], order[-words.num_test :], seed))
            mean, gain = np.mean(found, axis=0), np.array(found)[:, 3, 0] - np.array(found)[:, 2, 0]
            shown = ", ".join(
                f"{name} {accuracy:.1f} ({loss:.3f})"
                for name, (accuracy, loss) in zip(("teacher", "head", "stack", "adapter"), mean, strict=True)
            )
            error = gain.std(ddof=1) / len(gain) ** 0.5
            print(f"{words.name}, {num} {form}: {shown}; {gain.mean():+.1f} ({error:.1f})", flush=True)


if __name__ == "__main__":
    main()
