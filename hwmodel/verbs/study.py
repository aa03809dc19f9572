"""Studies: sweeps written down, as a YAML file of a case and its axes.

    case: {workload: llm, config: llama-3.1-8b, phase: decode, context: 8192}
    axes:
      batch: {log: [1, 256], points: 32}
      on: [h200, b200]
      on.hbm.bandwidth: {linear: [2 TB/s, 20 TB/s], points: 100}
    where: [batch * 8192 < 4e6]
    keep: [time_s, energy_j, tokens_per_s]

`case` has the fields of `hwmodel.verbs.request`, and a `verb` (default predict). An axis is one of
those fields, or a number of the device under `on.`, by the names that `Hardware.but` takes; its
values are a list, or a range: `linear` (evenly spaced) or `log` (by the logarithm), each with
`points`, and of sizes rounded to whole numbers without repeats; `{together: {N: [...], K: [...]}}`
sets several side by side. On arrays each point is a search of its own (`time_limit_s`).
`where`, `keep`, `samples`, `seed` and `chunk` are those of `hw.sweep`.
"""

import json
import os
from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np

from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import HwmodelError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.ranges import Quantities, linspace, logspace, quantities
from hwmodel.quantity.units import LARGEST_BITS
from hwmodel.quantity.yaml import lines as lines_of
from hwmodel.sweeps.axes import Each, Together
from hwmodel.sweeps.plan import CHUNK, Plan, planned
from hwmodel.verbs.ask import question
from hwmodel.verbs.request import fields_of, machine_for, named, read
from hwmodel.verbs.work import OfWork

FIELDS = ("case", "axes", "where", "keep", "samples", "seed", "chunk")
RANGES = {"linear": linspace, "log": logspace}
DEVICE = "on."
"""Before the path of a number of the device."""


@dataclass(frozen=True)
class Case:
    """The function of a study: the values of a point, put into the case, and answered."""

    fields: str
    """The fields of the case, as JSON text."""
    paths: tuple[tuple[str, str], ...] = ()
    """Names of axes that are numbers of the device, with their paths."""

    def __call__(self, **point: Any) -> Any:
        """Raises as the verb does."""
        changes = {path: point.pop(name) for name, path in self.paths if name in point}
        given: dict[str, Any] = {**json.loads(self.fields), **point}
        known = fields_of(named(given))
        sizes = {n: v for n, v in given.items() if n in known and known[n].size}
        words = {n: v for n, v in given.items() if n not in sizes and v is not None}
        # A file that a word names may be written anew at any time: nothing is kept by its path.
        files = any(isinstance(word, str) and os.path.exists(word) for word in words.values())
        prepare = _prepared.__wrapped__ if files else _prepared
        run, on = prepare(json.dumps(words, sort_keys=True))
        return run(sizes, _changed(on, changes))


@lru_cache(maxsize=64)
def _prepared(words: str) -> tuple[Any, Hardware]:
    """A function of sizes and a device, and the device."""
    fixed: dict[str, Any] = json.loads(words)
    asked, work = _question(fixed)
    work["workload"] = named(work)
    return asked.over(work), machine_for(work)


def _question(case: Mapping[str, Any]) -> tuple[OfWork, dict[str, Any]]:
    """The question that a case asks of its verb, and the fields that describe its work."""
    work = dict(case)
    kind = question(work.pop("verb", "predict"))
    if not issubclass(kind, OfWork):
        raise InputError(f"verb: expected one about a workload on a device, found {kind.verb!r}")
    own = {name: work.pop(name) for name in kind.own() if name in work}
    return kind.read({**work, **own}), work


def _changed(on: Hardware, changes: Mapping[str, Any]) -> Hardware:
    """The device with other numbers, each by its path."""
    nested: dict[str, Any] = {}
    for path, value in changes.items():
        *steps, last = path.split(".")
        place = nested
        for step in steps:
            place = place.setdefault(step, {})
        place[last] = value
    return on.but(**nested) if nested else on


def study(path: str | Path, *, chunk: int | None = None) -> Plan:
    """Read a study; `InputError` names the file, the line and the field at fault."""
    file = Path(path)
    given, lines = lines_of(file)

    def at(*names: str) -> str:
        line = f", line {lines[names]}" if names in lines else ""
        return f"{file}{line}: {'.'.join(names)}"

    if not isinstance(given, dict):
        raise InputError(f"{file}: expected a table with {', '.join(FIELDS)}, found {given!r}")
    told = cast(dict[str, Any], given)
    for name in told:
        if name not in FIELDS:
            raise InputError(f"{at(name)}: {UnknownNameError('field of a study', name, FIELDS)}")
    case, asked = (_table(told.get(name), at(name)) for name in ("case", "axes"))
    with _placed(at("case")):
        _, work = _question(case)
        known = fields_of(str(named(work)))
    axes: dict[str, Any] = {}
    paths: dict[str, str] = {}
    one_by_one = _searched(case, asked)
    for name, values in asked.items():
        with _placed(at("axes", name)):
            key = name.removeprefix(DEVICE).replace(".", "_")
            if name.startswith(DEVICE):
                paths[key] = name.removeprefix(DEVICE)
            elif not _is_together(values) and name not in known:
                raise UnknownNameError("field to vary", name, (*known, f"{DEVICE}<number>"))
            elif name in case:
                raise InputError(f"stands in the case too, found {case[name]!r}")
            sizes = frozenset(each for each in known if known[each].size)
            axes[key] = _values(name, values, sizes, one_by_one)
            ranged = axes[key].values if isinstance(axes[key], Each) else None
            if key in paths and isinstance(ranged, Quantities) and ranged.dimension:
                paths[key] += f"_{ranged.dimension}"  # plain numbers from here on
    function = Case(json.dumps(case, sort_keys=True), tuple(paths.items()))
    _try(function, case, asked, at)
    with _placed(str(file)):
        return planned(
            function,
            axes,
            where=_texts(told, "where"),
            keep=_texts(told, "keep"),
            samples=told.get("samples"),
            seed=told.get("seed") or 0,
            chunk=next((n for n in (chunk, told.get("chunk")) if n is not None), CHUNK),
        )


