"""Whether a library has a kernel for a call: number formats, head dimensions, alignments, GPUs.

Each library says what its kernels take (`Library.support`); `refusal` reads it for a call, and
`hwmodel kernels` prints it. A call that no kernel of the library takes is refused by name, with the
kernels that would do. A format is spoken of without its scales (`int4` of `int4@128:20`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hwmodel.hardware.hardware import TWO_OF_FOUR, Hardware
from hwmodel.machines.gpu.libraries.library import BY_WARP, GENERATIONS, Library, Support
from hwmodel.machines.gpu.libraries.shipped import SHIPPED
from hwmodel.quantity.dtypes import base_of, dtype, structure_of
from hwmodel.quantity.errors import CoverageError

MULTIPLYING = ("gemm", "convolution", "filters", "grouped", "prefill", "decode", "backward")
"""Schedules that multiply matrices."""


def adapted(parameters: Mapping[str, float], library: Library, generation: str) -> dict[str, float]:
    """A family's parameters on another generation of GPUs than it was fitted on."""
    more = library.native.get(generation, 1.0)
    return {
        name: min(1.0, value * more) if name == "matrix" and more != 1 else value
        for name, value in parameters.items()
    }


def library_of(schedule: str, libraries: Sequence[Library], problem: Any) -> Library:
    """The first of a stack's libraries that takes the problem's formats and heads; else its own."""
    if len(libraries) == 1:
        return libraries[0]
    first, second = _formats(problem)
    lines = ((each, each.takes(schedule)) for each in libraries)
    able_ = (
        each
        for each, line in lines
        if line is not None
        and _pairs(line, first, second)
        and _scaled(line, problem)
        and _holds(line, problem)
        and (line.skips or not _thinned(problem))
        and line.structured is bool(_structures(problem)[1])
    )
    return next(able_, libraries[0])


def taken(schedule: str, libraries: Sequence[Library], problem: Any) -> Any:
    """Where the library of a stack that would run a problem takes its sizes, point by point.

    Everywhere, where the stack has none, or says nothing of sizes.
    """
    line = library_of(schedule, libraries, problem).takes(schedule) if libraries else None
    multiples: Mapping[str, int] = (
        {} if line is None else line.multiples.get(_formats(problem)[0], {})
    )
    found: Any = True
    for name, multiple in multiples.items():
        found = found & (np.asarray(getattr(problem, name)) % multiple == 0)
    return found


def _formats(problem: Any) -> tuple[str, str]:
    """Formats of the two operands, without scales."""
    if hasattr(problem, "dtype_a"):
        return base_of(problem.dtype_a), base_of(problem.dtype_b)
    return base_of(problem.dtype), base_of(problem.kv_dtype)


def _structures(problem: Any) -> tuple[str, str]:
    """What the formats of the two operands keep of each group along the sum; empty: all."""
    if hasattr(problem, "dtype_a"):
        return structure_of(problem.dtype_a), structure_of(problem.dtype_b)
    if hasattr(problem, "kv_dtype"):
        return structure_of(problem.dtype), structure_of(problem.kv_dtype)
    return "", ""


def _unstructured(line: Support | None, problem: Any) -> str | None:
    """Why kernels do not take operands that keep some of each group, or that keep all."""
    first, second = _structures(problem)
    takes = line is not None and line.structured
    if first or (second and not takes):
        return f"multiplies no operand that keeps {(first or second)[1:]} along the sum"
    if takes and second != TWO_OF_FOUR:
        found = f"keep {second[1:]}" if second else "are dense"
        return f"takes weights that keep 2:4 along the sum (bf16~2:4), found some that {found}"
    return None


def _holds(line: Support, problem: Any) -> bool:
    """Whether a library has kernels for heads so wide on any GPU, at one point at least."""
    widest = max(line.head_dim.values(), default=None)
    return widest is None or bool(np.any(np.less_equal(problem.head_dim, widest)))


