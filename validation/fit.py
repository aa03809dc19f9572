"""Fits a family's parameters to measured rows, by robust least squares on log(predicted/measured).

Every parameter is physical and bounded (`calibration.Parameter`); the loss is soft-l1 with a scale
of 5 %, so that a row where the library changes its mind weighs little. Standard errors come from
the Jacobian at the optimum, s^2 (J^T J)^-1. Shapes are split once, by a hash of what was measured:
a shape is for fitting or for testing in every sitting alike, and within the fitting half, folds for
model selection are drawn by the same hash. Intervals are quantiles of measured/predicted on folds
that the parameters did not see.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from hwmodel.hardware.calibration import Family, Parameter, apart
from hwmodel.hardware.hardware import Hardware, limits
from hwmodel.machines.gpu.calls import LONG_CHUNK, held, placed, regimes_of, run
from hwmodel.machines.gpu.lower import Call
from hwmodel.machines.gpu.regimes import names
from hwmodel.quantity.errors import InputError
from hwmodel.validation.rows import Group, Row

Array = NDArray[np.float64]
Others = Mapping[str, Mapping[str, float]]

LOSS_SCALE = 0.05
FOLDS = 5
COVERAGE = 0.90
AT_BOUND = 1e-3
STEP, LEAST_STEP = 3e-3, 1e-2
"""Of slopes: a share of the value, or of so much of what lies between its bounds."""
AROUND = 3.0
"""Times the prior's values, and parts of them, between which further starts of a fit lie."""
LEAST_APART = 40
"""Rows of one number format from which it has an interval of its own."""
LEAST_IN_REGIME = 20
"""The same of a regime: of so many one row lies beyond either end."""


def is_test(row: Row, share: float = 0.5) -> bool:
    """Whether a shape belongs to the test half: the same answer on every board and day."""
    return _fraction(row, "split") < share


def fold_of(row: Row) -> int:
    """Which of the folds for model selection a shape belongs to."""
    return int(_fraction(row, "fold") * FOLDS)


