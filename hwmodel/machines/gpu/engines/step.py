"""One step of an engine: what it runs for a model's phase, and what its host adds.

Steps are of a loop that goes on, so that kernels run in the sustained state, and `time_s` is the
wall's: kernels, and what of the host's work they do not hide, as a part of its own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack, Workload
from hwmodel.einsum.workloads.precision import WITHOUT_NARROWING
from hwmodel.hardware.calibration import HOST
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.engines.brought import brought
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.engines.kept import longest_bytes
from hwmodel.machines.gpu.engines.settled import Loads, settled
from hwmodel.machines.gpu.libraries.library import AMD, Kernel, Library
from hwmodel.machines.gpu.libraries.shipped import parsed
from hwmodel.quantity.arithmetic import ceil_div, floor_div, least, most, where
from hwmodel.quantity.dtypes import base_of, bytes_of
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Work
from hwmodel.spine.estimate import Part
from hwmodel.spine.memory import MemoryFit

ATTENDS = "attention.scores"
"""The role of attention itself."""

ROUTES = "mixture.router"
"""The role of what chooses experts, once in each mixture."""

LONE = ("one call among many", "90 % interval")
"""Beginnings of what is assumed of kernels that no engine runs."""


@dataclass(frozen=True, eq=False)
class Step:
    """A phase of a model on an engine: its stages, and what the host's work depends on.

    `phase` names the steps that its interval is of; `requests` are sequences, `layers` those that
    attend; one that is not `scheduled` is a run within another's step; experts are `gathered` where
    Triton's gathered products run them; a pipeline has `stages`.
    """

    engine: Engine
    workload: Stack
    phase: str
    requests: Amount
    tokens: Amount
    layers: Amount
    kernels: Amount
    mixtures: Amount
    widest_bytes: Amount
    longest_bytes: Amount
    scheduled: bool = True
    gathered: bool = False
    stages: int = 1


def step_of(
    workload: Workload,
    machine: Hardware,
    engine: Engine,
    fitted: Callable[[Workload], Workload] = lambda work: work,
) -> Step:
    """What `engine` runs for a phase of a model, one device's share of it.

    `fitted` makes of a workload what the machine's formats allow. Raises `InputError` for what is
    no phase of a model, `CoverageError` off GPUs.
    """
    if machine.kind != "gpu":
        raise CoverageError(f"engine {engine.name}: runs on GPUs; {machine.name} is none")
    said = elsewhere(engine, machine)
    if said:
        engine = engine.but(kernel={}, reduces=None)
    origin = workload.origin
    if not isinstance(workload, Stack) or workload.served is None or origin is None:
        raise InputError(
            f"engine {engine.name}: expected a phase of a model, such as"
            f" hw.model(...).decode(batch=1, context=2048), found {workload.name!r}"
        )
    if not engine.eager and not np.all(workload.served.kv_bytes_per_token):
        raise CoverageError(
            f"engine {engine.name}: {workload.name}: keeps no cache, as an encoder; it is predicted"
            " without an engine, its kernels as torch runs them"
        )
    requests, tokens = workload.served.sequences, workload.served.rows
    ways = workload.served.ways
    engine = engine.on(machine, ways).reaching(requests)
    if engine.dispatch is not None and ways.ep > 1 and ways.dispatch == "all-to-all":
        workload = workload.but(parallel=ways.but(dispatch=engine.dispatch))
        said += (
            f"engine {engine.name}: rows go to experts by dispatch={engine.dispatch}, its own way,"
            " where all-to-all is asked for or nothing is said",
        )
    workload = _narrowed(workload, engine)
    phase, batch = origin.arguments["phase"], origin.arguments["batch"]
    able = fitted(workload)
    found = able.stages
    if phase != "prefill" and np.all(batch):
        each = tokens // requests if phase == "decode" else 1  # more where drafts are verified
        spare = ceil_div(engine.graphs.padded(tokens) - tokens, each)
        padded = fitted(workload.but(**_padded(workload, spare))).stages
        pairs = zip(found, padded, strict=True)
        found = tuple(own if own.role in engine.alone else wide for own, wide in pairs)
    runs = tuple(_narrow(stage, engine, machine) for stage in engine.stages(found))
    engine, runs = brought(engine, runs, ways, machine.architecture)
    mixtures = sum((stage.times for stage in found if stage.role == ROUTES), start=0)
    told = (text for text in able.warnings if not text.endswith(WITHOUT_NARROWING))
    warnings = (*told, *_beyond(workload, engine), *said)
    return Step(
        engine=engine,
        workload=replace(workload, stages=runs, warnings=warnings),
        phase=phase,
        requests=requests,
        tokens=tokens,
        layers=len({layer for s in found if s.role == ATTENDS for layer in s.layers}),
        kernels=sum(_launched(stage, mixtures, engine) for stage in runs),
        mixtures=mixtures,
        widest_bytes=_widest_bytes(found),
        longest_bytes=longest_bytes(workload, engine.memory),
        gathered=any(_gathered(stage, engine, machine) for stage in runs),
        stages=ways.pp,
    )


def elsewhere(engine: Engine, machine: Hardware) -> tuple[str, ...]:
    """What is told of an engine on GPUs of which its kernels are not known; nothing on others."""
    if machine.architecture not in AMD:
        return ()
    return (
        f"engine {engine.name}: its kernels are known on NVIDIA's GPUs alone: on {machine.name}"
        " those that torch calls stand for them, fused and scheduled as the engine does",
    )


def _gathered(stage: Stage, engine: Engine, machine: Hardware) -> bool:
    """Whether a stage is experts' products that Triton's gathered ones run."""
    return _of_weights(stage, engine.gathers.get(machine.architecture or "", ()))


def _of_weights(stage: Stage, formats: Sequence[str]) -> bool:
    """Whether a stage is a product of experts whose weights are in one of these formats."""
    origin = stage.cascade.origin
    if not formats or origin is None or origin.workload != "grouped_gemm":
        return False
    kind = origin.arguments.get("weight_dtype")
    return kind is not None and base_of(str(kind)) in formats


def _narrow(stage: Stage, engine: Engine, machine: Hardware) -> Stage:
    """The stage with its rows in fp8, where it is a product of experts that the engine runs so."""
    origin = stage.cascade.origin
    if origin is None or not _of_weights(stage, engine.eighths.get(machine.architecture or "", ())):
        return stage
    given = origin.arguments
    left = given.get("out_dtype") or given["dtype"]
    return replace(stage, cascade=stage.cascade.but(dtype="fp8", out_dtype=left))


def _beyond(workload: Stack, engine: Engine) -> Sequence[str]:
    """What of a step the engine, started as it is, would not schedule."""
    served, room = workload.served, engine.memory
    assert served is not None
    asked = (
        ("requests", served.sequences, room.most_sequences, "at a time"),
        ("tokens of context", served.longest, room.longest, "in a request"),
    )
    return [
        f"engine {engine.name}: {np.max(found):,.0f} {what}, where it is started for at most"
        f" {most_:,} {where_}: a step as one that is started for more would run it"
        for what, found, most_, where_ in asked
        if np.max(found) > most_
    ]


def _padded(workload: Stack, spare: Amount) -> dict[str, Any]:
    """Arguments of the step with so many sequences more on each device, in one batch."""
    served, origin = workload.served, workload.origin
    assert served is not None
    assert origin is not None
    ways, batch = served.ways, origin.arguments["batch"]
    if ways.cut:
        wide = ways.but(micro_batch=None, overlap="none")
        return {"batch": (served.sequences + spare) * ways.dp, "tp": 1, "parallel": wide}
    return {"batch": (ceil_div(batch, ways.dp) + spare) * ways.dp}


def _launched(stage: Stage, mixtures: Amount, engine: Engine) -> Amount:
    """Kernels of layers that the host launches for a stage, and to join what devices made of it.

    What runs once a step is none of them.
    """
    times = least((stage.times, mixtures)) if stage.name in engine.together else stage.times
    kernels_ = times + engine.joins * stage.times if stage.collective else times
    return where(np.asarray(times) > 1, kernels_, 0)


def loaded(workload: Workload, engine: Engine | None) -> Workload:
    """A workload as an engine loads it, where one runs it: what is no model's phase as it is."""
    if engine is None or not isinstance(workload, Stack) or workload.served is None:
        return workload
    return _narrowed(workload, engine)


