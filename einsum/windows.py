"""Sums over a window that slides: convolutions in any number of dimensions, found by their ranks.

    O[b, g, k, y, x] = sum over c, r, s of I[b, g, c, sy*y + dy*r, sx*x + dx*s] * F[g, k, c, r, s]

One operand is read at affine indices, the other at plain ones. Its ranks are *batch* (the image and
the output), *groups* (all three), *filters* (filters and output), *channels* (image and filters,
summed), *outputs* (output, inside an affine index) and *taps* (summed, inside one). Any number of
each may be there, under any names; a window of one point (`I[b, c, 2*y]`) has no taps.

*Pooling* reduces a window without weights: `O[b, c, y] = max(r) I[b, c, sy*y + r]`, or its sum.
"""

from dataclasses import dataclass
from typing import TypeAlias

from hwmodel.einsum.cascade import Access, Cascade, Einsum, Expression, Index
from hwmodel.einsum.counts import elements, footprint
from hwmodel.einsum.known import of_form
from hwmodel.einsum.space import extent
from hwmodel.einsum.structure import factors, plain
from hwmodel.quantity.units import Amount

Reductions: TypeAlias = tuple[tuple[str, str], ...]
"""Ranks that are summed, each with its operator."""


@dataclass(frozen=True, eq=False)
class Axis:
    """One direction: elements of the image, pads among them, points of a window and its places.

    Places lie `stride` apart, points `dilation`; filters of so many `phases` fill places between.
    """

    side: Amount
    taps: Amount
    outputs: Amount
    stride: int = 1
    dilation: int = 1
    phases: Amount = 1


@dataclass(frozen=True, eq=False)
class Window:
    """A convolution: its sizes, the elements of the image that any point reads, and its tensors.

    `channels` and `filters` are those of a group; `outputs` are the places of the window, `taps`
    its points. `whole_elements` are those of the image, whether any point reads them or not.
    `channels_last` says that channels vary fastest in the image, as in NHWC, and `skips` that
    windows lie more than one element apart; they slide along `axes`, innermost last. Of the
    filters, so many `phases` lie side by side within a row of places, as a transposed
    convolution's do; a `share` of their points is there, the others are zeros of phases that have
    fewer. `places_last` says that the image ends with a direction in which windows slide.
    """

    image: str
    kernel: str
    batch: Amount
    groups: Amount
    channels: Amount
    filters: Amount
    outputs: Amount
    taps: Amount
    image_elements: Amount
    whole_elements: Amount
    channels_last: bool
    places_last: bool
    skips: bool
    phases: Amount
    share: Amount
    axes: tuple[Axis, ...]


@dataclass(frozen=True)
class Form:
    """The ranks of a convolution by what they do; `slid` are indices of the image along axes."""

    image: str
    kernel: str
    batch: tuple[str, ...]
    groups: tuple[str, ...]
    channels: tuple[str, ...]
    filters: tuple[str, ...]
    outputs: tuple[str, ...]
    taps: tuple[str, ...]
    phases: tuple[str, ...]
    channels_last: bool
    skips: bool
    slid: tuple[tuple[int, Index], ...]


@dataclass(frozen=True, eq=False)
class Pool:
    """Pooling: outputs in all, points of a window, elements of the image that any point reads.

    `channels` are those of the last rank along which no window slides.
    """

    image: str
    operator: str
    elements: Amount
    channels: Amount
    taps: Amount
    image_elements: Amount
    channels_last: bool


@dataclass(frozen=True)
class PoolForm:
    """The ranks of pooling."""

    image: str
    operator: str
    outputs: tuple[str, ...]
    channels: tuple[str, ...]
    taps: tuple[str, ...]
    channels_last: bool


def pool(einsum: Einsum, cascade: Cascade) -> Pool | None:
    """The Einsum as pooling; None for another."""
    form = pool_form(cascade, einsum)
    if form is None:
        return None
    return Pool(
        image=form.image,
        operator=form.operator,
        elements=extent(form.outputs, cascade),
        channels=extent(form.channels, cascade),
        taps=extent(form.taps, cascade),
        image_elements=footprint(form.image, cascade),
        channels_last=form.channels_last,
    )


def pool_form(cascade: Cascade, einsum: Einsum) -> PoolForm | None:
    """The ranks of pooling, from its indices alone."""
    return _pool_form(cascade, einsum.output, einsum.expression, einsum.reductions)


