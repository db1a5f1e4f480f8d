"""Use of trained students: export to ONNX with a model card, predictions for files, and abstention at a given risk.

May import `runs`, `evaluation`, `models`, `data`, `storage` and every other folder below `deployment`, but neither
`report` nor `commands`.

Its names are imported when they are first used, so that predictions do not import what only an export needs.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from overproof.deployment.folder import Exported as Exported
    from overproof.deployment.folder import export as export
    from overproof.deployment.graph import GraphInput as GraphInput
    from overproof.deployment.graph import feed as feed
    from overproof.deployment.graph import graph_inputs as graph_inputs
    from overproof.deployment.graph import graph_logits as graph_logits
    from overproof.deployment.graph import onnx_bytes as onnx_bytes
    from overproof.deployment.int8 import Int8Cost as Int8Cost
    from overproof.deployment.int8 import quantised as quantised

_MODULES = {
    "Exported": "overproof.deployment.folder",
    "export": "overproof.deployment.folder",
    "GraphInput": "overproof.deployment.graph",
    "feed": "overproof.deployment.graph",
    "graph_inputs": "overproof.deployment.graph",
    "graph_logits": "overproof.deployment.graph",
    "onnx_bytes": "overproof.deployment.graph",
    "Int8Cost": "overproof.deployment.int8",
    "quantised": "overproof.deployment.int8",
}
"""Where the names imported on first use are: those above, which type checkers read; a test compares the two."""


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