def _narrowed(workload: Stack, engine: Engine) -> Stack:
    """The phase of the model as the engine loads it: formats of a checkpoint that are too wide.

    A format that was asked for stands, but for weights that the engine stores so by a scheme alone.
    """
    origin = workload.origin
    assert origin is not None
    model = origin.arguments["config"]
    stored, asked = model.precision, dict(model.asked)
    scheme = engine.schemes.get(asked.get("weight_dtype", ""))
    if scheme is not None and asked.keys() <= {"weight_dtype", "kv_dtype"}:
        return workload.but(quantise=scheme, weight_dtype=scheme)
    if "dtype" in asked:
        return workload
    parts = {
        "weight_dtype": stored.weight,
        "kv_dtype": stored.kv,
        "activation_dtype": stored.activation,
    }
    changes = {
        part: engine.narrowed[kind] for part, kind in parts.items() if kind in engine.narrowed
    }
    return workload.but(**changes) if changes else workload


def finished(
    step: Step,
    parts: Sequence[Part],
    machine: Hardware,
    costs: Mapping[str, float] | None = None,
) -> tuple[Part, ...]:
    """The parts of a step in the sustained state, and the host's, at other `costs` where given."""
    host = step.engine.costs(machine.calibration)
    values = host.values if costs is None else costs
    interval = host.intervals.get(step.phase, host.interval)
    working_s, outside_s = host_s(step, values)
    hidden_s = _spent(parts) - _spent(_exposed(step, parts))
    slowed = settled(
        parts,
        machine,
        dynamic=values["dynamic"],
        hidden_s=hidden_s,
        host_s=(working_s, outside_s),
    )
    kernels = [replace(part, interval=interval) for part in _exposed(step, slowed)]
    busy_s = _spent(kernels)
    exposed_s = most((working_s - busy_s, 0.0)) + outside_s
    longest = where(working_s > busy_s, working_s, exposed_s)
    waiting_j = machine.power.idle_w * exposed_s
    slow = _of_hosts((busy_s, working_s, outside_s), interval, host.intervals.get(HOST, interval))
    return (
        *kernels,
        Part(
            name=HOST,
            family=step.engine.family,
            times=1,
            counts=Work(),
            time_s=exposed_s,
            sustained_s=exposed_s,
            busy_s={HOST: longest},
            energy_j=waiting_j,
            energy_by_j={"static": waiting_j},
            interval=slow,
            host=True,
        ),
    )


