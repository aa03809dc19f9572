"""Long convolution by Fourier transforms that are matrix products (Monarch decomposition).

A transform of n = n1 n2 numbers, as a matrix of n1 rows, is a product with the n1-point matrix from
the left, a multiplication by twiddle factors and a product with the n2-point matrix from the right;
longer ones have one product more (FlashFFTConv: Fu et al., arXiv 2311.05908, whose order is the
number of products here). Convolved is circularly with a real filter of full length, whose spectrum
is a weight; two real sequences are the planes of one complex signal. A complex product is four
real ones. Gates multiply the sequences before, and the results after. Ranks: b pairs of sequences,
h channels, m, p and q points of the sequence by products, j, k and l of its spectrum.
"""

from functools import lru_cache
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.workloads.workload import count, formats, instance, whole
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import Amount

LEAST_RADIX, MOST_RADIX = 16, 128
"""Points of one product: rows that tensor cores take at least, and what a block holds."""
LONGEST = MOST_RADIX**3
POINTS, SPECTRUM = ("m", "p", "q"), ("j", "k", "l")


def factors_of(length: int) -> tuple[int, ...]:
    """Points of the products of a transform, outermost first: two, or three beyond 128^2.

    >>> factors_of(1024), factors_of(1 << 20)
    ((32, 32), (64, 128, 128))
    """
    outer = 1
    if length > MOST_RADIX**2:
        outer = max(length // MOST_RADIX**2, LEAST_RADIX)
    bits = (length // outer).bit_length() - 1
    inner = (1 << bits // 2, 1 << (bits - bits // 2))
    return inner if outer == 1 else (outer, *inner)


@checked
def fft_convolution(
    batch: Amount,
    channels: Amount,
    length: int,
    gated: bool = False,
    dtype: str = "fp16",
    name: str = "fft_convolution",
) -> Cascade:
    """`batch` (even) sequences of `channels` channels, `length` a power of two from 256 to 2^21.

    Raises `InputError` naming the argument at fault.
    """
    arguments: dict[str, Any] = {**locals()}
    sizes = whole("fft_convolution", batch=batch, channels=channels)
    n = count("fft_convolution", "length", length)
    if n & (n - 1) or not LEAST_RADIX**2 <= n <= LONGEST:
        raise InputError(
            "fft_convolution: length: expected a power of two,"
            f" {LEAST_RADIX**2} to {LONGEST}, found {length}"
        )
    odd = sizes["batch"] % 2 != 0
    if odd if isinstance(odd, bool) else odd.any():
        raise InputError(
            f"fft_convolution: batch: expected an even number, found {batch}; pad with one sequence"
        )
    points = factors_of(n)
    text, stored = _text(len(points), bool(gated))
    given = formats("fft_convolution", dtype=dtype)["dtype"]
    radices = dict(zip(POINTS[3 - len(points) :], points, strict=True))
    spectrum = dict(zip(SPECTRUM[3 - len(points) :], points, strict=True))
    return instance(
        "fft_convolution",
        fft_convolution,
        text,
        sizes={"b": sizes["batch"] // 2, "h": sizes["channels"], **radices, **spectrum},
        dtypes={"*": "fp32", **dict.fromkeys(stored, given)},
        arguments=arguments,
        name=name,
    )


@lru_cache(maxsize=8)
def _text(order: int, gated: bool) -> tuple[str, tuple[str, ...]]:
    """The cascade of an order, and which of its tensors are stored in the given format."""
    points, spectrum = POINTS[3 - order :], SPECTRUM[3 - order :]
    lines: list[str] = []
    stored: list[str] = []
    for x, f in zip(points, spectrum, strict=True):
        lines += [f"tensor {part}{f}[{f}, {x}]: weight" for part in ("RE", "IM")]
        stored += [f"RE{f}", f"IM{f}"]
    here = list(points)
    names = ("UR", "UI")
    stored += ["UR", "UI", "YR", "YI", "FR", "FI"]
    if gated:
        lines += [f"A{p}[b, h, {_at(here)}] = U{p}[b, h, {_at(here)}] * V{p}[b, h, {_at(here)}]"
                  for p in "RI"]  # fmt: skip
        names = ("AR", "AI")
        stored += ["AR", "AI", "VR", "VI", "WR", "WI"]
    for place in range(order):
        names = _step(lines, stored, names, here, place, points, spectrum, back=False)
    at = _at(here)
    lines += [f"tensor F{p}[h, {at}]: weight" for p in "RI"]
    names = _turn(lines, stored, names, f"[b, h, {at}]", ("FR", "FI"), f"[h, {at}]", "K", "+")
    for place in reversed(range(order)):
        names = _step(lines, stored, names, here, place, points, spectrum, back=True)
    at = _at(here)
    for part, name in zip("RI", names, strict=True):
        gate = f" * W{part}[b, h, {at}]" if gated else ""
        made = f"{name}[b, h, {at}]{gate}" if gated else f"cast({name}[b, h, {at}])"
        lines.append(f"Y{part}[b, h, {at}] = {made}")
    return "\n".join(lines), tuple(stored)


def _at(ranks: list[str]) -> str:
    return ", ".join(ranks)


def _step(
    lines: list[str], stored: list[str], names: tuple[str, str], here: list[str], place: int,
    points: tuple[str, ...], spectrum: tuple[str, ...], back: bool,
) -> tuple[str, str]:  # fmt: skip
    """One complex product, with its twiddles after it on the way there and before it back."""
    x, f = points[place], spectrum[place]
    mark = f"B{f}" if back else f"C{f}"
    last = place == len(points) - 1
    turning = [f, *points[place + 1 :]]
    factor = (f"TR{f}", f"TI{f}")
    if not back and not last:
        lines += [f"tensor {name}[{_at(turning)}]: weight" for name in factor]
        stored += factor
    if back and not last:
        at = f"[b, h, {_at(here)}]"
        names = _turn(lines, stored, names, at, factor, f"[{_at(turning)}]", f"T{mark}", "-")
    before = f"[b, h, {_at(here)}]"
    here[place] = x if back else f
    after = f"[b, h, {_at(here)}]"
    summed = f if back else x
    for number, (matrix, part) in enumerate((("RE", 0), ("IM", 1), ("RE", 1), ("IM", 0))):
        lines.append(
            f"{mark}{number}{after} = sum({summed}) {matrix}{f}[{f}, {x}] * {names[part]}{before}"
        )
    less, more = ("+", "-") if back else ("-", "+")
    lines += [
        f"{mark}R{after} = {mark}0{after} {less} {mark}1{after}",
        f"{mark}I{after} = {mark}2{after} {more} {mark}3{after}",
    ]
    names = (f"{mark}R", f"{mark}I")
    stored += names
    if not back and not last:
        names = _turn(lines, stored, names, after, factor, f"[{_at(turning)}]", f"T{mark}", "+")
    return names


def _turn(
    lines: list[str], stored: list[str], names: tuple[str, str], at: str,
    factor: tuple[str, str], where: str, mark: str, sign: str,
) -> tuple[str, str]:  # fmt: skip
    """A complex product element by element; with the conjugate where the sign is "-"."""
    (re, im), (fr, fi) = names, factor
    less, more = ("-", "+") if sign == "+" else ("+", "-")
    lines += [
        f"{mark}R{at} = {re}{at} * {fr}{where} {less} {im}{at} * {fi}{where}",
        f"{mark}I{at} = {im}{at} * {fr}{where} {more} {re}{at} * {fi}{where}",
    ]
    made = (f"{mark}R", f"{mark}I")
    stored += made
    return made
