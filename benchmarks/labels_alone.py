"""A reference for the labels alone on texts: logistic regression on TF-IDF, tuned on labelled rows.

    python benchmarks/labels_alone.py recipes/clothing.yaml          # its roles and seeds; the demo's without a file

Prints a line for each seed: accuracy in % on the test with idf and without, and of the one that three-fold
cross-validation of the accuracy on the labelled rows chooses, with its penalty and whether classes count alike, which
are chosen in the same way. Words and pairs of words; no teacher is asked, no student trained.
"""

import argparse
import statistics
import warnings
from pathlib import Path

import numpy as np
import yaml
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

import overproof
from overproof.runs.experiment import experiment_from
from overproof.runs.read_roles import read_roles

DEMO = Path(overproof.__file__).parent / "commands" / "demo.yaml"
OPTIONS = [{"C": strength, "class_weight": weight} for strength in (3, 30, 300) for weight in (None, "balanced")]


def fitted(texts, label, idf, options):
    """A function from texts to classes."""
    words = TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), use_idf=idf)
    model = LogisticRegression(max_iter=300, **options).fit(words.fit_transform(texts), label)
    return lambda some: model.predict(words.transform(some))


def validated(texts, label, idf, options):
    """Mean accuracy over three folds of the labelled rows."""
    # A class may have fewer rows than there are folds.
    warnings.simplefilter("ignore", UserWarning)
    folds = StratifiedKFold(3, shuffle=True, random_state=0).split(texts, label)
    return np.mean(
        [
            np.mean(fitted(texts[inside], label[inside], idf, options)(texts[outside]) == label[outside])
            for inside, outside in folds
        ]
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", type=Path, default=DEMO)
    experiment = experiment_from(yaml.safe_load(parser.parse_args().experiment.read_text()))
    roles, chosen = read_roles(experiment.data), []
    for seed in experiment.seeds:
        drawn = roles.for_seed(seed)
        texts, label = np.array(drawn.labelled.inputs.to_pylist(), dtype=object), drawn.labelled.label.numpy()
        test, truth = np.array(drawn.test.inputs.to_pylist(), dtype=object), drawn.test.label.numpy()
        found = {}
        for idf in (True, False):
            scores = [validated(texts, label, idf, options) for options in OPTIONS]
            best = OPTIONS[int(np.argmax(scores))]
            found[idf] = max(scores), 100 * np.mean(fitted(texts, label, idf, best)(test) == truth), best
        idf = max(found, key=lambda each: found[each][0])
        chosen.append(found[idf][1])
        with_idf, without = found[True][1], found[False][1]
        print(
            f"seed {seed}: with idf {with_idf:.1f}, without {without:.1f}; chosen {chosen[-1]:.1f} "
            f"({'with' if idf else 'without'} idf, {found[idf][2]})",
            flush=True,
        )
    print(f"chosen, mean {statistics.fmean(chosen):.1f}")


if __name__ == "__main__":
    main()