def wall_s(step: Step, loads: Loads, costs: Mapping[str, float]) -> Amount:
    """Seconds of a step by the wall at other `costs`: those of `finished`'s parts, without them."""
    working_s, outside_s = host_s(step, costs)
    hidden_s = sum(loads.spent_s, start=0.0) - _shown_s(step, loads.names, loads.spent_s)
    clock = loads.clock(costs["dynamic"], hidden_s, (working_s, outside_s))
    busy_s = _shown_s(step, loads.names, loads.slowed_s(clock))
    return busy_s + most((working_s - busy_s, 0.0)) + outside_s


def _shown_s(step: Step, names: Sequence[str], spent_s: Sequence[Amount]) -> Amount:
    """Seconds of kernels that none hides; `_exposed` without parts."""
    for aside in step.engine.aside:
        mine, share = aside.shown(names, spent_s)
        spent_s = [s * share if own else s for s, own in zip(spent_s, mine, strict=True)]
    return sum(spent_s, start=0.0)


def _of_hosts(
    seconds: tuple[Amount, Amount, Amount],
    interval: tuple[Amount, Amount],
    hosts: tuple[Amount, Amount],
) -> tuple[Amount, Amount]:
    """Multiples of what the host adds to a step, on a fast host and on a slow one.

    `seconds` are those of kernels, of work beside them and of work that nothing hides; kernels lie
    in `interval`, hosts in `hosts`. A slow host may come out from under kernels that hide the
    middle one, so that its multiple may be large.
    """
    busy_s, working_s, outside_s = seconds
    added_s = most((working_s - busy_s, 0.0)) + outside_s

    def end(kernels_: Amount, host: Amount) -> Amount:
        out_s = most((working_s * host - busy_s * kernels_, 0.0)) + outside_s * host
        some = np.asarray(added_s) > 0
        return where(some, out_s / where(some, added_s, 1.0), host)

    return end(interval[0], hosts[0]), end(interval[1], hosts[1])


def _spent(parts: Sequence[Part]) -> Amount:
    return sum((part.times * part.time_s for part in parts), start=0.0)


