"""`deploy`: which device, how many, divided and started how, for a traffic and a promise."""

import time
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

from hwmodel.einsum.workloads.drafts import Drafting
from hwmodel.einsum.workloads.model import Model
from hwmodel.einsum.workloads.model import model as model_of
from hwmodel.einsum.workloads.phases import drafted
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines import driver
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.gpu.engines.shipped import engine as engine_of
from hwmodel.machines.gpu.engines.shipped import engines
from hwmodel.mappers.deployments.bounds import Bounds
from hwmodel.mappers.deployments.kinds import Kind, kinds
from hwmodel.mappers.deployments.search import BUDGETS, Sought, found
from hwmodel.mappers.deployments.simulated import MOST, Streams
from hwmodel.mappers.deployments.tables import Tables
from hwmodel.mappers.deployments.traffic import Promise, Traffic
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.units import counted
from hwmodel.systems.serving.scheduler import Scheduler, scheduler_of
from hwmodel.verbs.ask import AS_IS, Question, Word, in_python
from hwmodel.verbs.deployed import Deployed, Money
from hwmodel.verbs.sweep import executor_of

OBJECTIVES = {"price": "USD/h", "energy": "W", "devices": ""}
"""What is minimised -> its unit, at the traffic."""
SOON = 16
"""Kinds of engines whose steps are asked for at a time, where there are several processes."""
RENTS = {"on-demand": "rent_usd_per_hour", "reserved": "reserved_usd_per_hour"}


class Deploy(Question):
    """Which device, how many, divided and started how, for a traffic and a promise.

    `traffic` is rate (requests a second, Poisson), input and output (tokens of each), cached (of
    the input); `slo` the most seconds to the first token (ttft) and between two (tpot), of which
    ttft for a percentile (95) and tpot as a mean. `on` are devices of which a pool has one kind,
    `max_devices` of them in all. `minimise` is price (dollars an hour), energy (watts) or devices.
    `rent` is on-demand or reserved, as the catalogue has it; `price` are dollars an hour of your
    own, by device. `engine` is what serves: vllm (default), sglang or trtllm. With a `draft` (of
    vllm) engines that verify what it drafts are searched beside those that do not. Divisions,
    formats, token budgets, batch limits and prompts read apart or not are searched
    (`hwmodel.mappers.deployments`); engines are judged where they settle, by the
    steady state of `predict`'s steps, and the best of them by a stream of `simulate` requests that
    is run step by step. Raises `CapacityError` where nothing keeps the promise.
    """

    verb: ClassVar[str] = "deploy"
    drawn: ClassVar[str] = "html"
    places: ClassVar[tuple[str, ...]] = ("config", "traffic", "slo")
    example: ClassVar[str] = (
        "deploy llama-3.1-8b --traffic rate=4,input=1000,output=100 --slo ttft=0.5s,tpot=30ms"
        " --on l40s,h100 --max-devices 2"
    )

    config: Annotated[
        Model | Mapping[str, Any] | str | Path,
        AS_IS,
        Word("A model's config: a path or a shipped name.", str, place=True, complete="models"),
    ]
    traffic: Annotated[
        Traffic | Mapping[str, Any] | str,
        AS_IS,
        Word("rate=8,input=2000,output=200, and cached=500.", str),
    ]
    slo: Annotated[
        Promise | Mapping[str, Any] | str,
        AS_IS,
        Word("ttft=0.5s,tpot=30ms, and percentile=95.", str),
    ]
    on: Annotated[
        Any, AS_IS, Word("Devices: h100,h200,b200.", str, needed=True, complete="devices")
    ] = None
    max_devices: Annotated[int, Word("Devices in all, at most.")] = 64
    minimise: Annotated[str, Word("What is least: price, energy or devices.")] = "price"
    rent: Annotated[str, Word("Whose price: on-demand or reserved.")] = "on-demand"
    price: Annotated[
        Mapping[str, float] | str | None, AS_IS, Word("Dollars an hour: h100=2.5,h200=3.", str)
    ] = None
    draft: Annotated[
        Drafting,
        AS_IS,
        Word("What may draft tokens: model=llama-3.2-1b,tokens=4,acceptance=0.7.", str),
    ] = None
    engine: Annotated[
        str | Engine, AS_IS, Word("What serves: vllm, sglang or trtllm.", str, complete="engines")
    ] = "vllm"
    simulate: Annotated[int, Word("Requests of each simulated stream; 0: none are.")] = 2000
    out: Annotated[str | None, Word("A folder: a search that was killed goes on from it.")] = None
    workers: Annotated[int, Word("Processes.")] = 1
    dask: Annotated[str | None, Word("The address of a Dask scheduler.")] = None
    client: Annotated[
        Any, AS_IS, Word("A Dask Client, or an executor of concurrent.futures.", value=True)
    ] = None
    html: Annotated[
        str | None, Word("A file for a page (.html), or the picture alone (.png).", alone=True)
    ] = None

    def answer(self) -> Deployed:
        """The best deployments, and the proof."""
        return deployed(self)

    def draw(self, answer: Deployed, path: str) -> None:
        """The page, or its picture alone."""
        from hwmodel.show.deployments import written

        written(answer, path)


