"""Selectors by name: which pool examples are used, chosen from stored teacher predictions, never from the inputs.

To add one, write a file here with a class decorated by `@register("select", NAME)` and import it below. Selectors
import `answers`, `functional` and `registry`, never other parts of methods.
"""

from overproof.methods.selectors.adaptive import Adaptive as Adaptive
from overproof.methods.selectors.adaptive import adaptive as adaptive
from overproof.methods.selectors.confident import Confident as Confident
from overproof.methods.selectors.confident import confident as confident
from overproof.methods.selectors.everything import Everything as Everything
from overproof.methods.selectors.nothing import Nothing as Nothing
from overproof.methods.selectors.per_class import PerClass as PerClass
from overproof.methods.selectors.per_class import ShortClasses as ShortClasses
from overproof.methods.selectors.per_class import per_class as per_class
from overproof.methods.selectors.random import Random as Random
from overproof.methods.selectors.random import random as random
from overproof.methods.selectors.selector import ClassCounts as ClassCounts
from overproof.methods.selectors.selector import Selector as Selector
from overproof.methods.selectors.selector import class_counts as class_counts
from overproof.methods.selectors.selector import log_confidence as log_confidence
