"""A stream of requests on replicas of a device: requests, steps and rules put together.

the requests   drawn or read (`arrivals`)
the steps      seconds and joules of the engine's (`step_times`), in the sustained state
the rules      of its scheduler; without budgets those that vLLM starts with (`scheduler.py`)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from hwmodel.einsum.division import Division
from hwmodel.einsum.workloads.drafts import Drafts
from hwmodel.einsum.workloads.phases import drafted
from hwmodel.einsum.workloads.precision import WITHOUT_NARROWING
from hwmodel.einsum.workloads.serving_stream import Serving
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import machine_of
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.units import amount, counted
from hwmodel.systems.serving import arrivals
from hwmodel.systems.serving.apart import Engines, degrees, ran_apart, shipment
from hwmodel.systems.serving.attended import Attended, attended, check_alone
from hwmodel.systems.serving.batch import StepTimes
from hwmodel.systems.serving.beyond import Beyond, Fetching
from hwmodel.systems.serving.cluster import Ran, run
from hwmodel.systems.serving.drafts import Verifying, drafting, restored, stepped
from hwmodel.systems.serving.ends import at_end, bounded, ends
from hwmodel.systems.serving.generated import frontend_s, generated
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import Scheduler, scheduler, scheduler_of
from hwmodel.systems.serving.served import Served
from hwmodel.systems.serving.shared import split
from hwmodel.systems.serving.step_times import EngineSteps, Largest, served_apart, step_times

SPLIT = "prompts on {:.0%} of each device's processors, tokens on the rest, side by side"
EACH = 10
"""Requests of each client of a closed loop that says neither how many nor how long."""


def predicted(work: Serving, on: Any, **options: Any) -> Served:
    """The stream on as many of a device as its degrees take; `options` are those of `predict`.

    Raises `InputError` for what makes no sense, `CapacityError` for what fits no replica.
    """
    own = machine_of(on)
    if own.kind != "gpu":
        raise CoverageError(f"serving: an engine of streams runs on GPUs; {own.name} is none")
    machine = capped(own, work.power_limit, "serving")
    for name in ("kernel", "l2", *(("offload",) if work.attention is None else ())):
        if options.get(name) is not None:
            raise CoverageError(f"serving: {name}: an engine's own is modelled; leave it out")
    total = work.devices or (machine.devices if machine.devices > 1 else None)
    how = _degrees({**work.parallel, **dict(options.get("parallel") or {})}, total)
    engine = options.get("engine") or "vllm"
    rules = _rules(work, engine, machine)
    requests = requests_of(work, rules)
    drafts = drafted(work.model.name, "serving", work.model.network, work.draft)
    told, later, share = requests, 0.0, 1.0
    if drafts is not None:
        told, later, share = stepped(requests, drafts, work.seed)

    def engines(machine: Hardware, how: Mapping[str, int], rules: Scheduler) -> Engines:
        made = _engines(work, machine, how, rules, requests, options, drafts)
        if drafts is None or not isinstance(made.clock, EngineSteps):
            return made
        one = machine if machine.devices == 1 else machine.but(devices=1)
        clock = drafting(
            made.clock,
            work.model,
            drafts,
            one,
            Division.of(_engine(how)),
            later=later,
            share=share,
            engine=engine,
            topology=options.get("topology"),
        )
        return replace(made, clock=clock)

    check_alone(work)
    part = _share(work)
    pools = {"": engines(machine if part is None else _part(machine, 1 - part), how, rules)}
    if part is not None:
        pools["side"] = engines(_part(machine, part), how, rules)
    elif work.prefill is not None:
        pools = {"prefill ": _prompts(work, own, engine, engines), **pools}

    def again(count: int, end: int | None) -> Served:
        each = pools if end is None else at_end(pools, end)
        ran, assumed = _ran(work, told[:count], each, drafts)
        if drafts is not None:
            ran = restored(ran, requests[:count])
            right = f"drafts: {drafts.tokens:.2f} tokens a step, as said of their acceptance"
            assumed = (*assumed, right)
        return _told(work, ran, {n: pool for n, pool in each.items() if n != "side"}, assumed)

    made = again(len(requests), None)
    return replace(made, ends=ends(made, again, len(requests)) if bounded(pools) else None)


def _ran(
    work: Serving, requests: Sequence[Request], pools: Mapping[str, Engines], drafts: Drafts | None
) -> tuple[Ran, tuple[str, ...]]:
    """What became of the requests in the pools that there are, and what that assumes."""
    tokens = pools[""]
    if "side" in pools:
        return _split(work, requests, pools["side"], tokens), (SPLIT.format(_share(work)),)
    if "prefill " in pools:
        return _apart(work, requests, pools["prefill "], tokens, drafts)
    return _together(work, requests, tokens), ()


def _engines(
    work: Serving,
    machine: Hardware,
    how: Mapping[str, int],
    rules: Scheduler,
    requests: Sequence[Request],
    options: Mapping[str, Any],
    drafts: Drafts | None = None,
) -> Engines:
    """Engines alike, with their steps; where drafts are verified without those that draft."""
    if drafts is not None:
        least = max(1, min(rules.max_batch, rules.max_batch_tokens // drafts.queries))
        rules = rules.but(queries=drafts.queries, max_batch=least)
    one = machine if machine.devices == 1 else machine.but(devices=1)
    if work.attention is not None:
        own: dict[str, Any] = {"engine": options.get("engine"), "parallel": _engine(how)}
        own |= {"tokens": rules.max_batch_tokens, "offload": options.get("offload")}
        return Engines(machine, how, attended(work.model, one, work.attention, **own), rules)
    clock = step_times(
        work.model,
        one,
        engine=options.get("engine") or "vllm",
        parallel=_engine(how),
        topology=options.get("topology"),
        kv_memory_fraction=work.memory_fraction,
        captured=work.max_graph_tokens,
        largest=Largest(
            rules.max_batch_tokens,
            rules.max_batch,
            max(each.input + each.output for each in requests),
        ),
        draft=drafts,
    )
    return Engines(machine, how, served_apart(clock), rules, _ranks(how))


def served(
    work: Serving,
    requests: Sequence[Request],
    clock: StepTimes,
    rules: Scheduler,
    machine: Hardware,
    how: Mapping[str, int],
) -> Served:
    """The stream with steps that are given."""
    engines = Engines(machine, how, clock, rules, _ranks(how))
    return _told(work, _together(work, requests, engines), {"": engines})


def _together(work: Serving, requests: Sequence[Request], engines: Engines) -> Ran:
    """What became of the stream on engines that read prompts and make tokens."""
    steps, budgets, lanes = engines.laned
    if work.kv_offload is not None:
        beyond, each = Beyond.of(work.kv_offload), float(work.model.kv_bytes_per_token)
        share = beyond.memory_bytes / engines.how.get("pp", 1)
        steps = Fetching(steps, replace(beyond, memory_bytes=share), each)
    return run(
        requests,
        steps,
        budgets,
        replicas=lanes,
        routing=work.routing,
        concurrency=work.concurrency,
        frontend_s=frontend_s(work),
    )


def _prompts(
    work: Serving,
    machine: Hardware,
    engine: Any,
    engines: Callable[[Hardware, Mapping[str, int], Scheduler], Engines],
) -> Engines:
    """The engines that read prompts apart."""
    if work.concurrency is not None:
        raise InputError(
            "serving: prefill: expected rate_per_s or a trace where prompts are read apart, found"
            f" {work.concurrency} clients"
        )
    other, said = _prefill(work, machine)
    apart = work.but(**{n: said[n] for n in ("max_batch_tokens", "max_batch") if n in said})
    return engines(other, _degrees(degrees(said), None), _rules(apart, engine, other))


def _share(work: Serving) -> float | None:
    """The share of the same devices' processors that reads prompts, where that is said."""
    said = {} if work.prefill is None else pairs(work.prefill, "serving: prefill")
    if "share" not in said:
        return None
    part = said["share"]
    if isinstance(part, bool) or not isinstance(part, (int, float)) or not 0 < part < 1:
        raise InputError(
            f"serving: prefill: share: expected a part above 0 and below 1, found {shown(part)}"
        )
    others = [name for name in said if name != "share"]
    if others or work.draft is not None or work.concurrency is not None:
        found = others[0] if others else "draft" if work.draft is not None else "concurrency"
        raise InputError(
            "serving: prefill: share: the same devices read prompts, at a rate and without drafts;"
            f" found {found}"
        )
    return float(part)


