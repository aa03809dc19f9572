"""A request in plain words: named fields in, checked, and answered by the verbs.

The command line and files of cases describe work by the same fields, which are the arguments of the
workload's function:

    workload   fields, * those needed                                            and
    gemm       M* N* K* dtype batch out_dtype weight_dtype bias scales           on* kernel
    conv2d     batch* channels* filters* height* width* window* stride padding on* kernel
    attention  batch* heads* queries* keys* head_dim* kv_heads causal window ... on* kernel
    collective op* bytes* ranks*                                                 on*
    llm        config* phase* batch* context* or prompt* ... ignore_keys tp pp   on* kernel
               dp ep etp cp sp as_ part cached; mixed: both, and prompts
    (none)     einsum or cascade, ranks dtype                                    on* kernel

`scales` is short for formats and kernels of fp8 (`scales.py`). `"l2": "warm"` is of a kernel's
work that is repeated on the same activations (default: cold); `memory` gives memories of the device
other capacities, `topology` what joins devices: a name, a file or a table; `parallel` how a model
is divided over as many of the device, a table such as `{"tp": 8, "pp": 2}` (of llm its degrees are
fields too); `engine` what runs whole models. Sizes are numbers; requests that differ in sizes only
have the same `form` and are answered together, in one vectorised call, by `answerer`.
"""

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, cast, get_origin

import numpy as np

from hwmodel.einsum.division import SAID, Division
from hwmodel.einsum.workloads.asked import asked_of
from hwmodel.einsum.workloads.catalogue import WORKLOADS
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import Workload, predict, topology_of
from hwmodel.machines.run import COLD
from hwmodel.network.topology import Topology
from hwmodel.quantity.checked import either
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.units import Amount, amount
from hwmodel.spine.estimate import Estimate
from hwmodel.spine.execution import forward
from hwmodel.verbs import scales
from hwmodel.verbs.einsums import cascade_of, default_machine, memories, resized

LARGEST = 2**53
"""The largest size accepted: beyond it a float64, hence an array of sizes, is no longer exact."""

_KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "true or false"),
    str: ((str,), "a name"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
}
"""Annotation of an argument -> types that JSON may give it, and what they are called."""

EINSUM = "einsum"
"""What errors call a workload that is given as Einsums."""

_RUN = (
    *("on", "kernel", "memory", "parallel", "topology", "engine", "l2", "offload"),
    "time_limit_s",
)
"""Fields that say where and how a workload runs."""


@dataclass(frozen=True)
class Field:
    """One field of a request: whether it is a size, must be given, takes whole numbers alone."""

    size: bool = False
    needed: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Request:
    """A checked request: `form` is all but the sizes, as JSON text; `sizes` are numbers by name."""

    form: str
    sizes: Mapping[str, int]

    @property
    def fixed(self) -> dict[str, Any]:
        """The fields that are no sizes."""
        return json.loads(self.form)


def named(given: Mapping[str, Any]) -> Any:
    """The workload of these fields; Einsums and cascades of users are `EINSUM`."""
    loose = given.get("einsum") is not None or given.get("cascade") is not None
    return EINSUM if loose and given.get("workload") is None else given.get("workload")


def workloads() -> tuple[str, ...]:
    """Every name that `workload` may have."""
    return tuple(sorted(WORKLOADS))


@cache
def fields_of(workload: str) -> Mapping[str, Field]:
    """The fields that a workload takes; raises `UnknownNameError`."""
    run = {"on": Field(needed=True), **{name: Field() for name in _RUN[1:]}}
    if workload == EINSUM:
        own = {name: Field() for name in ("einsum", "cascade", "ranks", "dtype")}
        return {**own, **run, "on": Field()}
    if workload not in WORKLOADS:
        raise UnknownNameError("workload", workload, workloads())
    parameters = inspect.signature(WORKLOADS[workload]).parameters.values()
    empty = inspect.Parameter.empty
    own = {
        p.name: Field(_is_size(p.annotation), p.default is empty, _is_whole(p.annotation))
        for p in parameters
        if p.name != "name"
    }
    folded = {"scales": Field()} if workload in scales.SCALED else {}
    degrees = {name: Field() for name in SAID} if "parallel" in own else {}
    return {**own, **folded, **degrees, **run}


@cache
def divides_itself(workload: str) -> frozenset[str]:
    """Words of a division that a workload's function reads by itself; with `parallel` it has none.

    Its devices, and replicas where they are not said, are then its own to count.
    """
    made = WORKLOADS.get(workload)
    taken = frozenset(inspect.signature(made).parameters if made else ())
    return frozenset() if "parallel" in taken else taken & frozenset(SAID)


def _is_size(annotation: Any) -> bool:
    """Whether an argument is a count that may be an array, as `Amount` may; a `Share` is none."""
    return set(either(Amount)) <= set(either(annotation))


def _is_whole(annotation: Any) -> bool:
    """Whether a number in an argument is a whole one: tables of numbers have 8.0 for 8."""
    return int in either(annotation) and float not in either(annotation)


