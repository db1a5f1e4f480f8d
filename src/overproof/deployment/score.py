"""Classify texts by the model.onnx beside this file: `python score.py texts.txt`, or `Scorer().probs(["good"])`."""

import json
import sys
from itertools import islice, pairwise

import numpy as np
import onnxruntime

from overproof.models.ngram_hashes import encode


class Scorer:
    """The student; `class_names` are in the order of its probabilities."""

    def __init__(self, model: str = __file__[: -len("score.py")] + "model.onnx") -> None:
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        about = self.session.get_modelmeta().custom_metadata_map
        self.class_names, self.encoder = json.loads(about["class_names"]), json.loads(about["encoder"])

    def ngrams(self, texts: list[str]) -> list[np.ndarray]:
        words, characters, buckets = (self.encoder[name] for name in ("words", "characters", "buckets"))
        cut = [text[: self.encoder["max_characters"]] for text in texts]
        found, lengths = encode(cut, words, characters, buckets, self.encoder.get("normalization", "lower"))
        return [found[start:stop] for start, stop in pairwise([0, *np.cumsum(lengths)])]

    def probs(self, texts: list[str]) -> np.ndarray:
        sets = self.ngrams(texts)
        padded = np.zeros((len(sets), max([1, *map(len, sets)])), np.int64)
        for row, buckets in zip(padded, sets, strict=True):
            row[: len(buckets)] = buckets
        return self.session.run(["probs"], {"ngrams": padded})[0]


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(f"score.py: {len(sys.argv) - 1} arguments; give one file with a text in every line, or none and pipe.")
    scorer = Scorer()
    try:
        source = open(sys.argv[1], encoding="utf-8") if sys.argv[1:] else sys.stdin  # noqa: SIM115  # until the end
        while lines := list(islice(source, 1 if source.isatty() else 256)):
            for row in scorer.probs([line.rstrip("\n") for line in lines]):
                print(scorer.class_names[row.argmax()], f"{row.max():.4f}", sep="\t")
    except BrokenPipeError:
        sys.stdout = None  # whoever reads the answers has enough
    except OSError as error:
        sys.exit(f"score.py: {sys.argv[-1]} cannot be read ({error.strerror}); give a file with a text in every line.")
    except UnicodeDecodeError as error:
        sys.exit(f"score.py: the texts are not UTF-8 ({error}); convert them first.")