@of_form
def _pool_form(
    cascade: Cascade, output: Access, expression: Expression, reductions: Reductions
) -> PoolForm | None:
    operands = factors(expression)
    operators = {operator for _, operator in reductions}
    if operands is None or len(operands) != 1 or not plain(output) or len(operators) != 1:
        return None
    (image,) = operands
    inside = {rank for i in image.indices if i.rank is None for rank, _ in i.terms}
    beside = {i.rank for i in image.indices if i.rank is not None}
    taps = {rank for rank, _ in reductions}
    places = inside - taps
    if inside & beside or not taps <= inside or not places or set(output.ranks) != places | beside:
        return None
    return PoolForm(
        image=image.tensor,
        operator=next(iter(operators)),
        outputs=output.ranks,
        channels=tuple(rank for rank in output.ranks if rank in beside)[-1:],
        taps=tuple(rank for rank, _ in reductions),
        channels_last=image.indices[-1].rank is not None,
    )


def window(einsum: Einsum, cascade: Cascade) -> Window | None:
    """The Einsum as a convolution; None for another."""
    form = window_form(cascade, einsum)
    if form is None:
        return None
    return Window(
        image=form.image,
        kernel=form.kernel,
        batch=extent(form.batch, cascade),
        groups=extent(form.groups, cascade),
        channels=extent(form.channels, cascade),
        filters=extent(form.filters, cascade),
        outputs=extent(form.outputs, cascade),
        taps=extent(form.taps, cascade),
        image_elements=footprint(form.image, cascade),
        whole_elements=elements(form.image, cascade),
        channels_last=form.channels_last,
        places_last=form.slid[-1][0] == len(cascade.tensors[form.image].ranks) - 1,
        skips=form.skips,
        phases=extent(form.phases, cascade),
        share=einsum.density,
        axes=tuple(_axis(form, at, cascade) for at in range(len(form.slid))),
    )


def _axis(form: Form, at: int, cascade: Cascade) -> Axis:
    """One direction; phases are of all directions, or none is known of each."""
    place, index = form.slid[at]
    taps, outputs = (
        {rank: step for rank, step in index.terms if rank in ranks}
        for ranks in (form.taps, form.outputs)
    )
    own = form.phases[at : at + 1] if len(form.phases) == len(form.slid) else ()
    return Axis(
        side=extent((cascade.tensors[form.image].ranks[place],), cascade),
        taps=extent(tuple(taps), cascade),
        outputs=extent(tuple(outputs), cascade),
        stride=max(outputs.values(), default=1),
        dilation=max(taps.values(), default=1),
        phases=extent(own, cascade),
    )


def window_form(cascade: Cascade, einsum: Einsum) -> Form | None:
    """The ranks of a convolution, from its indices alone."""
    return _window_form(cascade, einsum.output, einsum.expression, einsum.reductions)


@of_form
def _window_form(
    cascade: Cascade, output: Access, expression: Expression, reductions: Reductions
) -> Form | None:
    operands = factors(expression)
    if operands is None or len(operands) != 2 or not plain(output):
        return None
    if any(operator != "add" for _, operator in reductions):
        return None
    sliding = [access for access in operands if not plain(access)]
    if len(sliding) != 1:
        return None
    (image,) = sliding
    kernel = operands[0] if image is operands[1] else operands[1]
    return _classified(image, kernel, output, reductions)


def _classified(
    image: Access, kernel: Access, output: Access, reductions: Reductions
) -> Form | None:
    out, weights = set(output.ranks), set(kernel.ranks)
    summed = {rank for rank, _ in reductions}
    inside = [rank for i in image.indices if i.rank is None for rank, _ in i.terms]
    beside = [i.rank for i in image.indices if i.rank is not None]
    if len(inside) != len(set(inside)) or set(inside) & set(beside):
        return None
    outputs = tuple(rank for rank in inside if rank in out)
    taps = tuple(rank for rank in inside if rank in summed)
    known = set(beside) | set(inside)
    filters = tuple(rank for rank in kernel.ranks if rank not in known)
    whole = len(outputs) + len(taps) == len(inside) and outputs and set(filters) <= out
    if not whole or set(outputs) & weights or not set(taps) <= weights or summed - known:
        return None
    channels = tuple(rank for rank in beside if rank in summed)
    if not set(channels) <= weights or out - known - set(filters):
        return None
    kept = [rank for rank in beside if rank not in summed]
    last = image.indices[-1].rank
    inner = last is not None and (last in channels or last in weights)
    end = len(output.ranks) - inner
    after = output.ranks[max(map(output.ranks.index, outputs)) + 1 : end]
    return Form(
        image=image.tensor,
        kernel=kernel.tensor,
        batch=tuple(rank for rank in kept if rank not in weights),
        groups=tuple(rank for rank in kept if rank in weights),
        channels=channels,
        filters=filters,
        outputs=outputs,
        taps=taps,
        phases=tuple(rank for rank in after if rank in filters),
        channels_last=inner,
        skips=any(step > 1 for i in image.indices for rank, step in i.terms if rank in outputs),
        slid=tuple((at, index) for at, index in enumerate(image.indices) if index.rank is None),
    )