def read(given: Mapping[str, Any]) -> Request:
    """Check the names, kinds and signs of a request's fields; `InputError` names the field."""
    workload = named(given)
    if not isinstance(workload, str):
        found = "none" if workload is None else shown(workload)
        raise InputError(f"workload: expected one of {', '.join(workloads())}, found {found}")
    known, own = fields_of(workload), divides_itself(workload)
    given = scales.unfolded(workload, given)
    sizes: dict[str, int] = {}
    form: dict[str, Any] = {"workload": workload}
    for name, value in given.items():
        field = known.get(name)
        if name == "workload" or (value is None and field is not None):
            continue
        if name == "l2" and value == COLD:
            continue  # as all are that say nothing
        if field is None:
            raise InputError(f"{workload}: {UnknownNameError('field', name, known)}")
        if field.size:
            naught = value == 0 and name in asked_of(workload).naught
            sizes[name] = 0 if naught else _size(value, name, f"{workload}: {name}")
        else:
            form[name] = _libraries(value) if name == "kernel" else _plain(value, field)
    for name, field in known.items():
        if field.needed and name not in sizes and name not in form:
            raise InputError(f"{workload}: expected the field {name!r}, found none")
    degrees = {name: form.pop(name) for name in SAID if name in form and name not in own}
    if "parallel" in form and degrees:
        name, value = next(iter(degrees.items()))
        told = f"given twice, as {name}={shown(value)} and in parallel; leave {name} out"
        raise InputError(f"{workload}: {name}: {told}")
    if degrees:
        Division.of(degrees, where=workload)  # refuses what does not go together
        form["parallel"] = degrees
    asks = asked_of(workload)
    asks.check(form, sizes)
    form |= asks.apart(sizes)
    if "topology" in form and "ranks" in sizes:  # each has a schedule of messages of its own
        form["ranks"] = sizes["ranks"]
    form["sizes"] = sorted(sizes)
    try:
        return Request(json.dumps(form, sort_keys=True), sizes)
    except TypeError:
        raise InputError(_no_words(workload, form)) from None


def _no_words(workload: str, form: Mapping[str, Any]) -> str:
    """What is said of a field that is a value of Python's among words."""
    for name, value in form.items():
        try:
            json.dumps(value)
        except TypeError:
            return (
                f"{workload}: {name}: expected words (a name, a path, a table), found"
                f" {type(value).__name__}; it goes with a workload that is a value too, such as"
                " hw.workloads.gemm(...)"
            )
    return f"{workload}: expected words, found a value"


def _libraries(kernel: Any) -> Any:
    """`attention=cudnn,gemm=cublas` as a table of libraries by family; a name as it is."""
    if isinstance(kernel, str) and "=" in kernel:
        return pairs(kernel, "--kernel")
    return kernel


def _plain(value: Any, field: Field) -> Any:
    """A value as it is; 8.0 as 8 where numbers are whole, as tables with empty cells have it."""
    return int(value) if field.whole and type(value) is float and value.is_integer() else value


def _size(value: Any, name: str, where: str) -> int:
    if type(value) is int and 0 < value <= LARGEST:
        return value
    if type(value) in (list, dict):
        raise InputError(f"{where}: expected one number, found {shown(value)}")
    if type(value) is int and value > LARGEST:  # amount() would turn it into a float
        raise InputError(f"{where}: expected at most 2**53, found {shown(value)}")
    size = amount(value, "bytes" if name == "bytes" else None, where=where, whole=True)
    if isinstance(size, np.ndarray) or size > LARGEST:
        raise InputError(f"{where}: expected at most 2**53, found {size:.4g}")
    return int(size)


def answerer(form: str) -> Callable[[Mapping[str, Amount]], Estimate]:
    """A function from sizes (numbers or arrays) to the estimate, for requests of one form."""
    fixed: dict[str, Any] = json.loads(form)
    on, run = machine_for(fixed), predicted(fixed)
    return lambda sizes: run(sizes, on)


def predicted(fixed: Mapping[str, Any]) -> Callable[[Mapping[str, Amount], Hardware], Estimate]:
    """A function from sizes and a device to the estimate, for the rest of a request."""
    workload, network = fixed["workload"], network_of(fixed)
    away = fixed.get("offload")
    apart = ("offload", "time_limit_s")
    own = {name: value for name, value in without_run(fixed).items() if name not in apart}
    build, kernel, engine = builder(own), fixed.get("kernel"), fixed.get("engine")
    if away is not None:
        away = pairs(away, f"{workload}: offload")
    if kernel is not None and not isinstance(kernel, (str, dict)):
        told = "expected a name, or a table of names by family"
        raise InputError(f"{workload}: kernel: {told}, found {shown(cast(object, kernel))}")
    if engine is not None and not isinstance(engine, str):
        raise InputError(f"{workload}: engine: expected a name, found {shown(engine)}")
    runs: dict[str, Any] = {"kernel": kernel, "topology": network, "engine": engine}
    runs |= {"parallel": fixed.get("parallel"), "l2": fixed.get("l2"), "offload": away}
    if fixed.get("time_limit_s") is not None:
        runs["time_limit_s"] = amount(
            fixed["time_limit_s"], "s", where=f"{workload}: time_limit_s", zero=True
        )
    return lambda sizes, on: predict(build(sizes), on, **runs)