def _scaled(line: Support, problem: Any) -> bool:
    """Whether a library takes scales of the second operand as they are: by block, or not."""
    return line.blocks is None or ("@" in str(getattr(problem, "dtype_b", ""))) is line.blocks


def _thinned(problem: Any) -> bool:
    """Whether a density leaves out pairs, at one point at least."""
    return bool(np.any(np.not_equal(getattr(problem, "density", 1), 1)))


def _pairs(line: Support, first: str, second: str) -> bool:
    """Whether a library multiplies these two formats on any GPU; a narrow first one is widened."""
    if first not in line.formats:
        return False
    narrower = dtype(first).bits - dtype(second).bits
    if narrower > 0:
        return second in line.narrow
    alike = line.alike is None or first in line.alike
    return alike and (first == second or narrower < 0 or dtype(first).bits >= 16)


def placed(calls: Sequence[Any], hardware: Hardware, *, layers: bool = False) -> tuple[Any, ...]:
    """The calls as their libraries make them on this generation of GPUs (`Library.on`).

    Kernels that were measured on the device itself, under the name that is asked for, go before,
    but where `layers` of a model are repeated: these are what engines run of one on every GPU,
    keys written and rows of experts sorted, and not a kernel alone.
    """
    found: list[Any] = []
    for given in calls:
        call = _here(given, hardware.architecture)
        found += _placed(call, hardware, layers) if call.library.on else [call]
    return tuple(found)


def _here(call: Any, generation: str) -> Any:
    """What runs in a call's place where warps multiply by themselves, if its library takes it."""
    other = call.by_warp if generation in BY_WARP else None
    if other is None or refusal(other.schedule, other.library, other.problem, generation, True):
        return call
    return other


def _placed(call: Any, hardware: Hardware, layers: bool) -> list[Any]:
    """A call by the library of the stack that takes it; by several where heads differ by point."""
    generation, calibration = hardware.architecture, hardware.calibration
    own = calibration.families.get(call.family) if calibration else None
    if own is not None and own.origin == "measured" and not layers:
        return [call]
    names = call.library.on.get(call.schedule, {}).get(generation, ())
    found: list[Any] = []
    left: Any = np.asarray(call.times).astype(bool)
    for library in (SHIPPED[name] for name in names):
        here = left & _is_made(library.takes(call.schedule), call.problem)
        if not here.any() or refusal(call.schedule, library, call.problem, generation, here):
            continue
        launch = library.launches[call.schedule]
        mine = replace(
            call,
            library=library,
            activity=launch.activity,
            menu=launch.menu,
            resolve=launch.resolve,
        )
        found.append(_where_alone(mine, here))
        left = left & ~here
    return [*found, *([_where_alone(call, left)] if left.any() or not found else [])]


def _where_alone(call: Any, here: Any) -> Any:
    """The call at some points."""
    return call if here.all() else replace(call, times=call.times * here.astype(np.float64))


def _is_made(line: Support | None, problem: Any) -> Any:
    """Where a library has kernels for heads of a size, point by point."""
    if line is None or not line.head_dims:
        return np.asarray(True)
    return np.isin(problem.head_dim, line.head_dims)


def check(calls: Sequence[Any], hardware: Hardware) -> None:
    """Raise `CoverageError` for a call of `lower` that its library has no kernel for here."""
    for call in calls:
        why = refusal(call.schedule, call.library, call.problem, hardware.architecture, call.times)
        line = call.library.takes(call.schedule)
        if why is None and line is not None and call.asked:
            other = line.elsewhere.get(hardware.architecture)
            why = other and f"is {other} on {hardware.architecture}, which kernel 'torch' calls"
        if why:
            would = able(call.schedule, call.problem, hardware.architecture, call.times)
            raise CoverageError(
                f"{hardware.name}: {call.name}: {call.library.name} ({call.schedule}) {why};"
                f" kernels that would do: {', '.join(would) or 'none'}"
            )
        if call.schedule in MULTIPLYING:
            _check_rate(call, hardware)


