"""Calls of ATen over columns, images and volumes: convolutions, pools, other grids (`aten.py`).

A transposed convolution of steps s writes s phases of places in each direction, each with taps of
its own, ceil(window / s) of them. Zeros fill up where s does not divide the window: the share that
is none stands in the Einsum (`~`), and only that is counted.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.importers.calls import Call, Kernels, Rule, copied
from hwmodel.einsum.importers.strided import View, made, mapped
from hwmodel.einsum.workloads.convolution import conv2d
from hwmodel.einsum.workloads.layer import Layer
from hwmodel.quantity.errors import CoverageError

TAPS = {"bilinear": 2, "bicubic": 4}
"""Elements that an interpolation reads in each direction."""


def _sides(value: Any, ends: int, default: int) -> tuple[int, ...]:
    """A number for each direction."""
    given = [value] if isinstance(value, int) else [int(each) for each in value or [default]]
    return tuple(given * ends if len(given) == 1 else given)


def convolution(call: Call) -> Kernels:
    """One of sequences, which are columns, of images or of volumes; a bias is a kernel more."""
    image, filters = call.view("input"), call.view("weight")
    ends = len(image.shape) - 2
    if ends not in (1, 2, 3):
        raise CoverageError(f"a convolution of {ends} dimensions; those of 1 to 3 are modelled")
    turned = call.given.get("transposed") or "transpose" in call.op
    found = (_transposed if turned else _plain)(call, image, filters)
    return (found, *(_biased(call) if isinstance(call.given.get("bias"), View) else ()))


def _plain(call: Call, image: View, filters: View) -> Cascade:
    ends = len(image.shape) - 2
    windows = filters.shape[2:]
    steps, gaps = (_sides(call.given.get(name), ends, 1) for name in ("stride", "dilation"))
    padding = call.given.get("padding")
    around = _sides(None if isinstance(padding, str) else padding, ends, 0)
    if padding == "same":
        around = tuple(gap * (side - 1) // 2 for gap, side in zip(gaps, windows, strict=True))
    pairs = tuple((zeros, zeros) for zeros in around)
    return _slid(call, image, filters.shape[0], windows, (steps, gaps, pairs))


def _transposed(call: Call, image: View, filters: View) -> Cascade:
    """Phases of places, written by filters each of its own over an image without gaps."""
    ends = len(image.shape) - 2
    steps, gaps = (_sides(call.given.get(name), ends, 1) for name in ("stride", "dilation"))
    groups = int(call.given.get("groups") or 1)
    batch, channels, *_ = image.shape
    sides, places, taps, phases = (names[-ends:] for names in ("dhw", "zyx", "trs", "opq"))
    sizes = {"b": batch, "g": groups, "c": channels // groups, "k": filters.shape[1]}
    rest = zip(call.out.shape[2:], filters.shape[2:], steps, gaps, strict=True)
    reads: list[str] = []
    share = 1.0
    for (out, window, step, gap), *names in zip(rest, sides, places, taps, phases, strict=True):
        side, place, tap, phase = names
        some, written = -(-window // step), -(-out // step)
        sizes |= {side: written + gap * (some - 1), place: written, tap: some, phase: step}
        share *= window / (some * step)
        reads.append(f"{place}+{gap}*{tap}" if gap > 1 else f"{place}+{tap}")
    weights = ", ".join(("g", "k", *phases, "c", *taps))
    text = (
        f"tensor I[b, g, c, {', '.join(sides)}]\ntensor F[{weights}]: weight\n"
        f"O[b, g, k, {', '.join((*places, *phases))}] = I[b, g, c, {', '.join(reads)}]"
        f" * F[{weights}]{f' ~ {share}' if share < 1 else ''}"
    )
    formats = (("I", image.dtype), ("F", filters.dtype), ("O", call.out.dtype))
    return made(call.name, text, tuple(sizes.items()), formats)


def _slid(
    call: Call, image: View, filters: int, windows: Sequence[int], how: tuple[Any, Any, Any]
) -> Cascade:
    """Windows that slide over a map of 1 to 3 directions: by steps, with gaps, zeros around it."""
    steps, gaps, around = how
    groups = int(call.given.get("groups") or 1)
    batch, channels, *sides = image.shape
    if len(sides) < 3:
        return conv2d(
            *(batch, channels, filters, *sides, *(1,) * (2 - len(sides)), windows[0]),
            window_width=(*windows, 1)[1],
            **{"stride": (*steps, 1)[:2], "dilation": (*gaps, 1)[:2]},
            padding=(*around[0], *((*around, (0, 0))[1])),
            groups=groups,
            dtype=image.dtype,
            out_dtype=call.out.dtype,
            name=call.name,
        )
    reads = ", ".join(
        f"{step}*{out}+{gap}*{t}"
        for step, out, gap, t in zip(steps, "zyx", gaps, "trs", strict=True)
    )
    text = (
        "tensor I[b, g, c, d, h, w]\ntensor F[g, k, c, t, r, s]: weight\n"
        f"O[b, g, k, z, y, x] = I[b, g, c, {reads}] * F[g, k, c, t, r, s]"
    )
    sizes = {"b": batch, "g": groups, "c": channels // groups, "k": filters // groups}
    whole = [side + sum(zeros) for side, zeros in zip(sides, around, strict=True)]
    sizes |= dict(zip("dhwtrs", (*whole, *windows), strict=True))
    for out, side, taps, step, gap in zip("zyx", whole, windows, steps, gaps, strict=True):
        sizes[out] = (side - gap * (taps - 1) - 1) // step + 1
    formats = (("I", image.dtype), ("F", image.dtype), ("O", call.out.dtype))
    return made(call.name, text, tuple(sizes.items()), formats)


def _biased(call: Call) -> Kernels:
    """CuDNN adds no bias: torch adds it in a kernel of its own."""
    out = call.out
    text = "tensor SHIFT[b]: weight\nY[a, b, c] = X[a, b, c] + SHIFT[b]"
    batch, channels = out.shape[:2]
    sizes = (("a", batch), ("b", channels), ("c", out.elements // (batch * channels)))
    kinds = tuple((t, out.dtype) for t in ("X", "Y", "SHIFT"))
    return (made(f"{call.name} bias", text, sizes, kinds),)


def pooled(kind: str) -> Rule:
    """Largest or mean of windows; adaptive ones by as many windows as there are results."""

    def rule(call: Call) -> Kernels:
        source, out = call.view("self"), call.out
        window = call.given.get("kernel_size")
        ends = len(_sides(window, 1, 1)) if window else len(call.given["output_size"])
        ends = int(call.op[-2]) if call.op.endswith(("1d", "2d", "3d")) else ends
        channels = prod(source.shape[: len(source.shape) - ends])
        sides, results = source.shape[-ends:], out.shape[-ends:]
        if window is None:
            windows = tuple(-(-side // many) for side, many in zip(sides, results, strict=True))
            steps = tuple(side // many for side, many in zip(sides, results, strict=True))
        else:
            windows = _sides(window, ends, 1)
            steps = _sides(call.given.get("stride") or window, ends, 1)
        if ends == 3:
            return (_pooled_volume(call, kind, channels, (results, windows, steps)),)
        batch = source.shape[0] if len(source.shape) == ends + 2 else 1
        maps = channels // batch
        high, wide = (*sides, 1)[:2]
        rows, columns = (*results, 1)[:2]
        taken: dict[str, Any] = {"kernel": windows[0], "kernel_width": (*windows, 1)[1]}
        taken |= {"stride": steps[0], "stride_width": (*steps, 1)[1]}
        one = "mean" if kind == "average" and prod(results) == 1 else kind
        layer = Layer(call.name, one, (-1,), high, wide, maps, rows, columns, maps, **taken)
        return (layer.cascade(source.dtype, batch),)

    return rule


def _pooled_volume(
    call: Call, kind: str, channels: int, sides: tuple[Sequence[int], Sequence[int], Sequence[int]]
) -> Cascade:
    results, windows, steps = sides
    reads = ", ".join(
        f"{step}*{out}+{tap}" for step, out, tap in zip(steps, "zyx", "trs", strict=True)
    )
    word = "max" if kind == "maximum" else "sum"
    text = f"tensor I[c, d, h, w]\nO[c, z, y, x] = {word}(t, r, s) I[c, {reads}]"
    sizes = {"c": channels, **dict(zip("zyx", results, strict=True))}
    sizes |= dict(zip("trs", windows, strict=True))
    for side, out, step, taps in zip("dhw", results, steps, windows, strict=True):
        sizes[side] = (out - 1) * step + taps
    dtype = call.out.dtype
    return made(
        call.name, text, tuple(sizes.items()), (("I", call.view("self").dtype), ("O", dtype))
    )


def resampled(kind: str) -> Rule:
    """Elements of another grid, each from its neighbours in two directions."""

    def rule(call: Call) -> Kernels:
        source, out = call.tensors[0], call.out
        taps = TAPS[kind] ** 2
        if out.elements % source.elements:  # neighbours differ from place to place
            text = " + ".join(["0.5 * {X}"] * taps)
            flat = View((out.elements,), (1,), source.dtype, source.role)
            return (mapped(call.name, text, View(flat.shape, (1,), out.dtype), [flat]),)
        text = " + ".join(["0.5 * X[a]"] * taps)
        sizes = (("a", source.elements), ("b", out.elements // source.elements))
        formats = (("X", source.dtype), ("Y", out.dtype))
        return (made(call.name, f"Y[a, b] = {text}", sizes, formats),)

    return rule


def sampled(call: Call) -> Kernels:
    """Places of a grid, read from the map where it says, with their neighbours."""
    source, grid = call.tensors[:2]
    channels = source.shape[1]
    text = "PLACE[n] = sum(e) GRID[n, e]\nY[n, d] = gather(X[t, d], PLACE[n])"
    sizes = (("n", call.out.elements // channels), ("e", grid.shape[-1]), ("d", channels))
    sizes += (("t", source.elements // channels),)
    formats = (("X", source.dtype), ("Y", call.out.dtype), ("GRID", grid.dtype), ("PLACE", "fp32"))
    return (made(call.name, text, sizes, formats),)


def folded(call: Call) -> Kernels:
    """Columns of windows, added up to the image that they cover."""
    source, out = call.tensors[0], call.out
    each = -(-source.elements // out.elements)
    if each == 1:
        return copied(call)
    sizes = (("a", out.elements), ("b", each))
    formats = (("X", source.dtype), ("Y", out.dtype))
    return (made(call.name, "Y[a] = sum(b) X[a, b]", sizes, formats),)