def without_run(fixed: Mapping[str, Any]) -> dict[str, Any]:
    """A request's fields but for the engine and the L2's state, for verbs that answer for them."""
    return {name: value for name, value in fixed.items() if name not in ("engine", "l2")}


def network_of(fixed: Mapping[str, Any]) -> Topology | None:
    """What joins the devices of a request, where it says so."""
    named = fixed.get("topology")
    if named is not None and not isinstance(named, (str, dict)):
        told = "topology: expected a name, a path or a table"
        raise InputError(f"{fixed['workload']}: {told}, found {shown(named)}")
    return topology_of(cast(Any, named))


def machine(on: Any, parallel: Any = None) -> Hardware:
    """The device `on`, a name or path; as many of it as is said, or as `parallel` needs."""
    if not isinstance(on, str):
        raise InputError(f"on: expected the name of a device or a path, found {shown(on)}")
    found = device(on)
    said = parallel is None or found.devices > 1  # "h200 * 8" says how many there are
    return found if said else found * forward(parallel).devices


def ways_of(fields: Mapping[str, Any]) -> Any:
    """How a model is divided, by its degrees as fields, or by one table; None: not said.

    What a workload's function reads by itself is none of it.
    """
    own = divides_itself(str(fields.get("workload")))
    said = (name for name in SAID if name not in own)
    degrees = {name: fields[name] for name in said if fields.get(name) is not None}
    return degrees or fields.get("parallel")


def machine_for(fixed: Mapping[str, Any]) -> Hardware:
    """The device of a request, with the memories that it changes; of Einsums there is a default."""
    _, sizes = memories(fixed.get("memory"))
    if fixed.get("on") is None and fixed["workload"] == EINSUM:
        return default_machine(sizes)
    return resized(machine(fixed["on"], ways_of(fixed)), sizes)


def asked(fields: Mapping[str, Any]) -> tuple[Workload, Hardware, str | None]:
    """The workload, the machine and the kernel that a request's fields mean."""
    request = read(fields)
    work = builder(request.fixed)(request.sizes)
    return work, machine_for(request.fixed), request.fixed.get("kernel")


def builder(fixed: Mapping[str, Any]) -> Callable[[Mapping[str, Amount]], Workload]:
    """A function from sizes to the workload, for fields that hold the rest of a request."""
    workload = fixed["workload"]
    if fixed.get("engine") is not None:
        raise InputError(
            f"{workload}: engine: predict, bound, explain, sensitivity, compare, sweep and cases"
            " answer for an engine; leave it out here, for the plain stack"
        )
    if "l2" in fixed:
        raise InputError(
            f"{workload}: l2: predict, compare, sweep and cases answer for a warm one; leave it out"
            " here, for a cold one"
        )
    if fixed.get("offload") is not None:
        raise InputError(
            f"{workload}: offload: predict and cases answer for what streams; leave it out here"
        )
    if fixed.get("time_limit_s") is not None:
        raise InputError(
            f"{workload}: time_limit_s: predict, map, sweep and cases search; leave it out here"
        )
    if workload == EINSUM:
        cascade = cascade_of(*(fixed.get(n) for n in ("einsum", "cascade", "ranks", "dtype")))
        return lambda sizes: cascade
    _check_kinds(workload, fixed)
    maker = asked_of(workload).maker
    if maker is not None:
        return maker(fixed)
    function = WORKLOADS[workload]
    known = fields_of(workload)
    others = {k: v for k, v in fixed.items() if k in known and k not in _RUN}
    return lambda sizes: function(**{**others, **sizes})


def _check_kinds(workload: str, fixed: Mapping[str, Any]) -> None:
    """A field must have the kind that the workload's function declares for it."""
    parameters = inspect.signature(WORKLOADS[workload]).parameters
    for name, value in fixed.items():
        annotation = parameters[name].annotation if name in parameters else None
        allowed = either(annotation)
        kinds = [_KINDS[each] for each in allowed if each in _KINDS]
        if name == "config" and not isinstance(value, (str, dict)):
            found = shown(value)
            raise InputError(f"{workload}: config: expected a path or an object, found {found}")
        several = any(get_origin(k) in (Sequence, Mapping) for k in allowed)
        if not kinds or several or name == "config":
            continue  # the workload's function checks what may be a list or a table
        types = tuple(each for types, _ in kinds for each in types)
        called = " or ".join(called for _, called in kinds)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise InputError(
                f"{workload}: {name}: expected {called}, found {shown(cast(object, value))}"
            )
