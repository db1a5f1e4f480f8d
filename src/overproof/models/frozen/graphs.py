"""Frozen image encoders as graphs that onnxruntime computes on the processor."""

import functools
import importlib.metadata
import importlib.util
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float32
from torch import Tensor, nn

from overproof.data.wording import listed
from overproof.errors import InputError

Backend = Literal["auto", "torch", "onnxruntime"]
"""What computes an encoder."""

INPUT = "images"
"""The name of a graph's input."""

PACKAGES = ("onnx", "onnxruntime")
"""What a graph needs; the extra `onnx`."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModuleGraph:
    """A module as onnxruntime computes it on the processor, with as many threads as torch has.

    Args:
        module: Of the package's own list, as it must not branch on values: normalised images [B, 3, size, size] to
            features [B, D], in evaluation mode, on the processor.
        size: Height and width.
    """

    module: nn.Module = field(repr=False)
    size: int

    @property
    def fingerprint(self) -> str:
        """Library and version: another version may round otherwise."""
        return f"onnxruntime {importlib.metadata.version('onnxruntime')}"

    def __call__(self, images: Float32[Tensor, "B 3 H W"]) -> Float32[Tensor, "B D"]:
        """The module's output; the graph is made at the first call."""
        (found,) = _session(self.module, self.size).run(None, {INPUT: images.contiguous().numpy()})
        return torch.from_numpy(found)


def backend_here(backend: str, who: str) -> Literal["torch", "onnxruntime"]:
    """A backend as given, or for `auto` the fast one that this machine has.

    Args:
        backend: One of `Backend`.
        who: The encoder's name in errors.

    Example:
        >>> backend_here("torch", "'efficientnet_lite0'")
        'torch'

    Raises:
        InputError: It is something else, or onnxruntime is asked for and not installed.
    """
    if backend not in get_args(Backend):
        raise InputError(f"Option backend of {who} is {backend!r}; allowed are {listed(get_args(Backend))}.")
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if backend == "onnxruntime" and missing:
        raise InputError(
            f"Option backend of {who} is 'onnxruntime', which needs the package {missing[0]}; install it with: "
            f"pip install 'overproof[onnx]'."
        )
    if backend == "torch" or (backend == "auto" and (missing or torch.cuda.is_available())):
        return "torch"
    return "onnxruntime"


@functools.cache
def _session(module: nn.Module, size: int) -> Any:
    import onnxruntime

    with warnings.catch_warnings(), torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        # The exporter by tracing needs no other package; torch keeps it.
        torch.onnx.export(
            module,
            (torch.zeros(2, 3, size, size),),
            path := Path(folder) / "graph.onnx",
            input_names=[INPUT],
            output_names=["features"],
            dynamic_axes={INPUT: {0: "batch"}, "features": {0: "batch"}},
            dynamo=False,
        )
        graph = path.read_bytes()
    options = onnxruntime.SessionOptions()
    # The numbers are the same with any number of threads, and in any batch.
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