def _part(machine: Hardware, part: float) -> Hardware:
    """A device with so many of its processors."""
    count = machine.processors.count
    return machine.but(processors={"count": max(1, round(part * float(count)))})


def _split(work: Serving, requests: Sequence[Request], reads: Engines, tokens: Engines) -> Ran:
    """What became of the stream on devices of which each runs both."""
    if tokens.how.get("pp", 1) > 1 or tokens.ranks > 1:
        raise InputError("serving: prefill: share: expected tp and dp alone, found pp or ep")
    return split(
        requests,
        (cast(EngineSteps, reads.clock), reads.rules),
        (cast(EngineSteps, tokens.clock), tokens.rules),
        tokens.how.get("dp", 1),
    )


def _apart(
    work: Serving,
    requests: Sequence[Request],
    prompts: Engines,
    tokens: Engines,
    drafts: Drafts | None,
) -> tuple[Ran, tuple[str, ...]]:
    """What became of the stream on both pools, and what that assumes."""
    longest = max(each.input for each in requests)
    rate = (
        None
        if work.link is None
        else float(amount(work.link, "bytes_per_s", where="serving: link"))
    )
    kept = [work.model]
    kept += [work.model.drafting(drafts)] if drafts is not None and drafts.model is not None else []
    ships = shipment(kept, prompts, longest, rate, by_layer=work.by_layer)
    ran = ran_apart(requests, prompts, tokens, ships, work.routing)
    how = "layer by layer" if work.by_layer else "when a prompt has been read"
    told = f"caches go at {ships.bandwidth_bytes_per_s / 1e9:g} GB/s from an engine, {how}"
    return ran, () if work.link is not None else (
        f"assumed: {told}: a network card of each device",
    )


