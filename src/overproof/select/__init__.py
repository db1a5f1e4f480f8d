"""Which of the pool to keep: row numbers from stored answers alone, never from the inputs."""

from overproof.select.adaptive import Adaptive as Adaptive
from overproof.select.adaptive import adaptive as adaptive
from overproof.select.confident import Confident as Confident
from overproof.select.confident import confident as confident
from overproof.select.everything import Everything as Everything
from overproof.select.nothing import Nothing as Nothing
from overproof.select.per_class import PerClass as PerClass
from overproof.select.per_class import ShortClasses as ShortClasses
from overproof.select.per_class import per_class as per_class
from overproof.select.random import Random as Random
from overproof.select.random import random as random
from overproof.select.selector import ClassCounts as ClassCounts
from overproof.select.selector import Selector as Selector
from overproof.select.selector import class_counts as class_counts
from overproof.select.selector import log_confidence as log_confidence