def _fraction(row: Row, salt: str) -> float:
    digest = hashlib.sha256(repr((salt, *row.shape)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def predicted_s(
    group: Group, hardware: Hardware, family: str, values: Mapping[str, float], others: Others
) -> Array:
    """Predicted time of every row: the family at `values`, its companions as already fitted."""
    return companions_s(group, hardware, family, others) + own_s(group, hardware, family, values)


def own_s(group: Group, hardware: Hardware, family: str, values: Mapping[str, float]) -> Array:
    """Time of the family's own calls at `values`, of every row."""
    mine = [call for call in group.calls if call.family == family]
    return _summed(group, hardware, [(call, values) for call in mine])


def companions_s(group: Group, hardware: Hardware, family: str, others: Others) -> Array:
    """Time of the other calls, as already fitted."""
    rest = [call for call in group.calls if call.family != family]
    return _summed(group, hardware, [(call, _of(call, others)) for call in rest])


def _summed(
    group: Group, hardware: Hardware, calls: Sequence[tuple[Call, Mapping[str, float]]]
) -> Array:
    total = np.zeros(len(group.rows))
    for call, parameters in calls:
        total = total + call.times * np.asarray(run(call, hardware, parameters).folded.time_s)
    return total


def _of(call: Call, others: Others) -> Mapping[str, float]:
    return others[call.family] if call.family in others else others[call.schedule]


@dataclass(frozen=True)
class Fit:
    """Fitted values with their standard errors, and the mean |error| on the rows fitted."""

    values: dict[str, float]
    standard_errors: dict[str, float]
    mean_error: float
    fold_ratios: Array | None = None
    """measured/predicted of rows that were left out, where folds were drawn."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Measured rows of one form, and their predicted times as a function of parameter values."""

    rows: tuple[Row, ...]
    measured_s: Array
    predict: Callable[[Mapping[str, float]], Array]
    regimes: Callable[[Mapping[str, float]], Sequence[str]] | None = None
    """The regime of every row (`machines.gpu.regimes`), where the family has such."""
    held: Callable[[Mapping[str, float]], Callable[[Mapping[str, float]], Array]] | None = None
    """Some values -> `predict` with the tiles chosen there, where a menu is tried each time."""

    def regimes_at(self, values: Mapping[str, float]) -> list[str]:
        """The regime of every row under parameter values; empty where it has none."""
        return [""] * len(self.rows) if self.regimes is None else list(self.regimes(values))


def samples(
    family: str, groups: Sequence[Group], hardware: Hardware, others: Others
) -> list[Sample]:
    """Groups of kernel rows as samples of one family, its companions as already fitted."""
    return [_sample(family, group, hardware, others) for group in joined(groups)]


def _sample(family: str, group: Group, hardware: Hardware, others: Others) -> Sample:
    rest = companions_s(group, hardware, family, others)
    group = replace(group, calls=tuple(tiled(call, hardware) for call in group.calls))

    def predict(values: Mapping[str, float]) -> Array:
        return rest + own_s(group, hardware, family, values)

    def holding(values: Mapping[str, float]) -> Callable[[Mapping[str, float]], Array]:
        own = [call for call in group.calls if call.family == family]
        there = replace(group, calls=tuple(held(call, hardware, values) for call in own))
        return lambda near: rest + own_s(there, hardware, family, near)

    def regimes(values: Mapping[str, float]) -> Sequence[str]:
        call = next(each for each in group.calls if each.family == family)
        tile, room = run(call, hardware, values).tile, limits(hardware)
        return names(regimes_of(call, hardware), call.problem, tile, room, len(group.rows)).tolist()

    tries = any(len(placed(call, hardware).menu) > 1 for call in group.calls)
    return Sample(group.rows, group.measured_s, predict, regimes, holding if tries else None)


def tiled(call: Call, hardware: Hardware) -> Call:
    """The call with its one tile filled in, where no time chooses it: a fit need not do it anew.

    It is the call as its library runs it on that generation of GPUs, and needs no placing any more.
    """
    there = placed(call, hardware)
    known = len(there.menu) == 1 and there.resolve is not None and there.touched_bytes is None
    sizes = cast(dict[str, Any], vars(there.problem))
    points = max(int(np.size(size)) for size in sizes.values())
    if not known or points > LONG_CHUNK:
        return call
    tile = cast(Any, there.resolve)(there.menu[0], there.problem, limits(hardware))
    alone = replace(there.library, apart={})
    return replace(there, menu=(tile,), resolve=None, library=alone)


def joined(groups: Sequence[Group]) -> list[Group]:
    """Groups whose one call differs in the numbers of its problem alone, together.

    Strides and pads make many forms of one kernel; each would be evaluated by itself.
    """
    alike: dict[Any, list[Group]] = {}
    for at, group in enumerate(groups):
        alike.setdefault(_kind_of(group) or at, []).append(group)
    return [each[0] if len(each) == 1 else _one(each) for each in alike.values()]


def _kind_of(group: Group) -> tuple[Any, ...] | None:
    """What calls have to share to be joined; None of a group that stays by itself."""
    if len(group.calls) != 1:
        return None
    (call,) = group.calls
    told: list[Any] = [type(call.problem), call.schedule, call.library.name, len(call.menu)]
    for each in fields(call.problem):
        value = getattr(call.problem, each.name)
        if not isinstance(value, (int, float, str, np.ndarray)):
            return None
        told.append(value if isinstance(value, (str, int)) else each.name)
    single = len(call.menu) == 1 and call.touched_bytes is None and isinstance(call.times, int)
    return tuple(told) if single and "tile_warps" not in group.rows[0].columns else None


def _one(groups: Sequence[Group]) -> Group:
    """Groups of one kind as one, its arrays one after the other."""
    first = groups[0].calls[0]
    numbers: dict[str, Any] = {}
    for each in fields(first.problem):
        value = getattr(first.problem, each.name)
        if not isinstance(value, (str, int)):
            parts = [
                np.broadcast_to(
                    np.asarray(getattr(group.calls[0].problem, each.name), np.float64),
                    (len(group.rows),),
                )
                for group in groups
            ]
            numbers[each.name] = np.concatenate(parts)
    call = replace(first, problem=replace(first.problem, **numbers))
    rows = tuple(row for group in groups for row in group.rows)
    measured = np.concatenate([group.measured_s for group in groups])
    return Group(rows, groups[0].cascade, (call,), measured)


def fit(
    family: str,
    prior: Family,
    groups: Sequence[Group],
    hardware: Hardware,
    others: Others,
    keep: Callable[[Row], bool] = lambda row: True,
) -> Fit:
    """Values of the family's free parameters on the rows that `keep` admits."""
    return solve(prior, samples(family, groups, hardware, others), keep)


def solve(
    prior: Family,
    samples: Sequence[Sample],
    keep: Callable[[Row], bool] = lambda row: True,
    pull: float = 0.0,
    starts: int = 1,
) -> Fit:
    """Values of the prior's free parameters on the rows that `keep` admits, started at the prior's.

    Of more `starts` than one the others lie around the prior's values, at up to `AROUND` times or
    parts of them, and the best end is taken: which of two rates bounds a kernel can be hard to see
    from afar.

    With a `pull` a parameter that is e times its prior counts as a row that is so much off, so that
    what few rows do not inform stays. Raises `InputError` where no row is left.
    """
    names = [n for n, p in prior.parameters.items() if p.low < p.high]
    fixed = {n: p.value for n, p in prior.parameters.items() if n not in names}
    low, high = (
        np.array([getattr(prior.parameters[n], e) for n in names]) for e in ("low", "high")
    )
    start = np.array([prior.parameters[n].value for n in names])
    drawn = np.maximum(start, 0.02 * high)
    masks = [np.array([keep(row) for row in sample.rows]) for sample in samples]
    if not any(mask.any() for mask in masks):
        raise InputError("fit: expected one measured row or more, found none; measure this family")

    def valued(x: Array) -> dict[str, float]:
        return fixed | dict(zip(names, map(float, x), strict=True))

    def off(x: Array, predicted: Sequence[Callable[[Mapping[str, float]], Array]]) -> Array:
        values = valued(x)
        parts = [
            np.log(predict(values) / sample.measured_s)[mask]
            for sample, mask, predict in zip(samples, masks, predicted, strict=True)
        ]
        away = pull * np.log(np.maximum(x, 1e-9) / drawn) if pull else np.zeros(0)
        return np.concatenate((*parts, away))

    def residuals(x: Array) -> Array:
        return off(x, [sample.predict for sample in samples])

    def slopes(x: Array) -> Array:
        there = [each.held(valued(x)) if each.held else each.predict for each in samples]
        here = off(x, there)
        steps = STEP * np.maximum(np.abs(x), LEAST_STEP * (high - low))
        steps = np.where(x + steps > high, -steps, steps)
        moved = x + np.diag(steps)
        each = [(off(to, there) - here) / by for to, by in zip(moved, steps, strict=True)]
        return np.stack(each, axis=1)

    def descended(begin: Array) -> Any:
        return cast(Any, optimize).least_squares(
            residuals,
            np.clip(begin, low + AT_BOUND * (high - low), high - AT_BOUND * (high - low)),
            bounds=(low, high),
            loss="soft_l1",
            f_scale=LOSS_SCALE,
            jac=slopes,
            x_scale=np.maximum(np.abs(start), 0.1 * (high - low)),
            max_nfev=60,
        )

    draw = np.random.default_rng(0)
    others = [drawn * AROUND ** draw.uniform(-1, 1, len(names)) for _ in range(starts - 1)]
    answer: Any = min((descended(begin) for begin in (start, *others)), key=lambda end: end.cost)
    errors = np.abs(np.expm1(answer.fun[: len(answer.fun) - (len(names) if pull else 0)]))
    values = fixed | dict(zip(names, map(float, answer.x), strict=True))
    return Fit(
        values, dict(zip(names, _standard_errors(answer), strict=True)), float(errors.mean())
    )


def left_out(prior: Family, samples: Sequence[Sample], pull: float = 0.0, starts: int = 1) -> Array:
    """measured/predicted of every row, in order, from parameters that did not see its fold.

    A fold without rows, or with all of them, is passed over; its rows have no ratio (NaN).
    """
    folds = [np.array([fold_of(row) for row in sample.rows]) for sample in samples]
    ratios = [np.full(len(sample.rows), np.nan) for sample in samples]
    for fold in range(FOLDS):
        here = np.concatenate([each == fold for each in folds])
        if here.any() and not here.all():
            seen = solve(prior, samples, lambda row, fold=fold: fold_of(row) != fold, pull, starts)
            for sample, each, mine in zip(samples, folds, ratios, strict=True):
                whole = sample.measured_s / sample.predict(seen.values)
                mine[each == fold] = whole[each == fold]
    found = np.concatenate(ratios)
    if np.isnan(found).all():
        raise InputError("fit: expected rows of two folds or more, found one; measure more shapes")
    return found


def _standard_errors(answer: Any) -> list[float]:
    jacobian: Array = answer.jac
    rows, columns = jacobian.shape
    spread = 2 * float(answer.cost) / max(1, rows - columns)
    covariance = np.linalg.pinv(jacobian.T @ jacobian) * spread
    return [float(np.sqrt(max(v, 0.0))) for v in np.diag(covariance)]


def as_left_out(ratios: Array, free: int) -> Array:
    """measured/predicted of rows that `free` parameters were fitted to, as if they were not.

    Residuals of least squares are narrower than errors by the root of 1 - parameters/rows.

    >>> as_left_out(np.array([1.21, 1.0, 1.0, 1.0]), 3)[0].round(2)  # 1.21 ** 2
    np.float64(1.46)
    """
    spread = np.sqrt(len(ratios) / max(1, len(ratios) - free))
    return np.exp(np.log(ratios) * spread)


def interval(ratios: Array, coverage: float = COVERAGE) -> tuple[float, float]:
    """(low, high) multiples of the prediction that hold `coverage` of measured/predicted.

    Order statistics with the finite-sample correction of split conformal prediction (Vovk 2005):
    the k-th of n, k = ceil((n + 1)(1 - tail)).
    """
    ordered = np.sort(ratios)
    n = len(ordered)
    tail = (1 - coverage) / 2
    upper = min(n - 1, int(np.ceil((n + 1) * (1 - tail))) - 1)
    return float(ordered[n - 1 - upper]), float(ordered[upper])


@dataclass(frozen=True, eq=False)
class Spread:
    """Rows, how far their measurements lie from predictions, and their regimes."""

    ratios: Array
    """Measured over predicted; NaN where it is not known."""
    rows: Sequence[Row]
    regimes: Sequence[str] = ()


def regime_intervals(judged: Spread, more: Spread | None = None) -> dict[str, tuple[float, float]]:
    """Intervals by regime, of each number format and of all, where there are rows enough.

    Where those `judged` are too few for one regime in all formats, `more` rows are taken to it.
    """
    found: dict[str, tuple[float, float]] = {}
    for regime in sorted({*judged.regimes, *(more.regimes if more else ())} - {""}):
        ratios, dtypes = _within(judged, regime)
        if len(ratios) < LEAST_IN_REGIME and more is not None:
            further, others = _within(more, regime)
            ratios, dtypes = np.concatenate((ratios, further)), (*dtypes, *others)
        of = np.array(dtypes)
        several = np.unique(of) if len(set(dtypes)) > 1 else ()
        for name in ("", *several):
            mine = ratios[of == name] if name else ratios
            if len(mine) >= LEAST_IN_REGIME:
                found[apart(str(name), regime)] = _rounded(interval(mine))
    return found


def _within(spread: Spread, regime: str) -> tuple[Array, tuple[str, ...]]:
    """Ratios and number formats of the rows of one regime."""
    known = (np.array(spread.regimes) == regime) & ~np.isnan(spread.ratios)
    dtypes = (str(row.columns.get("dtype", "")) for row in spread.rows)
    return spread.ratios[known], tuple(d for d, here in zip(dtypes, known, strict=True) if here)


def fitted_family(
    prior: Family,
    found: Fit,
    ratios: Array,
    rows: Sequence[Row],
    regimes: Mapping[str, tuple[float, float]] | None = None,
) -> Family:
    """The calibration entry of a fitted family; `regimes` are further intervals, by key."""
    parameters: dict[str, Parameter] = {}
    for name, parameter in prior.parameters.items():
        error = found.standard_errors.get(name)
        parameters[name] = parameter.but(
            value=float(f"{found.values[name]:.5g}"),
            standard_error=None if error is None else float(f"{error:.2g}"),
        )
    known = ~np.isnan(ratios)
    dtypes = np.array([str(row.columns.get("dtype", "")) for row in rows])
    formats = {
        str(dtype): _rounded(interval(ratios[known & (dtypes == dtype)]))
        for dtype in np.unique(dtypes)
        if np.sum(known & (dtypes == dtype)) >= LEAST_APART
    }
    return prior.but(
        parameters=parameters,
        interval=_rounded(interval(ratios[known])),
        origin="measured",
        rows=len(rows),
    ).model_copy(update={"intervals": (formats if len(formats) > 1 else {}) | dict(regimes or {})})


def _rounded(ends: tuple[float, float]) -> tuple[float, float]:
    return float(f"{ends[0]:.4g}"), float(f"{ends[1]:.4g}")
