"""Students (small models), the encoders that turn examples into tensors, and frozen embedding models.

Imports `data`, `functional`, `storage` and what is below them; never `teachers`, `training` or `methods`.
"""

from overproof.models.encoders import EmbeddingEncoder as EmbeddingEncoder
from overproof.models.encoders import Encoder as Encoder
from overproof.models.encoders import ImageEncoder as ImageEncoder
from overproof.models.encoders import NgramEncoder as NgramEncoder
from overproof.models.encoders import PlainTable as PlainTable
from overproof.models.estimator import body_of as body_of
from overproof.models.frozen.images import FROZEN as FROZEN
from overproof.models.frozen.images import ImageEmbedder as ImageEmbedder
from overproof.models.frozen.images import frozen_embedder as frozen_embedder
from overproof.models.frozen.texts import Embedder as Embedder
from overproof.models.frozen.texts import MiniLM as MiniLM
from overproof.models.frozen.texts import minilm as minilm
from overproof.models.importing import is_estimator as is_estimator
from overproof.models.inputs import Batches as Batches
from overproof.models.inputs import Dense as Dense
from overproof.models.inputs import Inputs as Inputs
from overproof.models.inputs import OnDisk as OnDisk
from overproof.models.inputs import Placed as Placed
from overproof.models.inputs import Ragged as Ragged
from overproof.models.inputs import Unpadded as Unpadded
from overproof.models.inputs import join as join
from overproof.models.matrices import as_matrix as as_matrix
from overproof.models.ngram_bag import as_read as as_read
from overproof.models.saved.student_folder import load_student as load_student
from overproof.models.student import Student as Student
from overproof.models.student import build as build
from overproof.models.student import wrap as wrap
from overproof.models.tables import TableEncoder as TableEncoder
from overproof.models.transformer import TokenEncoder as TokenEncoder
from overproof.models.zoo import ZOO as ZOO
from overproof.models.zoo import ModelSpec as ModelSpec
from overproof.models.zoo import described_student as described_student
from overproof.models.zoo import module_of as module_of
from overproof.models.zoo import optimizer_for as optimizer_for
from overproof.models.zoo import resolved as resolved
from overproof.models.zoo import resolved_for as resolved_for