def _exposed(step: Step, parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts, those that run beside others as far as these do not hide them."""
    found = tuple(parts)
    for aside in step.engine.aside:
        found = aside.exposed(found)
    return found


def kernels(step: Step, asked: Kernel) -> Callable[[str], Kernel]:
    """Stage -> the libraries that run it; `asked` are a user's, by family.

    Raises `InputError` for a library that is to run everything: that is the engine's business.
    """
    if asked is not None and (isinstance(asked, Library) or not _by_family(asked)):
        name = asked.name if isinstance(asked, Library) else shown(asked)
        raise InputError(
            f"engine {step.engine.name}: expected kernels by family, such as"
            f' {{"attention": "flash-attention-2"}}, found {name}'
        )
    given = parsed(asked) if isinstance(asked, str) else dict(asked or {})
    own: dict[str, str | Library] = {**step.engine.kernel, **given}
    plain = frozenset(step.engine.plain)
    return lambda name: None if name in plain else own


def _by_family(asked: str | Mapping[str, Any]) -> bool:
    return isinstance(asked, Mapping) or "=" in asked


def memory(step: Step, machine: Hardware) -> MemoryFit:
    """Whether the step fits, as the engine sizes its cache, over all devices together.

    Of the memory weights go off, what contexts and workspaces take, and the widest tensors of a
    step of as many tokens as it schedules; whole blocks of the rest hold the cache, but for what is
    no part of its share.
    Its capacity is told for requests of `longest` tokens, of which layers with a window keep no
    more than the window and a step's tokens.
    """
    served, room = step.workload.served, step.engine.memory
    assert served is not None
    devices = served.devices
    whole_bytes = machine.memory("dram").capacity_bytes * devices
    token_bytes = room.held * step.widest_bytes + room.token_bytes
    peak_bytes = devices * (room.fixed_bytes + room.most_tokens * token_bytes)
    rest_bytes = most((whole_bytes - served.weights_bytes - peak_bytes, 0))
    reserve_bytes = (1 - room.share) * (rest_bytes if room.of_rest else whole_bytes)
    free_bytes = most((rest_bytes - reserve_bytes, 0))
    each_bytes = ceil_div(served.context, room.block) * room.block * served.kv_bytes_per_token
    largest = least((floor_div(free_bytes, each_bytes), room.most_sequences))
    cache_bytes = served.batch * each_bytes
    blocks = floor_div(free_bytes * room.longest, step.longest_bytes * room.block)
    total_bytes = served.weights_bytes + cache_bytes + peak_bytes + reserve_bytes
    fits = np.asarray(total_bytes) <= whole_bytes
    return MemoryFit(
        weights_bytes=served.weights_bytes,
        kv_cache_bytes=cache_bytes,
        activations_bytes=peak_bytes,
        reserve_bytes=reserve_bytes,
        total_bytes=total_bytes,
        capacity_bytes=whole_bytes,
        short_by_bytes=most((total_bytes - whole_bytes, 0)),
        largest_batch=largest,
        fits=fits if np.ndim(fits) else bool(fits),
        kv_capacity_tokens=blocks * room.block,
    )


def _widest_bytes(stages: Sequence[Stage]) -> Amount:
    """Bytes for each token of the widest product inside a layer, all its experts together."""
    widths: list[Amount] = [0]
    for stage in stages:
        origin = stage.cascade.origin
        if origin is None or origin.workload not in ("gemm", "grouped_gemm") or stage.times < 2:
            continue
        given = origin.arguments
        kind = str(given.get("out_dtype") or given["dtype"])
        widths.append(given["N"] * given.get("top_k", 1) * bytes_of(kind))
    return most(widths)


def host_s(step: Step, cost: Mapping[str, float]) -> tuple[Amount, Amount]:
    """(seconds that go on beside the GPU, seconds that nothing hides)."""
    graphs, cost = step.engine.graphs, staged(cost, step.stages)
    graphed = graphs.holds(step.tokens)
    mixture = cost["gathered" if step.gathered else "mixture"]
    eager = step.kernels * cost["kernel"] + step.mixtures * mixture
    scheduling = (cost["step"] + step.requests * cost["request"]) if step.scheduled else 0.0
    if step.phase == "decode":
        return where(graphed, scheduling, most((scheduling, eager))), cost["gap"]
    steps = ceil_div(step.tokens, step.engine.memory.most_tokens)
    launching = where(graphed, step.layers * cost["piece"], eager * steps)
    if step.phase == "mixed":  # one thread of the host does both in turn
        return scheduling + launching, cost["gap"]
    return launching, cost["alone"] * steps


def staged(cost: Mapping[str, float], stages: int) -> Mapping[str, float]:
    """The host's costs with those of a step, and of a request, over so many stages of a pipeline.

    Each stage's host works on a batch in its turn, where it has costs of its own for that.
    """
    if stages == 1 or "stage" not in cost:
        return cost
    rest = {name: each for name, each in cost.items() if name != "stage"}
    request = cost["staged"] + stages * cost["active"]
    return {**rest, "step": stages * cost["stage"], "request": stages * request}


def assumed(step: Step, machine: Hardware, kernels_: Sequence[str]) -> tuple[str, ...]:
    """What a step's prediction rests on: the engine, and what its kernels do, but for lone ones."""
    engine = step.engine
    host = engine.costs(machine.calibration).origin.replace("prior", "a prior")
    return (
        f"engine: {engine.title} {engine.version} ({', '.join(engine.flags)})",
        f"a step by the wall in a loop that goes on, sampling included; the host's costs: {host}",
        *(text for text in kernels_ if not text.startswith(LONE)),
        "90 % interval: of steps of this engine and version on boards and hosts of this kind",
    )