def _told(
    work: Serving, ran: Ran, pools: Mapping[str, Engines], more: Sequence[str] = ()
) -> Served:
    """The answer, of all pools, the last of which makes the tokens."""
    (*_, last) = pools.values()
    own = {} if work.prefill is None else pairs(work.prefill, "serving: prefill")
    given = {"": work.price_per_hour, "prefill ": own.get("price_per_hour", work.price_per_hour)}
    hours = [_price(given[pool], each.machine) for pool, each in pools.items()]
    dollars = [
        None if hour is None else hour * each.devices
        for (hour, _), each in zip(hours, pools.values(), strict=True)
    ]
    warnings = [text for each in pools.values() for text in getattr(each.clock, "warnings", ())]
    room = last.clock.clock if isinstance(last.clock, Verifying) else last.clock
    titles = dict.fromkeys(each.machine.title for each in pools.values())
    devices = sum(each.devices for each in pools.values())
    watts = sum(each.devices * float(each.machine.power.limit_w) for each in pools.values())
    if isinstance(last.clock, Attended):
        title, number, hour, most_w = last.clock.hours
        replicas = last.how.get("dp", 1)
        titles[title] = None
        devices, watts = devices + replicas * number, watts + replicas * most_w
        dollars.append(None if hour is None else replicas * hour)
    return Served(
        name=work.name,
        device=" and ".join(titles),
        devices=devices,
        scheduler=last.rules.name,
        ran=ran,
        parallel={
            f"{pool}{name}": size for pool, each in pools.items() for name, size in each.how.items()
        },
        idle_w=_idle_w(ran, [watts for each in pools.values() for watts in each.idle_w]),
        provisioned_w=watts,
        usd_per_hour=None if None in dollars else sum(each or 0.0 for each in dollars),
        price_source="; ".join(dict.fromkeys(source for _, source in hours if source)),
        frontend_s=frontend_s(work),
        kv_tokens=room.kv_tokens,
        block_tokens=last.rules.block_tokens,
        everywhere=(
            *(text for text in work.model.warnings if not text.endswith(WITHOUT_NARROWING)),
            *_too_long(work, ran),
            *generated(work, last.rules),
            *warnings,
            *more,
        ),
    )


def _too_long(work: Serving, ran: Ran) -> tuple[str, ...]:
    """What is told of requests longer than the model was made for."""
    most = work.model.config.positions
    longest = max(each.request.input + each.request.output for each in ran.stays)
    if most is None or longest <= most:
        return ()
    return (
        f"{work.model.name}: requests of up to {longest:,} tokens are beyond the {most:,} that the"
        " model was made for (max_position_embeddings)",
    )


def _idle_w(ran: Ran, watts: Sequence[float]) -> tuple[float, ...]:
    """Watts of each engine's devices at rest; those of devices that two engines share once."""
    return (*(0.0,) * (len(ran.replicas) - len(watts)), *watts)


def _prefill(work: Serving, machine: Hardware) -> tuple[Hardware, dict[str, Any]]:
    """The device that reads prompts, and what is said of its engines."""
    said = pairs(work.prefill, "serving: prefill")
    counts = ("tp", "pp", "dp", "ep", "max_batch_tokens", "max_batch")
    known = ("on", *counts, "price_per_hour", "power_limit")
    for name in said:
        if name not in known:
            raise InputError(f"serving: prefill: {UnknownNameError('field', name, known)}")
        if name in counts:
            said[name] = counted(said[name], where=f"serving: prefill: {name}")
    other = machine_of(said["on"]) if "on" in said else machine.but(devices=1)
    return capped(other, said.get("power_limit"), "serving: prefill"), said


