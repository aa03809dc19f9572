"""How many tokens of a context are kept: a number, a share, or all of it."""

import math
from dataclasses import dataclass

import numpy as np

from hwmodel.quantity.arithmetic import least, most
from hwmodel.quantity.units import Amount


@dataclass(frozen=True)
class Kept:
    """Tokens kept of a context: `fixed` ones, and a `share` of it, of which at least `least`.

    Where that is more than the context, all of it is kept. Less than none `fixed` are as many left
    out, of an image that comes first.
    """

    fixed: int = 0
    share: float = 0.0
    least: int = 0

    def tokens(self, context: Amount) -> Amount:
        """Whole tokens of a context of so many."""
        part = self.share * context
        whole = math.ceil(part) if isinstance(part, float) else np.ceil(part)
        return most((0, least((context, self.fixed + most((self.least, whole))))))


ALL = Kept(share=1.0)
"""Every token."""
