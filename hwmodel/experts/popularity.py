"""How often experts are needed, and which picks a cache of a part of them does not serve.

Experts fall into classes: a share of them, each of which a token needs with a chance; all others
share what is left of a token's picks alike. Where tokens are independent, T tokens need as many
different experts as one cache for all layers holds, the least recently used dropped, when
(the characteristic time of Che, Tung and Wang, "Hierarchical Web caching systems", IEEE JSAC 2002)

    sum over classes  share (1 - (1 - chance)^T) = share of all experts that the cache holds

Layers take turns, so that a layer's own experts are the oldest when it is its turn again: one is
there that was needed in T - 1/2 tokens, as half of those of the last token are of layers before.
"""

from dataclasses import dataclass

import numpy as np

from hwmodel.quantity.arithmetic import most, where
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

HALVINGS = 80
MOST_TOKENS = 1e12
"""Of T: what nothing asks for in so many tokens is never loaded."""


@dataclass(frozen=True)
class Popularity:
    """Classes of experts: (share of them, chance that a token needs each); none: all alike."""

    classes: tuple[tuple[float, float], ...] = ()

    def whole(self, experts: int, picks: int) -> tuple[tuple[float, float], ...]:
        """All classes, with that of the others; raises `InputError` for what does not add up."""
        share = sum(each for each, _ in self.classes)
        taken = experts * sum(each * chance for each, chance in self.classes)
        well = all(0 <= each <= 1 and 0 <= chance <= 1 for each, chance in self.classes)
        rest = (picks - taken) / (experts * (1 - share)) if share < 1 else 0.0
        if not well or share > 1 or not 0 <= rest <= 1 or (share == 1 and taken != picks):
            raise InputError(
                f"popularity: expected shares of {experts} experts and chances that add up to"
                f" {picks} picks, found {self.classes}: they take {taken:.4g}"
            )
        return (*self.classes, (1 - share, rest)) if share < 1 else self.classes

    def missed(self, experts: int, picks: int, held: Amount) -> Amount:
        """Chance that a pick is not in a cache of the share `held` of all experts.

        Where all are alike that is the rest, whatever the cache drops.
        """
        if not self.classes:
            return 1 - held
        classes = self.whole(experts, picks)

        def filled(tokens: Amount) -> Amount:
            return sum(share * (1 - (1 - chance) ** tokens) for share, chance in classes)

        low, high = 0.0 * held, MOST_TOKENS + 0.0 * held
        for _ in range(HALVINGS):
            middle = np.sqrt((1 + low) * (1 + high)) - 1
            more = filled(middle) < held
            low, high = where(more, middle, low), where(more, high, middle)
        whole = most((low - 0.5, 0.0))
        needs = ((share * chance, (1 - chance) ** whole) for share, chance in classes)
        return where(held < 1, experts / picks * sum(need * out for need, out in needs), 0.0)


ALIKE = Popularity()