@contextmanager
def _placed(where: str) -> Generator[None, None, None]:
    """Refusals inside are said to be at `where`."""
    try:
        yield
    except HwmodelError as error:
        raise InputError(f"{where}: {error}") from None


def _table(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise InputError(f"{where}: expected a table, found {value!r}")
    return {str(name): item for name, item in cast(dict[Any, Any], value).items()}


def _texts(told: Mapping[str, Any], name: str) -> list[str]:
    value = told.get(name, [])
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(t, str) for t in cast(list[Any], texts)):
        raise InputError(f"{name}: expected a list of texts, found {value!r}")
    return cast(list[str], texts)


def _searched(case: Mapping[str, Any], axes: Mapping[str, Any]) -> bool:
    """Whether each point is a search of its own, so that points are asked one by one."""
    every: Any = axes.get("on", [case.get("on")])
    for name in cast(list[Any], every) if isinstance(every, list) else [every]:
        try:
            machine = device(str(name))
        except HwmodelError:  # told where the case is read
            continue
        if machine.kind == "spatial" and not machine.binding:
            return True
    return case.get("verb") == "map"


def _is_together(values: Any) -> bool:
    return isinstance(values, dict) and "together" in values


def _values(name: str, values: Any, sizes: Collection[str], one_by_one: bool) -> Any:
    """The values of an axis: a list, a range, or several side by side."""
    walked = one_by_one or (not name.startswith(DEVICE) and name not in sizes)
    if _is_together(values):
        columns = _table(values["together"], "together")
        for each in columns:
            if each.startswith(DEVICE):
                raise InputError(f"together: expected fields, found {each}; give it an axis")
        return Together(
            {each: _values(each, items, sizes, one_by_one) for each, items in columns.items()}
        )
    if isinstance(values, dict):
        found = _range(cast(dict[str, Any], values), whole=name in sizes)
        if not one_by_one:
            return found
        return Each([int(each) for each in found] if name in sizes else found)
    if not isinstance(values, list) or not values:
        raise InputError(f"expected a list of values, or a range, found {values!r}")
    items = [_number(item) for item in cast(list[Any], values)]
    if walked:
        return Each(items)
    if all(isinstance(item, str) for item in items):
        return quantities(items)
    for item in items:
        if isinstance(item, bool) or not isinstance(item, (int, float)):
            raise InputError(f"expected numbers, or texts with units, found {shown(item)}")
    if any(isinstance(item, int) and item.bit_length() > LARGEST_BITS for item in items):
        raise InputError("expected numbers of at most 1.8e308, found a larger one")
    return np.array(items, dtype=np.float64)


def _range(given: Mapping[str, Any], *, whole: bool) -> Any:
    kinds = [name for name in given if name in RANGES]
    ends = given[kinds[0]] if len(kinds) == 1 else None
    odd = [name for name in given if name not in (*RANGES, "points")]
    if odd or not isinstance(ends, list) or len(cast(list[Any], ends)) != 2:
        raise InputError(
            "expected {linear: [first, last], points: n} or {log: [first, last], points: n}, found"
            f" {dict(given)!r}"
        )
    if "points" not in given:
        raise InputError(f"expected points, how many values, found none in {dict(given)!r}")
    first, last = (_number(end) for end in cast(list[Any], ends))
    whole = whole and not isinstance(first, str)
    if kinds[0] == "log":
        return logspace(first, last, given["points"], whole=whole)
    spread = linspace(first, last, given["points"])
    return np.unique(np.round(spread)) if whole else spread


def _number(value: Any) -> Any:
    """1e6, which YAML takes for a text, as the number that it is."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _try(function: Case, case: Mapping[str, Any], axes: Mapping[str, Any], at: Any) -> None:
    """Check fields, names and units on single points: each value of a walked axis, firsts else."""
    firsts: dict[str, Any] = {}
    others: list[tuple[str, str, Any]] = []
    for name, values in axes.items():
        columns = values["together"] if _is_together(values) else {name: values}
        for column, items in columns.items():
            kind = next((k for k in RANGES if isinstance(items, dict) and k in items), None)
            listed: list[Any] = [cast(Any, items)[kind][0]] if kind else cast(list[Any], items)
            firsts[column] = _number(listed[0])
            later = (_number(item) for item in listed[1:])
            others += [(name, column, item) for item in later if isinstance(item, str)]
    numbers = {n: v for n, v in firsts.items() if n.startswith(DEVICE)}
    fields = {n: v for n, v in firsts.items() if n not in numbers}
    with _placed(at("case")):
        on = machine_for(read(_question({**case, **fields})[1]).fixed)
    for name, value in numbers.items():
        with _placed(at("axes", name)):
            _changed(on, {name.removeprefix(DEVICE): value})
    for name, column, item in others:
        if not column.startswith(DEVICE):
            with _placed(at("axes", name)):
                read(_question({**case, **fields, column: item})[1])
                _named(function, {**fields, column: item})


def _named(function: Case, point: Mapping[str, Any]) -> None:
    """Raise where a name is unknown; other refusals are answers of their rows."""
    try:
        function(**point)
    except UnknownNameError:
        raise
    except HwmodelError:
        return
