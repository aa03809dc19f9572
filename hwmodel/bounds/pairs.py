"""Pairs: a bound where a product's result never leaves the chip, alone or in a fused attention.

Let every pair (i, j) of a set of P pairs need a whole fibre of an input at i (Ex bytes: a query's
vector) and one at j (Ey bytes: a key's), which give a *datum* of that pair (a score). The datum is
free: it may be made anew at any time and need never be stored. It may feed a second product, which
adds datum(i, j) times V[j, f] into O[i, f] for all f: fx bytes of O for each i, fy of V for each j
(both 0 where there is no second product: the assignment of k-means, a score that is masked away).

*Theorem.* With M bytes touched in a segment, whole data made and used within it do at most

    beta M**2 pairs,  beta = phi / (4 (Ex + phi fx) (Ey + phi fy)),  phi = min(1, sqrt(ExEy/(fxfy)))

(phi counts work of parts of f: a datum made twice may serve half of f each time.)
*Proof.* Let X and Y be the numbers of i and j whose fibres are whole in the segment, and let T
count triples (i, j, f) done, of F per pair; T <= sum over f of x_f y_f, with x_f <= X elements of O
and y_f <= Y of V touched at f. So T <= X sum(y_f) and T <= Y sum(x_f), and the memory holds
M >= Ex X + Ey Y + (fx/F) T/Y + (fy/F) T/X, with T <= F X Y. In log X, log Y the right-hand side is
convex; its least value without the last condition is 2 sqrt(T/F) (sqrt(Ex fy) + sqrt(Ey fx)), which
the condition allows when fx fy >= Ex Ey; else the least lies at T = F X Y: 2 sqrt(T/F)
sqrt((Ex + fx)(Ey + fy)). Both are M = sqrt(T / (F beta)). Without V and O, T/F = X Y at once. []

A datum that lives across a cut lies in fast memory there, or is loaded later, so it takes its width
d of the segment's M. As f(c) = beta (M - c)**2 + c/d is convex in the bytes c of such data, M bytes
do at most F(M) = max(beta M**2, M/d) pairs, and the segment argument (`segments`) gives

    Q >= S + J (min(sqrt(P / (beta J)), d P/J) - w - S)     for whole J; w = 0 if J = 1,

that is S + P / (4 beta S) while S >= 1 / (2 beta d). With vectors of E words: E**2 N**2 / S for a
lone product whose result is free, and (2E)**2 N**2 / S for attention, which a flash schedule with
S words of Q and O reaches to leading order. Where data must spill the bound tends to one transfer
of each datum. Recomputation is allowed everywhere.

*In parts.* Below S = E**2 words not even one square of whole fibres fits, and what spills is not
data but their partial sums. Let a datum be the sum of E terms, each of one element at i and one at
j (w bytes or more each), with partial sums of d bytes, and every term be done (fast algorithms are
not bound so). In a segment of J bytes of traffic at a memory of S bytes, data of which all terms
are done in it have whole fibres there: by the theorem without V and O they are (S + J)**2 / (4 Ex
Ey) at most, of E terms each. Of every other datum with a term in the segment a partial sum is at a
cut or crosses it, in S bytes at either end or among J: with c such data and x and y elements,
w (x + y) + d c <= 2 S + J, and terms are sqrt(x y c) at most (Loomis, Whitney 1949). So

    Q >= J (P E / (E (S + J)**2 / (4 Ex Ey) + ((2 S + J) / 3)**1.5 / (w sqrt(d))) - 1)

for every J: N**2 E / sqrt(S) words to a constant where S is small. (Saha and Ye 2024, arXiv
2402.07443, prove both orders, N**2 E**2 / S for S >= E**2 against fast products too; their Theta
has no constant.)
"""

from dataclasses import dataclass

import numpy as np

from hwmodel.quantity.arithmetic import floor_div, least, most, root, where
from hwmodel.quantity.units import Amount

SEGMENTS = (1, 2, 4, 8)
"""Lengths of segments that are tried, in sizes of the fast memory."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """What the theorem needs, in bytes; `compulsory_bytes` are those of the tensors it bounds."""

    what: str
    count: Amount
    first_bytes: Amount
    second_bytes: Amount
    compulsory_bytes: Amount
    datum_bytes: Amount
    element_bytes: Amount
    first_out_bytes: Amount = 0
    second_out_bytes: Amount = 0
    terms: Amount = 0
    """That a datum is the sum of; 0: not known."""


def pairs_beyond_compulsory(pairs: Pairs, fast_bytes: Amount) -> Amount:
    """Bytes by which the theorem exceeds the compulsory traffic of the pairs' tensors."""
    fx, fy = pairs.first_out_bytes, pairs.second_out_bytes
    ex, ey = pairs.first_bytes, pairs.second_bytes
    both = _real(fx * fy)
    phi = least((1.0, root(ex * ey / where(both > 0, both, ex * ey))))
    beta = phi / (4.0 * (ex + phi * fx) * (ey + phi * fy))
    fast = most((_real(fast_bytes), pairs.element_bytes))
    count = _real(pairs.count)
    ideal = least((count / (4 * beta * fast * fast), beta * pairs.datum_bytes**2 * count))
    found: list[Amount] = []
    for segments in (most((floor_div(ideal, 1), 1.0)), floor_div(ideal, 1) + 1):
        held = least((root(count / (beta * segments)), pairs.datum_bytes * count / segments))
        lost = where(segments > 1, segments * pairs.element_bytes, 0.0)
        found.append(fast + segments * (held - fast) - lost)
    return most(found) - pairs.compulsory_bytes


def parts_beyond_compulsory(pairs: Pairs, fast_bytes: Amount) -> Amount:
    """The same where data are made in parts, which binds a memory that is small for a fibre."""
    terms, fast = _real(pairs.terms), most((_real(fast_bytes), pairs.element_bytes))
    ex, ey = pairs.first_bytes, pairs.second_bytes
    width = least((ex, ey)) / terms
    found: list[Amount] = []
    for times in SEGMENTS:
        moved = times * fast
        whole = terms * (fast + moved) * (fast + moved) / (4 * ex * ey)
        parts = ((2 * fast + moved) / 3) ** 1.5 / (width * root(pairs.datum_bytes))
        found.append(moved * (_real(pairs.count) * terms / (whole + parts) - 1))
    return most(found) - pairs.compulsory_bytes


def _real(value: Amount) -> Amount:
    """Sizes as float64."""
    return np.asarray(value, dtype=np.float64) if np.ndim(value) else float(value)
