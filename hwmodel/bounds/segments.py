"""From what a memory can span to what must move: the segment argument, with its constants.

Cut a run at the moments when its traffic Q of some tensors (bytes in, bytes out) reaches S + T,
S + 2T, ..., S + J*T = Q: J segments. At a cut, at most S bytes lie in the fast memory, and at the
start of the run none; so every segment touches at most M = S + T bytes of those tensors. If M bytes
serve at most F(M) of the run's P points, then P <= J F(S + (Q - S) / J), that is

    Q  >=  S + J (M_J - S)     with F(M_J) = P / J,     for every whole J >= 1.                (1)

J is free, so the greatest right-hand side counts. Choosing J where others choose T makes (1) lose
nothing to a last, partial segment; the empty start is worth the leading S. (Should Q be below S,
M = S + (Q - S) / J >= Q, and F(M) >= F(Q) >= P holds as well.)

*Outputs.* A stay of an output in fast memory, from where its partial sum is made or loaded to where
it is stored, counts once: each stay ends with a store. A stay that starts without a load starts a
second partial sum, which costs a load where the two are added; so there are no more stays than
stores, and Q counts real traffic only. Inputs count their loads. (Hong and Kung 1981 counted
reads and writes of both; the sharper count is that of Smith, Lowery, Langou and van de Geijn 2019,
arXiv 1702.02017, who prove 2MNK/sqrt(S) - 2S for a product.)

*Whole elements.* A cut falls after the element of w bytes that reaches the mark, so segments touch
M + d_i with |d_i| < w and the d_i sum to 0. For F(M) = c M**sigma, 1 < sigma <= 2 and M >= 2w,
Taylor's theorem gives P/J <= F(M) (1 + sigma (sigma-1) (w/M)**2), hence M_J is less by at most
(sigma - 1) w**2 / (M_J - w); in every other case, by at most w. With J = 1 there is no cut.

*Tiles.* `tiling` gives F(M): the product of N_r**u_r and of x_t**s_t is greatest under
sum of w_t x_t = M where w_t x_t = M s_t / sigma, sigma the sum of s_t.

*Shares.* Tensor t moves at least its compulsory c_t bytes, so for any share 0 <= a_t <= 1

    Q  =  sum of a_t Q_t + sum of (1 - a_t) Q_t  >=  (1) for widths a_t w_t  +  sum of (1 - a_t) c_t

(a share only lowers what M bytes weigh). a = 0 is the compulsory bound and a = 1 the plain (1);
in between lies the truth for thin operands, where a bound of one kind alone may be a third too low.
With one share below 1, the right-hand side is greatest near a_t = (s_t A / c_t)**(1 / (1 - s_t)),
A = S J / (sigma - 1).

A product of matrices has s = 1/2 thrice: 2MNK/sqrt(S) + S elements. Kwasniewski et al. (SC 2019)
state 2MNK/sqrt(S) + MN, which cannot hold for every shape: with K = 1, M = N = 10 and S = 16 a
resident column needs 20 loads and 100 stores, less than 150. So it is not used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hwmodel.bounds.tiling import Exponents
from hwmodel.quantity.arithmetic import floor_div, least, most, power, where
from hwmodel.quantity.units import Amount


@dataclass(frozen=True, eq=False)
class Operand:
    """One access of an Einsum: bytes an element, and compulsory bytes of its tensor.

    A tensor that is accessed n times counts each time a n-th of both: what its accesses touch
    together is no less than their mean.
    """

    tensor: str
    element_bytes: Amount
    compulsory_bytes: Amount


def beyond_compulsory(
    vertex: Exponents,
    operands: Sequence[Operand],
    points: Amount,
    sizes: Mapping[str, Amount],
    fast_bytes: Amount,
) -> Amount:
    """Bytes by which the tile program's bound exceeds the compulsory traffic of these operands.

    At most 0, and said to be 0, where all of them fit into the fast memory.
    """
    sigma, accesses, ranks = vertex.rounded
    used = [(s, operand) for s, operand in zip(accesses, operands, strict=True) if s > 0]
    widest = most(operand.element_bytes for _, operand in used)
    fast = most((_real(fast_bytes), widest))
    whole: Amount = sum([operand.compulsory_bytes for _, operand in used])
    if isinstance(whole, (int, float)) and isinstance(fast, float) and whole <= fast:
        return 0.0  # by (1): M_J is at most what all operands take, which fits
    spans: Amount = 1.0
    for rank, u in ranks:
        spans = spans * power(_real(sizes[rank]), u)
    for s, operand in used:
        spans = spans * power(s / (sigma * operand.element_bytes), s)
    reach = power(_real(points) / spans, 1 / sigma)  # bytes that span all points at once
    found = _segmented(reach, sigma, fast, widest) - whole
    moved = fast * power(reach * (1 - 1 / sigma) / fast, sigma) / (sigma - 1)
    for s, operand in used:
        if s < 1:
            share = power(s * moved / operand.compulsory_bytes, 1 / (1 - s))
            if np.ndim(share) or share < 1:
                share = least((share, 1.0))
                value = _segmented(reach * power(share, s / sigma), sigma, fast, widest)
                rest = whole - (1 - share) * operand.compulsory_bytes
                found = most((found, value - rest))
    return found


def _segmented(reach: Amount, sigma: float, fast: Amount, widest: Amount) -> Amount:
    """(1) for F(M) = P (M / reach)**sigma, at the two whole numbers of segments about the best."""
    ideal = power(reach * (1 - 1 / sigma) / fast, sigma)
    found: list[Amount] = []
    for segments in (most((floor_div(ideal, 1), 1.0)), floor_div(ideal, 1) + 1):
        held = reach / power(segments, 1 / sigma)
        lost = widest
        if sigma <= 2:
            close = (sigma - 1) * widest * widest / most((held - widest, widest))
            lost = least((widest, where(held >= 3 * widest, close, widest)))
        found.append(fast + segments * (held - fast) - where(segments > 1, segments * lost, 0.0))
    return most(found)


def _real(value: Amount) -> Amount:
    """Sizes as float64: powers of exact ints may not fit anything else."""
    return np.asarray(value, dtype=np.float64) if np.ndim(value) else float(value)