deploy = in_python(Deploy)


def deployed(asked: Deploy) -> Deployed:
    """The answer of the verb."""
    start = time.perf_counter()
    traffic, promise = Traffic.of(asked.traffic), Promise.of(asked.slo)
    if asked.minimise not in OBJECTIVES:
        raise UnknownNameError("objective", asked.minimise, OBJECTIVES)
    most = counted(asked.max_devices, where="deploy: max_devices", most=1024)
    served, machines = model_of(asked.config), machines_of(asked.on)
    runs, rules = serving(asked.engine)
    rents = rents_of(machines, asked.rent, asked.price, asked.minimise)
    priced, least = prices(asked.minimise, rents)
    draft = drafted(served.name, "deploy", served.network, asked.draft)
    if draft is not None and runs.name != "vllm":
        told = f"expected none with engine {runs.name}, whose verification is not known"
        raise CoverageError(f"deploy: draft: {told}; leave it out, or ask vllm")
    apart = runs.name == "trtllm"
    every = list(kinds(served, machines, most, draft=draft, whole_ranks=apart))
    long = counted(asked.simulate, where="deploy: simulate", least=0, most=MOST)
    streams = Streams(traffic, promise.percentile, long, runs)
    many = counted(asked.workers, where="deploy: workers", most=1024)
    with executor_of(many, asked.dask) as own:
        executor = asked.client or own
        tables = Tables(
            traffic, BUDGETS, runs,
            known=_known(asked.out, served, machines, traffic, every, runs),
            mixes=rules.mixed,
            submit=None if executor is None else executor.submit,
        )  # fmt: skip
        problem = Sought(
            every, traffic, promise, most, priced, least, tables.predicted,
            Bounds(traffic, max(BUDGETS), runs),
            seen=streams.of if long else None,
            ahead=None if executor is None else tables.ahead,
            soon=SOON,
        )  # fmt: skip
        answer = found(problem)
    best = answer.best[0]
    money = None
    if all(pool.kind.machine.name in rents for pool in best.pools):
        money = Money.of(best, traffic, rents, cached_part(best.pools[0].kind, traffic, runs))
    return Deployed(
        name=served.name,
        engine=runs,
        traffic=traffic,
        promise=promise,
        objective=asked.minimise,
        unit=OBJECTIVES[asked.minimise],
        found=answer,
        rents=rents,
        money=money,
        sources=sources_of(machines, asked.rent, asked.price),
        solve_time_s=time.perf_counter() - start,
    )


def _known(
    out: str | None,
    served: Model,
    machines: Sequence[Hardware],
    traffic: Traffic,
    every: Sequence[Kind],
    runs: Engine,
) -> MutableMapping[str, dict[str, Any]]:
    """What a search of the same engines and traffic left in a folder, and goes on with."""
    if out is None:
        return {}
    from hwmodel.sweeps.ledger import Ledger, digest_of_values

    drafts = tuple(dict.fromkeys(kind.draft for kind in every))
    question = digest_of_values(
        *(served.name, dict(served.asked), served.config, machines, traffic, str(drafts)),
        *((runs.name, runs.version) if runs.name != "vllm" else ()),
    )
    known = Ledger(Path(out), question)
    if known.first is not None:
        words, _, step = known.first.rpartition(": ")
        kind = next(kind for kind in every if kind.words == words)
        if Tables(traffic, BUDGETS, runs).worked_out(kind, step) != known[known.first]:
            raise InputError(
                f"deploy: {out}: expected what this version works out, found other steps of"
                f" {words}; choose another folder"
            )
    return known


