"""Use of trained students: export to ONNX with a model card, predictions for files, and abstention at a given risk.

May import `runs`, `evaluation`, `models`, `data`, `storage` and every other folder below `deployment`, but neither
`report` nor `commands`.
"""

from overproof.deployment.folder import Exported as Exported
from overproof.deployment.folder import export as export
from overproof.deployment.graph import GraphInput as GraphInput
from overproof.deployment.graph import feed as feed
from overproof.deployment.graph import graph_inputs as graph_inputs
from overproof.deployment.graph import graph_logits as graph_logits
from overproof.deployment.graph import onnx_bytes as onnx_bytes
from overproof.deployment.int8 import Int8Cost as Int8Cost
from overproof.deployment.int8 import quantised as quantised
