"""Classify texts by the model.onnx beside this file: `python score.py < texts.txt`, or `Scorer().probs(["good"])`."""

import json
import re
import sys
from unicodedata import category, normalize

import numpy as np
import onnxruntime

BASE, SALT, MASK = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03, 2**64 - 1
# Ideographs and kana; invisible characters.
UNSPACED = "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
UNSEEN = "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
UNSEEN += "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"


def tokens(text: str, casefold: bool) -> list[str]:
    """Runs of letters, digits, marks and `_`; every other character, ideograph or kana is a token by itself."""
    text = normalize("NFKC", text.replace("\0", " "))
    text = normalize("NFKC", re.sub(UNSEEN, "", text).casefold()) if casefold else text.lower()
    text = re.sub(UNSPACED, r" \g<0> ", text)
    return "".join(s if s.isalnum() or s == "_" or category(s)[0] == "M" else f" {s} " for s in text).split()


def bucket(ngram: str, salt: int, buckets: int) -> int:
    """A polynomial of the code points, mixed (splitmix64), modulo the number of buckets; 0 is reserved for padding."""
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
        read = tokens(text[: self.encoder["max_characters"]], self.encoder.get("normalization") == "casefold")
        spans = [self.encoder[kind] or (1, 0) for kind in ("words", "characters")]
        words, signs = (range(shortest, longest + 1) for shortest, longest in spans)
        found = {(" ".join(read[i : i + n]), 0) for n in words for i in range(len(read) - n + 1)}
        found |= {(t[i : i + n], SALT) for t in map(" {} ".format, read) for n in signs for i in range(len(t) - n + 1)}
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
