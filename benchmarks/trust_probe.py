"""How well the teacher's accuracy is estimated from its margin, by a trust probe, and by one that reads features too.

    python benchmarks/trust_probe.py clothing
    python benchmarks/trust_probe.py newsgroups --file newsgroups.parquet --num-test 2000    # by recipes/newsgroups.py

Prints a line for each number of labels: the log-loss, on the test, of "the teacher is right" and the area under the
curve (the chance that a right answer has a higher estimate than a wrong one), of the isotonic estimate from the margin,
of `overproof.noise.trust_probe` on the answer, and of the same with the encoder's features; means over ten draws of the
labelled examples, and the gain in log-loss over the margin with its standard error. Where a probe is not used the
margin counts; `used` says how often it was.
"""

import numpy as np
import torch
from adapter import answered, options
from sklearn.metrics import roc_auc_score

from overproof.noise import isotonic_accuracy, margin, trust_probe

NUM_DRAWS = 10


def judged(accuracy, right):
    """Log-loss and area under the curve."""
    accuracy = accuracy.double()
    happened = torch.where(right, accuracy, 1 - accuracy).clamp(min=1e-7)
    return -happened.log().mean().item(), roc_auc_score(right.numpy(), accuracy.numpy())


def main():
    words = options(__doc__).parse_args()
    torch.set_num_threads(1)
    features, probs, label = answered(words)
    right = probs.argmax(dim=1) == label
    print(f"{words.name}: the teacher is right on {100 * right.double().mean():.1f} %")
    for num in (100, 300, 1000):
        found, used = [], []
        for seed in range(NUM_DRAWS):
            order = torch.from_numpy(np.random.default_rng(seed).permutation(len(label)))
            few, test = order[:num], order[-words.num_test :]
            plain = isotonic_accuracy(margin(probs[few]), right[few], prior=4.0)(margin(probs[test]))
            row, probes = [judged(plain, right[test])], []
            for given in (None, features):
                probe = trust_probe(probs[few], label[few], None if given is None else given[few], lower=0.0)
                probes.append(probe is not None)
                if probe is not None:
                    row.append(judged(probe(probs[test], None if given is None else given[test]), right[test]))
                else:
                    row.append(row[0])
            found.append(row)
            used.append(probes)
        mean, by_draw = np.mean(found, axis=0), np.array(found)
        shown = [f"margin {mean[0][0]:.3f} ({mean[0][1]:.3f})"]
        for place, name in enumerate(("answer", "answer and features"), start=1):
            gain = by_draw[:, 0, 0] - by_draw[:, place, 0]
            error = gain.std(ddof=1) / NUM_DRAWS**0.5
            times = np.array(used)[:, place - 1].sum()
            judged_by = f"{mean[place][0]:.3f} ({mean[place][1]:.3f})"
            shown.append(f"{name} {judged_by}, gain {gain.mean():+.3f} ({error:.3f}), used {times}")
        print(f"{num} labels: {'; '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
