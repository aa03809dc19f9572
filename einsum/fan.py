"""How far a token's row fans out: to how many parts of a layer's experts its choices lead.

A token takes k of n experts, which lie in equal parts on devices or in boxes of them, in order. Of
groups of experts it may choose some first (DeepSeek-V3, arXiv 2412.19437, section 2.1.2). Groups
and experts are drawn alike; with t of G groups taken, a part that holds e experts of q groups is
reached with the chance

    1 - sum over j of  C(q, j) C(G - q, t - j) / C(G, t)  x  C(n t / G - e', k) / C(n t / G, k)

where j of its groups were taken and e' of its experts are in them. What sends a row once to a part
sends as many rows as it reaches, and not k.
"""

from dataclasses import dataclass
from math import comb


@dataclass(frozen=True)
class Fan:
    """A token's choices: `picks` of `experts`, from `taken` of so many `groups`."""

    picks: int
    experts: int
    groups: int = 1
    taken: int = 1

    def reached(self, parts: float) -> float:
        """Parts that a token's choices lead to, expected; their experts need not be whole.

        >>> round(Fan(2, 4).reached(2), 4)  # one half alone with a chance of 1 in 3
        1.6667
        """
        own, group = self.experts / parts, self.experts / self.groups
        among = group * self.taken
        if own <= group:
            chance = self.taken / self.groups
            return parts * chance * (1 - _missed(among, own, self.picks))
        held = round(own / group)
        missed = 0.0
        for j in range(max(0, held + self.taken - self.groups), min(held, self.taken) + 1):
            some = comb(held, j) * comb(self.groups - held, self.taken - j)
            missed += some * _missed(among, group * j, self.picks)
        return parts * (1 - missed / comb(self.groups, self.taken))


def _missed(among: float, own: float, picks: int) -> float:
    """The chance that none of the picks, drawn from `among`, is one of `own`."""
    chance = 1.0
    for i in range(picks):
        chance *= max(0.0, among - own - i) / max(1.0, among - i)
    return chance