def capped(machine: Hardware, limit: Any, where: str) -> Hardware:
    """The machine at a power limit of its own, or another one's; `InputError` for more than that.

    What a device runs at a lower clock then is what the law of the sustained state says.
    """
    if limit is None:
        return machine
    watts = float(amount(limit, "w", where=f"{where}: power_limit"))
    least, most = float(machine.power.idle_w), float(machine.power.limit_w)
    if not least < watts <= most:
        raise InputError(
            f"{where}: power_limit: expected watts from {least:g} (idle) to {most:g}, which are"
            f" {machine.name}'s own, found {shown(limit)}"
        )
    return machine.but(power={"limit_w": watts})


def requests_of(work: Serving, rules: Scheduler) -> list[Request]:
    """The requests of a stream, in order of arrival."""
    fixed: dict[str, Any] = {"requests": work.requests, "duration_s": work.duration_s}
    if work.trace is not None:
        found, timed = arrivals.read(work.trace, **fixed)
        if work.rate_per_s is None and work.concurrency is None:
            if not timed:
                raise InputError(
                    f"serving: trace: {work.trace} has no arrivals; expected rate_per_s or"
                    " concurrency with it"
                )
            return found
        return arrivals.timed(
            found, work.rate_per_s, arrivals=work.arrivals, arrival_cv=work.arrival_cv,
            seed=work.seed,
        )  # fmt: skip
    assert work.input is not None
    assert work.output is not None
    if work.concurrency is not None:
        if work.duration_s is not None:
            raise InputError(
                "serving: duration_s: expected requests in a closed loop, which ends with its last"
                f" request, found {shown(work.duration_s)}"
            )
        fixed["requests"] = work.requests or EACH * work.concurrency
    return arrivals.stream(
        work.input,
        work.output,
        rate_per_s=work.rate_per_s,
        arrivals=work.arrivals,
        arrival_cv=work.arrival_cv,
        prefix=work.prefix,
        prompts=work.asked_again,
        seed=work.seed,
        block=rules.block_tokens,
        **fixed,
    )


def _rules(work: Serving, engine: Any, machine: Hardware) -> Scheduler:
    """The scheduler with the budgets that are said, or else those the engine starts with."""
    named = scheduler(work.scheduler) if work.scheduler else scheduler_of(engine)
    rules = named.on(machine)
    return rules.but(
        max_batch_tokens=work.max_batch_tokens or rules.max_batch_tokens,
        max_batch=work.max_batch or rules.max_batch,
    )


def _degrees(given: dict[str, int], total: int | None) -> dict[str, int]:
    """How the model is divided; dp is what is left of the devices, where these are said."""
    width = given.get("tp", 1) * given.get("pp", 1)
    if total is not None and "dp" not in given:
        if total % width:
            raise InputError(
                f"serving: devices: expected a multiple of tp x pp ({width}), found {total}"
            )
        given["dp"] = total // width
    given.setdefault("dp", 1)
    if given["dp"] % _ranks(given):
        raise InputError(
            f"serving: ep: expected experts over tp ({given.get('tp', 1)}) or over dp ranks of it,"
            f" found ep={given['ep']} with dp={given['dp']}"
        )
    found = width * given["dp"]
    if total is not None and found != total:
        raise InputError(f"serving: devices: expected tp x pp x dp ({found}), found {total}")
    return given


def _ranks(how: Mapping[str, int]) -> int:
    """Groups of one engine that attend apart: where experts are over more devices than tp."""
    return max(1, how.get("ep", 1) // how.get("tp", 1))


def _engine(how: Mapping[str, int]) -> dict[str, int]:
    """How one engine is divided: replicas are engines of their own."""
    own = {name: size for name, size in how.items() if name != "dp"}
    ranks = _ranks(how)
    return own | ({"dp": ranks} if ranks > 1 else {})


def _price(given: Any, machine: Hardware) -> tuple[float | None, str]:
    """Dollars an hour of a device, and whose figure that is."""
    if given is not None:
        return float(amount(given, where="serving: price_per_hour")), "given"
    rent = machine.price.rent_usd_per_hour
    if rent is None:
        return None, ""
    own = machine.sources.get("price.rent", "")
    return float(rent), f"{machine.name}: {own}"
