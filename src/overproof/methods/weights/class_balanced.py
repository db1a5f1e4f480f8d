"""The weight that gives every class the same total."""

from dataclasses import dataclass

from overproof.contract import Batch, PerExample
from overproof.options import Share
from overproof.registry import register


@register("weight", "class_balanced", paper=None)
@dataclass(frozen=True, kw_only=True, slots=True)
class ClassBalanced:
    """One over (K times the share of the example's class), so that all classes count the same in all.

    The class is the given label, or in the pool the pseudo-label. With K classes that all occur the mean weight is one.
    A class that the teacher names by mistake only is raised as well.

    Args:
        strength: The power of the weight, in [0, 1]: 0 leaves all weights one, 1 balances in full.

    Example:
        Two classes, of which the first has nine of ten examples: weights 1 / 1.8 and 1 / .2.

        >>> from dataclasses import replace
        >>> import torch
        >>> from overproof.claims import noisy_batch
        >>> batch = replace(noisy_batch(2, 2), class_share=torch.tensor([0.9, 0.1]))
        >>> [round(each, 3) for each in ClassBalanced()(batch).tolist()]
        [0.556, 5.0]
    """

    strength: Share = 1.0

    def __call__(self, batch: Batch) -> PerExample:
        return (batch.student_logits.shape[1] * batch.class_share).pow(-self.strength)
