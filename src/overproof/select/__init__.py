"""Which of the pool to keep: row numbers from stored answers alone, never from the inputs."""

from overproof.select.everything import Everything as Everything
from overproof.select.nothing import Nothing as Nothing
from overproof.select.selector import Selector as Selector
