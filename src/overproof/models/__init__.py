"""Students and encoders by name, by import path, or from any torch module."""

from overproof.models.embeddings import Embedder as Embedder
from overproof.models.embeddings import MiniLM as MiniLM
from overproof.models.embeddings import minilm as minilm
from overproof.models.encoders import EmbeddingEncoder as EmbeddingEncoder
from overproof.models.encoders import Encoder as Encoder
from overproof.models.encoders import ImageEncoder as ImageEncoder
from overproof.models.encoders import NgramEncoder as NgramEncoder
from overproof.models.encoders import PlainTable as PlainTable
from overproof.models.inputs import Dense as Dense
from overproof.models.inputs import Inputs as Inputs
from overproof.models.inputs import OnDisk as OnDisk
from overproof.models.inputs import Placed as Placed
from overproof.models.inputs import Ragged as Ragged
from overproof.models.inputs import as_matrix as as_matrix
from overproof.models.inputs import join as join
from overproof.models.student import Student as Student
from overproof.models.student import build as build
from overproof.models.student import load_student as load_student
from overproof.models.student import wrap as wrap
from overproof.models.tables import TableEncoder as TableEncoder
from overproof.models.zoo import ZOO as ZOO
from overproof.models.zoo import ModelSpec as ModelSpec
from overproof.models.zoo import optimizer_for as optimizer_for
from overproof.models.zoo import resolved as resolved