def _check_rate(call: Any, hardware: Hardware) -> None:
    """Raise `CoverageError` for products in a format of which the GPU's description has no rate."""
    first, _ = _formats(call.problem)
    rates = {name: unit.rate_per_s for name, unit in hardware.units.items()}
    kept = _structures(call.problem)[1]
    if kept and not any(first + kept in unit.rates_per_s() for unit in hardware.units.values()):
        raise CoverageError(
            f"{hardware.name}: {call.name}: no unit of this machine skips zeros of {first}{kept};"
            " expected one whose matrix unit is `structured` (a100, h200), or dense weights"
        )
    if any(first in known for known in rates.values()):
        return
    line = call.library.takes(call.schedule)
    has = [name for name in rates.get("matrix", ()) if line is None or name in line.formats]
    raise CoverageError(
        f"{hardware.name}: {call.name}: no rate of {first} is known of this machine; formats that"
        f" would do: {', '.join(has) or 'none'}; or state the rate, with its source, in a device's"
        " file of your own"
    )


def able(schedule: str, problem: Any, generation: str, used: Any = True) -> list[str]:
    """Names of shipped kernels that run a problem on that generation."""
    lines = [(each, each.takes(schedule)) for each in SHIPPED.values()]
    return [
        "torch" if generation in line.elsewhere else library.name
        for library, line in lines
        if line is not None and refusal(schedule, library, problem, generation, used) is None
    ]


def refusal(
    schedule: str, library: Library, problem: Any, generation: str, used: Any = True
) -> str | None:
    """Why the library has no kernel for a problem on that generation of GPUs; None where it has.

    `used` says at which points of a sweep the call runs at all.
    """
    line = library.takes(schedule)
    if (why := _unstructured(line, problem)) is not None:
        return why
    if line is None or generation not in GENERATIONS:
        return None
    first, second = _formats(problem)
    where = line.formats.get(first, ())
    if not _pairs(line, first, second):
        both = first if first == second else f"{first} times {second}"
        known = ", ".join(name for name, places in line.formats.items() if generation in places)
        stored = f", the second stored in {', '.join(line.narrow)}" if line.narrow else ""
        return f"computes no {both}; it takes {known or 'nothing'} on {generation}{stored}"
    if not _scaled(line, problem):
        return f"takes {first} {'with' if line.blocks else 'without'} a scale for each block"
    if generation not in where:
        return f"has no {first} on {generation}; it has on {', '.join(where)}"
    most = line.head_dim.get(generation)
    widest = _where(getattr(problem, "head_dim", 0), used)
    if most is not None and np.any(widest > most):
        return f"ends at head_dim {most} on {generation}, found {np.max(widest):g}"
    if line.head_dims and not np.all(np.isin(widest, line.head_dims)):
        sizes = ", ".join(map(str, line.head_dims))
        return f"has kernels for a head_dim of {sizes}, found {widest.min():g} to {widest.max():g}"
    if _thinned(problem) and not line.skips:
        return "computes every block that its mask leaves, and not a density of them"
    if line.query_rows is not None:
        rows = _where(problem.heads / problem.kv_heads * problem.queries, used)
        if np.any(rows > line.query_rows):
            return f"holds {line.query_rows} query rows of a KV head at once, found {rows.max():g}"
    for name, multiple in line.multiples.get(first, {}).items():
        sizes = _where(getattr(problem, name), used)
        if np.any(sizes % multiple):
            found = sizes[sizes % multiple != 0][0]
            padded = int(-(-found // multiple) * multiple)
            return (
                f"takes {first} where {name} is a multiple of {multiple}, found {found:g};"
                f" pad it to {padded}"
            )
    return None


def _where(size: Any, used: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The sizes at the points where a call runs, as a list."""
    sizes, runs = np.broadcast_arrays(np.asarray(size, dtype=np.float64), np.asarray(used))
    return sizes[runs.astype(bool)].reshape(-1)
