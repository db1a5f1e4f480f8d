"""Classes of texts from the `model.onnx` beside this file, with nothing but numpy and onnxruntime.

`python score.py < texts.txt` prints class and probability, one text a line; from Python: `Scorer().probs(["so good"])`.
"""

import json
import re
import sys
import unicodedata

import numpy as np
import onnxruntime

BASE, SALT, MASK = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 2**64 - 1
UNSPACED = ((0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def tokens(text: str, casefold: bool) -> list[str]:
    """Runs of letters, digits, marks and `_`; every other sign, ideograph or kana alone."""
    signs = unicodedata.normalize("NFKC", text.replace("\0", " "))
    signs = unicodedata.normalize("NFKC", UNSEEN.sub("", signs).casefold()) if casefold else signs.lower()
    words = [s.isalnum() or s == "_" or unicodedata.category(s)[0] == "M" for s in signs]
    joins = [w and not any(a <= ord(s) <= b for a, b in UNSPACED) for s, w in zip(signs, words, strict=True)]
    return "".join(s if join else f" {s} " for s, join in zip(signs, joins, strict=True)).split()


def bucket(ngram: str, salt: int, buckets: int) -> int:
    """A polynomial of the code points, mixed (splitmix64), modulo the number of buckets; 0 is kept for padding."""
    mixed = (sum((ord(sign) + 1) * pow(BASE, i, 2**64) for i, sign in enumerate(ngram)) + salt) & MASK
    mixed = ((mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9) & MASK
    mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) & MASK
    return 1 + ((mixed ^ mixed >> 31) >> 32) % (buckets - 1)


class Scorer:
    """The student; `class_names` are in the order of its probabilities."""

    def __init__(self, model: str = __file__[: -len("score.py")] + "model.onnx") -> None:
        self.session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        about = self.session.get_modelmeta().custom_metadata_map
        self.class_names, self.encoder = json.loads(about["class_names"]), json.loads(about["encoder"])

    def ngrams(self, text: str) -> list[int]:
        casefold = self.encoder.get("normalization", "lower") == "casefold"
        read = tokens(text[: self.encoder["max_characters"]], casefold)
        spans = [self.encoder[kind] or (1, 0) for kind in ("words", "characters")]
        words, characters = (range(shortest, longest + 1) for shortest, longest in spans)
        found = {(" ".join(read[i : i + n]), 0) for n in words for i in range(len(read) - n + 1)}
        for token in {f" {token} " for token in read}:
            found |= {(token[i : i + n], SALT) for n in characters for i in range(len(token) - n + 1)}
        return sorted({bucket(ngram, salt, self.encoder["buckets"]) for ngram, salt in found})

    def probs(self, texts: list[str]) -> np.ndarray:
        sets = [self.ngrams(text) for text in texts]
        longest = max([1, *map(len, sets)])
        padded = np.array([buckets + [0] * (longest - len(buckets)) for buckets in sets], np.int64)
        return self.session.run(["probs"], {"ngrams": padded.reshape(-1, longest)})[0]


if __name__ == "__main__":
    scorer = Scorer()
    for row in (scorer.probs([line.rstrip("\n")])[0] for line in sys.stdin):
        print(scorer.class_names[row.argmax()], f"{row.max():.4f}", sep="\t")
