"""Which kernels a GPU library runs for a cascade: Einsums grouped into calls, by their structure.

Recognition looks at ranks and operators, never at names, so a cascade that a user wrote is treated
as a shipped one. In order: a whole cascade that is attention is one fused call, and so is one that
computes a state which it keeps (a linear recurrence), and what `fused` knows where the library has
such a kernel; one whose Einsums share their rows and reduce along columns only is one row kernel
(softmax, norms); otherwise every Einsum is a call: a product of two tensors is a GEMM (with the
bias that follows it, grouped where its rows depend on data), one whose window slides a convolution
(or a stencil, channel by channel; pooling without weights), a sum over as many as data says a
scatter, a sum that runs ahead a scan, anything elementwise a row kernel. What fits none is refused
by name.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from hwmodel.einsum.attention_shape import AttentionShape, attention, attention_gradient
from hwmodel.einsum.cascade import Cascade, Einsum
from hwmodel.einsum.counts import footprint_bytes, operation_counts, points
from hwmodel.einsum.known import known, of_form
from hwmodel.einsum.pairwise import pairwise
from hwmodel.einsum.space import extent
from hwmodel.einsum.structure import contraction, row_operation
from hwmodel.einsum.windows import pool_form, window_form
from hwmodel.hardware.hardware import Limits
from hwmodel.machines.gpu import support
from hwmodel.machines.gpu.convolutions import convolution, pooling
from hwmodel.machines.gpu.fused import fused, multiplied_out
from hwmodel.machines.gpu.irregular import irregular, irregular_kind, taken_places
from hwmodel.machines.gpu.largest import largest
from hwmodel.machines.gpu.libraries.library import FEW_QUERIES, Found, Kernel, Library
from hwmodel.machines.gpu.libraries.shipped import Pick, able, picks
from hwmodel.machines.gpu.recurrences import operands, recurrence
from hwmodel.machines.gpu.schedules import attention as attention_schedule
from hwmodel.machines.gpu.schedules import gemm as gemm_schedule
from hwmodel.machines.gpu.schedules import rows as rows_schedule
from hwmodel.machines.gpu.schedules import torch_rows
from hwmodel.machines.gpu.stretches import stretch, taken
from hwmodel.machines.gpu.transforms import transform
from hwmodel.machines.gpu.units import scalar_operations
from hwmodel.quantity.arithmetic import where
from hwmodel.quantity.dtypes import bytes_of, dtype
from hwmodel.quantity.errors import CoverageError
from hwmodel.quantity.remembered import single
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity

LONGEST_ROW = 8
"""Einsums, at most, that are tried as one kernel of whole rows."""


@dataclass(frozen=True, eq=False)
class Call:
    """One kernel call: the schedule that runs it, the problem, and the tiles it may choose from."""

    name: str
    schedule: str
    library: Library
    problem: Any
    activity: Callable[[Any, Any, Limits], Activity]
    menu: Sequence[Any]
    work: Cascade
    """The Einsums that it computes."""
    resolve: Callable[[Any, Any, Limits], Any] | None = None
    times: Amount = 1
    """How often it runs; 0 at points of a sweep where another call takes its place."""
    asked: bool = False
    """Whether its library was asked for by its own name, not called by a stack."""
    touched_bytes: tuple[Amount, Amount, int] | None = None
    """Activations and weights of a repetition, all its calls together, and how many layers' weights
    are used in turn; None: the L2 is cold."""
    by_warp: "Call | None" = None
    """What runs in its place on GPUs whose warps multiply by themselves; None: the same."""

    @property
    def family(self) -> str:
        """Calibration family: schedule and library."""
        return self.library.family(self.schedule)


def lower(cascade: Cascade, kernel: Kernel = None) -> tuple[Call, ...]:
    """The calls that library `kernel` makes for a cascade (default: torch's choice).

    Raises `UnknownNameError` for an unknown library, and `CoverageError` for an Einsum that no
    schedule covers or a schedule that the library lacks.
    """
    named = kernel is None or isinstance(kernel, str)
    return _known_calls(cascade, kernel) if named else _calls(cascade, kernel)


def _calls(cascade: Cascade, kernel: Kernel) -> tuple[Call, ...]:
    chosen = picks(kernel)
    cascade = pairwise(cascade)
    found = _attention(cascade, chosen) or _gradient(cascade) or recurrence(cascade)
    found = found or largest(cascade, chosen)
    found = found or fused(cascade, chosen) or transform(cascade, chosen)
    if not found:
        cascade = multiplied_out(cascade)
    if not found and not _apart(cascade):
        found = _rows(cascade, cascade.name)
    found = found or _separate(cascade, chosen)
    rows = chosen.get("rows")
    if rows is not None and rows.libraries[0].rewrites is not None:
        found = rows.libraries[0].rewrites(found)
    return tuple(_call(each, chosen, kernel) for each in found)


_known_calls = known(lambda calls: all(single(call.problem) for call in calls))(_calls)


@of_form
def _apart(cascade: Cascade) -> bool:
    """Whether an Einsum of a cascade has a kernel of its own: a product, a window, a scatter."""
    return any(
        contraction(einsum, cascade)
        or window_form(cascade, einsum)
        or pool_form(cascade, einsum)
        or irregular_kind(cascade, einsum.name)
        for einsum in cascade.einsums
    )


def _call(found: Found, chosen: Mapping[str, Pick], kernel: Kernel) -> Call:
    pick = chosen.get(found.schedule)
    if pick is None:
        raise CoverageError(
            f"cascade {found.name!r}: kernel {_name(kernel)} has no {found.schedule} schedule;"
            f" kernels that do: {', '.join(able(found.schedule))}"
        )
    library = support.library_of(found.schedule, pick.libraries, found.problem)
    launch = library.launches[found.schedule]
    other = found.by_warp if found.by_warp and found.by_warp.schedule in chosen else None
    return Call(
        name=found.name,
        schedule=found.schedule,
        library=library,
        problem=found.problem,
        activity=launch.activity,
        menu=launch.menu,
        work=found.work,
        resolve=launch.resolve,
        times=found.times,
        asked=pick.asked,
        by_warp=other and _call(replace(other, times=found.times), chosen, kernel),
    )


def _name(kernel: Kernel) -> str:
    """What was asked for, as people wrote it."""
    if isinstance(kernel, Mapping):
        return repr(
            {
                family: each if isinstance(each, str) else each.name
                for family, each in kernel.items()
            }
        )
    return repr(kernel.name if isinstance(kernel, Library) else kernel)


def _separate(cascade: Cascade, chosen: Mapping[str, Pick]) -> list[Found]:
    """One call for each Einsum, or several that are a softmax or norm; a bias joins its product."""
    kernels: list[Found] = []
    skip: set[str] = set()
    for position, einsum in enumerate(cascade.einsums):
        if einsum.name in skip:
            continue
        length = _whole_rows(cascade, position)
        if length > 1:
            last = cascade.einsums[position + length - 1].name
            kernels += _rows(stretch(cascade, position, length), last)
            skip |= {each.name for each in cascade.einsums[position : position + length]}
            continue
        following = cascade.einsums[position + 1 : position + 2]
        alone = stretch(cascade, position)
        found = _product(alone, einsum)
        if found is not None and following and _is_bias(cascade, einsum, following[0]):
            skip.add(following[0].name)
            stored = cascade.tensors[following[0].name].dtype
            given = (name for name in operands(following[0].expression) if name != einsum.name)
            vector = sum(footprint_bytes(name, cascade) for name in given)
            problem = replace(found.problem, dtype_out=stored, bias_bytes=vector)
            found = replace(found, problem=problem)
        runs = [found] if found else _sliding(alone, einsum, chosen) or _rows(alone, einsum.name)
        if not runs:
            raise CoverageError(
                f"cascade {cascade.name!r}, Einsum {einsum.name!r}: no GPU schedule computes it;"
                " covered are products of tensors, convolutions, attention, and maps and reductions"
                " by row"
            )
        kernels += runs
    return kernels


@of_form
def _whole_rows(cascade: Cascade, position: int) -> int:
    """How many Einsums from a place on are one kernel of whole rows: a softmax, a norm; at most.

    The last of them scales by what they reduced.
    """
    for length in range(min(LONGEST_ROW, len(cascade.einsums) - position), 1, -1):
        part = taken(cascade, position, length)
        *made, last = (einsum.output for einsum in part.einsums)
        reduced = {access.tensor for access in made if len(access.ranks) < len(last.ranks)}
        scales = reduced & set(operands(part.einsums[-1].expression))
        whole = scales and len(part.outputs) == 1 and not _apart(part)
        if whole and row_operation(part) and _row_kinds(part).longer in ("rows", "held"):
            return length
    return 1


def _is_bias(cascade: Cascade, product: Einsum, after: Einsum) -> bool:
    """Whether `after` adds a weight vector to the product, which the GEMM's epilogue does."""
    added = operands(after.expression)
    if getattr(after.expression, "operator", None) != "add" or len(added) != 2:
        return False
    if product.name not in added or after.reductions:
        return False
    other = next(name for name in added if name != product.name)
    tensor = cascade.tensors[other]
    return tensor.role == "weight" and len(tensor.ranks) < len(cascade.tensors[after.name].ranks)


def _product(cascade: Cascade, einsum: Einsum) -> Found | None:
    product = contraction(einsum, cascade)
    if product is None:
        return None
    tensors = cascade.tensors
    routed = product.routing is not None
    problem = gemm_schedule.GemmProblem(
        M=product.m,
        N=product.n,
        K=product.k,
        batch=1 if routed else product.batch,
        dtype_a=tensors[product.a].dtype,
        dtype_b=tensors[product.b].dtype,
        dtype_out=tensors[einsum.name].dtype,
        members=product.members,
        routing=product.routing,
    )
    return Found(einsum.name, "grouped" if routed else "gemm", problem, cascade)


def _sliding(cascade: Cascade, einsum: Einsum, chosen: Mapping[str, Pick]) -> list[Found]:
    """A convolution's product or stencil, or each where it applies; pooling; or what is uneven."""
    pooled = pooling(cascade, einsum)
    if pooled is not None:
        return [pooled]
    uneven = irregular(cascade, einsum)
    if uneven is not None:
        return [uneven]
    products = chosen["gemm"].libraries if "gemm" in chosen else ()
    found = convolution(cascade, einsum, partial(support.taken, "gemm", products))
    return [] if found is None else _where(*found)


def _rows(cascade: Cascade, name: str) -> list[Found]:
    """The row kernel of a cascade, or each of two where it applies; none where it is none.

    A sum over a short rank is a loop of one thread and its kernel elementwise; a longer one that
    leaves no column is a reduction, whose blocks share the outputs or the sum; several of them are
    a kernel each. Softmax and norms keep their columns: they are kernels of whole rows, however
    short.
    """
    found = row_operation(cascade)
    if found is None:
        return []
    operations: dict[Any, Amount] = {}
    for einsum in cascade.einsums:
        for key, count in scalar_operations(operation_counts(einsum, cascade)).items():
            operations[key] = operations.get(key, 0) + count
    kinds = _row_kinds(cascade)
    flat = rows_schedule.RowProblem(
        rows=found.rows,
        cols=found.cols,
        read_bytes=sum(footprint_bytes(n, cascade) for n in found.inputs),
        written_bytes=sum(footprint_bytes(n, cascade) for n in found.outputs),
        operations=operations,
        passes=found.passes,
        form=kinds.flat,
        item_bytes=kinds.width,
        instructions=torch_rows.instructions(found.operations),
        atomics=_scattered(cascade),
        group=max((dtype(cascade.tensors[n].dtype).block for n in found.outputs), default=1),
    )
    if kinds.flat == "gather":
        places, size = extent(taken_places(cascade), cascade), flat.rows * flat.cols
        flat = replace(flat, rows=places, cols=size / places)
    elementwise = Found(name, "rows", flat, cascade)
    if kinds.longer == "flat":
        return [elementwise]
    if kinds.longer == "none":
        return []
    if kinds.longer == "reduction":
        summed = replace(flat, form=kinds.reduced, reducer=kinds.reducer)
        longer = Found(name, "reduction", summed, cascade)
    else:
        by_row = replace(flat, row_bytes=found.cols * kinds.width, form=kinds.reduced)
        longer = Found(name, "rows", by_row, cascade)
        if kinds.longer == "held":
            return [longer]
    return _either(found.cols < torch_rows.LEAST_ROW, elementwise, longer)


@dataclass(frozen=True)
class _RowKinds:
    """What the form of a row operation decides: how torch runs it at either length of a row.

    `longer` is what a long row becomes: "flat" (elementwise), "none" (no kernel), "reduction",
    "rows", or "held" where a short one does so too. `flat` and `reduced` are forms of the kernels
    (`torch_rows.form`), `width` the widest element's bytes, `reducer` a plain reduction's operator.
    """

    width: int | float
    flat: str
    longer: str
    reduced: str = ""
    reducer: str = ""


@of_form
def _row_kinds(cascade: Cascade) -> _RowKinds:
    found = row_operation(cascade)
    assert found is not None
    width = max(bytes_of(cascade.tensors[n].dtype) for n in (*found.inputs, *found.outputs))
    views, taken = _strided(cascade), bool(taken_places(cascade))
    flat = torch_rows.form(False, found.operations, found.inputs, views, taken)
    if not any(einsum.reductions for einsum in cascade.einsums):
        return _RowKinds(width, flat, "flat")
    if _keeps_columns(cascade):
        held = torch_rows.HELD & {kind for kind, _ in found.operations}
        form = torch_rows.form(True, found.operations, found.inputs)
        return _RowKinds(width, flat, "held" if held else "rows", form)
    if found.passes != 1 or not _makes_none(cascade):
        return _RowKinds(width, flat, "none")
    along = "reduce" if _contiguous(cascade) else "reduce strided"
    (_, operator), *_ = next(e.reductions for e in cascade.einsums if e.reductions)
    return _RowKinds(width, flat, "reduction", along, operator)


def _either(condition: Any, one: Found, other: Found) -> list[Found]:
    """One kernel where the condition holds, and the other elsewhere; one that runs nowhere none."""
    if isinstance(condition, (bool, np.bool_)):
        return [one if condition else other]
    return _where((condition, one), (~condition, other))


def _where(*pairs: tuple[Any, Found]) -> list[Found]:
    """Each kernel where its condition holds; those that run nowhere are left out."""
    return [
        replace(found, times=1 if np.all(here) else np.asarray(here, np.float64))
        for here, found in pairs
        if np.any(here)
    ]


def _keeps_columns(cascade: Cascade) -> bool:
    """Whether what a cascade leaves has a rank that it reduces, or it runs ahead along a rank."""
    ahead = any(rank.iterative for rank in cascade.ranks.values())
    left = (cascade.tensors[name].ranks for name in cascade.outputs)
    return ahead or any(_reduced(cascade) & set(ranks) for ranks in left)


def _makes_none(cascade: Cascade) -> bool:
    """Whether no Einsum of a cascade makes a rank that one reduces."""
    return not any(_reduced(cascade) & set(einsum.output.ranks) for einsum in cascade.einsums)


def _reduced(cascade: Cascade) -> set[str]:
    return {rank for einsum in cascade.einsums for rank, _ in einsum.reductions}


def _contiguous(cascade: Cascade) -> bool:
    """Whether the widest operand's last index runs along the sum."""
    (summed, *_) = (einsum for einsum in cascade.einsums if einsum.reductions)
    widest = max(summed.reads, key=lambda read: len(read.ranks))
    return widest.ranks[-1] in {rank for rank, _ in summed.reductions}


def _scattered(cascade: Cascade) -> tuple[Amount, Amount]:
    """(atomic additions, at one address): rows summed into a tensor that already holds some.

    A library does `Y = Z + sum over a short rank of X` as an index_add, an atomic for each element.
    """
    if len(cascade.einsums) != 2:
        return 0, 0
    summed, added = cascade.einsums
    short = extent([rank for rank, _ in summed.reductions], cascade)
    into = getattr(added.expression, "operator", "") == "add" and summed.name in {
        read.tensor for read in added.reads
    }
    plain = not added.reductions and summed.reductions and len(added.reads) == 2
    if not (into and plain):
        return 0, 0
    few = short < torch_rows.LEAST_ROW
    return where(few, points(summed, cascade), 0), where(few, short, 0)


def _strided(cascade: Cascade) -> bool:
    """Whether an operand of a lone elementwise Einsum is not laid out as its output is."""
    if len(cascade.einsums) != 1 or cascade.einsums[0].reductions:
        return False
    einsum = cascade.einsums[0]
    return any(read.indices != einsum.output.indices for read in einsum.reads)


def _attention(cascade: Cascade, chosen: Mapping[str, Pick]) -> list[Found]:
    """Fused attention: the kernel for many queries, that for few, or each where it applies."""
    shape = attention(cascade)
    if shape is None:
        return []
    problem = _problem(shape)
    decode, prefill = (
        Found(cascade.name, schedule, problem, cascade) for schedule in ("decode", "prefill")
    )
    few = shape.queries <= FEW_QUERIES
    if "prefill" in chosen and chosen["prefill"].libraries[0].by_phase:
        few = few & (shape.keys > shape.queries)
    return _either(few, decode, prefill)


def _gradient(cascade: Cascade) -> list[Found]:
    """The fused kernel of attention's backward pass."""
    shape = attention_gradient(cascade)
    if shape is None:
        return []
    return [Found(cascade.name, "backward", _problem(shape), cascade)]


def _problem(shape: AttentionShape) -> attention_schedule.AttentionProblem:
    return attention_schedule.AttentionProblem(
        batch=shape.batch,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        queries=shape.queries,
        keys=shape.keys,
        head_dim=shape.head_dim,
        value_dim=shape.value_dim,
        causal=shape.causal,
        window=shape.window,
        density=shape.density,
        dtype=shape.dtype,
        kv_dtype=shape.kv_dtype,
        dtype_out=shape.dtype_out,
        latent=shape.key == shape.value,
        passes=shape.passes,
    )