def machines_of(on: Any) -> list[Hardware]:
    """One of each device named; `InputError` where none is, or one twice."""
    given: Sequence[Any] = on.split(",") if isinstance(on, str) else on
    if not isinstance(given, (list, tuple)) or not given:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"deploy: on: expected devices such as h100,h200, found {shown(on)}")
    found = [driver.machine_of(name.strip() if isinstance(name, str) else name) for name in given]
    names = [machine.name for machine in found]
    for machine in found:
        if names.count(machine.name) > 1 or machine.devices > 1 or machine.kind != "gpu":
            raise InputError(
                f"deploy: on: expected different GPUs, one of each, found {', '.join(names)}"
            )
    return found


def rents_of(
    machines: Sequence[Hardware], rent: str, price: Any, minimise: str = "price"
) -> dict[str, float]:
    """Dollars an hour of each device: those given, else the catalogue's."""
    if rent not in RENTS:
        raise UnknownNameError("rent", rent, RENTS)
    own = pairs(price, "price")
    names = [machine.name for machine in machines]
    found: dict[str, float] = {}
    for name, value in own.items():
        if name not in names:
            raise InputError(f"price: {UnknownNameError('device', name, names)}")
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
            raise InputError(
                f"price: {name}: expected dollars an hour above 0, found {shown(value)}"
            )
        found[name] = float(value)
    for machine in machines:
        if machine.name not in found:
            value = getattr(machine.price, RENTS[rent])
            if value is not None:
                found[machine.name] = float(value)
            elif minimise == "price":
                raise InputError(
                    f"deploy: {machine.name}: the catalogue has no {rent} price; give one by"
                    f" price={machine.name}=2.5 (dollars an hour)"
                )
    return found


def prices(
    minimise: str, rents: Mapping[str, float]
) -> tuple[Callable[[Kind, int, float], float], Callable[[Kind, int], float]]:
    """What engines cost, given their watts, and at the least, before they are known."""

    def devices(kind: Kind, number: int) -> float:
        return float(number * kind.devices)

    def dollars(kind: Kind, number: int) -> float:
        return devices(kind, number) * rents[kind.machine.name]

    def idle(kind: Kind, number: int) -> float:
        return devices(kind, number) * float(cast(float, kind.machine.power.idle_w))

    known = {"price": dollars, "devices": devices, "energy": idle}[minimise]
    if minimise == "energy":
        return (lambda kind, number, watts: watts), known
    return (lambda kind, number, watts: known(kind, number)), known


def sources_of(machines: Sequence[Hardware], rent: str, price: Any) -> dict[str, str]:
    """Where each device's price is from."""
    own = pairs(price, "price")
    field = {"on-demand": "price.rent", "reserved": "price.reserved"}[rent]
    return {m.name: "yours" if m.name in own else m.sources.get(field, "unknown") for m in machines}


def serving(named: str | Engine) -> tuple[Engine, Scheduler]:
    """An engine that serves, and how it chooses what a step computes."""
    found = engine_of(named)
    if found is None:
        known = ", ".join(engines())
        raise InputError(
            f"deploy: engine: expected one that serves ({known}), found {shown(named)}"
        )
    return found, scheduler_of(found)


def cached_part(kind: Kind, traffic: Traffic, runs: Engine) -> float | None:
    """Seconds that a cached token of a prompt costs, over those of one that is read.

    Of a prompt by itself, whose first half is cached or not.
    """
    half = traffic.input // 2
    if not half:
        return None
    machine, ways = kind.machine * kind.devices, kind.ways

    def seconds(prompt: int, cached: int | None) -> float:
        work = kind.model.prefill(batch=1, prompt=prompt, cached=cached, draft=kind.draft)
        return float(driver.predict(work, machine, parallel=ways, engine=runs).sustained_time_s)

    rest = seconds(traffic.input - half, None)
    whole, later = seconds(traffic.input, None), seconds(traffic.input, half)
    return min(1.0, max(0.0, (later - rest) / (whole - rest))) if whole > rest else None
