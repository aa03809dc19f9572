"""`place`: experts of a mixture on devices, so that few tokens cross, with a proven bound."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from hwmodel.experts.statistics import Routing
from hwmodel.machines.driver import Machine, machine_of
from hwmodel.mappers.mapper import Mapper
from hwmodel.network.topology import Topology
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import DEVICES, EXPERTS, SLOTS
from hwmodel.quantity.units import counted
from hwmodel.text.frames import Frame
from hwmodel.verbs.ask import AS_IS, PICTURE, Question, Word, in_python

if TYPE_CHECKING:
    from hwmodel.mappers.placement.place import Progress
    from hwmodel.verbs.placed import PlaceAnswer


class Place(Question):
    """Experts on devices, so that few tokens cross, with a proven bound and its gap.

    `routing` is read from a file of traces, counts or loads (`hwmodel.experts.traces`) or given;
    loads also as an array, `(layers, experts)` or `(experts,)`. The devices are those of `on`, such
    as `h200 * 8`, or `devices`, the first of a topology, by default all of it. `objective` is
    crossings (default), hops, seconds or load; load where there are no transitions, of which loads
    and single layers say nothing. `memory` of a device and `expert_bytes` limit how many experts of
    each layer it holds, beside `shared_experts` of each layer that every device holds; `pinned` and
    `forbidden` name devices by (layer, expert). With a topology and `token_bytes` the times of a
    step of `tokens` tokens with `choices` experts each are predicted before and after; `token_s` is
    what an expert takes for a token. With `slots` for each layer hot experts get copies, apart from
    the placement. `mapper` is a function of your own, as in `map`, from the routing and
    `hwmodel.mappers.placement.problem.Problem` to a `Proposal` of the device of each expert,
    `(layers, experts)`. Ctrl-C returns the best so far. Raises `InputError`, `CapacityError` where
    the experts have no room, `SolverError` where constraints leave no way.
    """

    verb: ClassVar[str] = "place"
    places: ClassVar[tuple[str, ...]] = ("routing", "on")
    example: ClassVar[str] = "place --routing traces.npz --devices 8 --nodes 2"

    routing: Annotated[
        Routing | NDArray[Any] | Sequence[Any] | str | Path | Frame,
        AS_IS,
        Word("Traces, counts or loads: .npz, .parquet, .csv, .json.", str),
    ]
    on: Annotated[Machine | None, AS_IS, Word("The devices, such as h200 * 8.", value=True)] = None
    devices: Annotated[int | None, Word("Devices that hold experts.")] = None
    nodes: Annotated[int | None, Word("Nodes that the devices stand on.")] = None
    topology: Annotated[
        Topology | str | Path | None, AS_IS, Word("A topology's name or file.", str)
    ] = None
    kind: Annotated[str | None, Word("top1 or topk.")] = None
    domains: Annotated[
        Sequence[str] | None, AS_IS, Word("Text to count; repeat.", list[str], "--domain")
    ] = None
    experts: Annotated[int | None, Word("Experts in each layer.")] = None
    objective: Annotated[str | None, Word("crossings (default), hops, load, seconds.")] = None
    token_bytes: Annotated[float | str | None, AS_IS, Word("Bytes of a token on a link.", str)] = (
        None
    )
    tokens: Annotated[int, Word("Tokens in a step.")] = 4096
    choices: Annotated[int, Word("Experts of a token.")] = 1
    token_s: Annotated[float, Word("Seconds of a token in an expert.")] = 0.0
    slots: Annotated[int | None, Word("Places of a layer: copy hot experts.")] = None
    slack: Annotated[int, Word("Experts more or fewer on a device.")] = 0
    memory: Annotated[float | str | None, AS_IS, Word("Memory of a device for experts.", str)] = (
        None
    )
    expert_bytes: Annotated[float | str | None, AS_IS, Word("Bytes of one expert.", str)] = None
    shared_experts: Annotated[int, Word("Held by every device.")] = 0
    pinned: Annotated[
        Mapping[tuple[int, int], int] | None,
        AS_IS,
        Word("LAYER:EXPERT=DEVICE; repeat.", list[str], "--pin"),
    ] = None
    forbidden: Annotated[
        Mapping[tuple[int, int], tuple[int, ...]] | None,
        AS_IS,
        Word("Devices that an expert is kept from.", value=True),
    ] = None
    time_limit_s: Annotated[float, Word("Seconds of search.", flag="--time-limit")] = 60.0
    gap: Annotated[float, Word("A proven gap to stop at.")] = 0.0
    seed: Annotated[int, Word("Of the search.")] = 0
    mapper: Annotated[Mapper | None, AS_IS, Word("A mapper in place of ours.", value=True)] = None
    progress: Annotated[
        Callable[[float, float, float], None] | None,
        AS_IS,
        Word("Hears elapsed seconds, the best value and the bound as they change.", value=True),
    ] = None
    picture: Annotated[str | None, PICTURE] = None

    def answer(self) -> "PlaceAnswer":
        """The placement, with progress where a person watches."""
        given = cast(Sequence[str] | None, self.pinned)
        said = {"pinned": pins(given)} if isinstance(given, (list, tuple)) else {}
        asked = self.model_copy(update=said)
        if os.isatty(2):
            with Shrinking(self.time_limit_s) as progress:
                return asked.model_copy(update={"progress": progress}).valued()
        return asked.valued()

    def valued(self) -> "PlaceAnswer":
        """The placement, its certificate, and what is asked for beside it."""
        from hwmodel.experts.placement import contiguous, crossings, flows, placement
        from hwmodel.mappers.placement.place import certified, map_experts
        from hwmodel.mappers.placement.problem import problem
        from hwmodel.mappers.placement.search import regroup
        from hwmodel.verbs import placing
        from hwmodel.verbs.placed import PlaceAnswer

        goal, units = self.objective, placing.OBJECTIVES
        if goal is not None and (not isinstance(cast(Any, goal), str) or goal not in units):
            raise UnknownNameError("objective", goal, units)
        limit_s = placing.number_of("time_limit_s", self.time_limit_s, least=1e-9)
        gap = placing.number_of("gap", self.gap, most=np.nextafter(1.0, 0.0))
        token_s = placing.number_of("token_s", self.token_s)
        tokens, choices = self._count("tokens"), self._count("choices")
        seed, slack = self._count("seed", least=0), self._count("slack", least=0, most=EXPERTS)
        shared = self._count("shared_experts", least=0)
        experts, slots = self._count("experts", most=EXPERTS), self._count("slots", most=SLOTS)
        pinned = placing.places_of("pinned", self.pinned)
        forbidden = placing.places_of("forbidden", self.forbidden)
        routing, network = self._routing(experts), self._network()
        if choices > routing.experts:
            raise InputError(
                f"place: choices: expected at most the {routing.experts} experts of a layer, found"
                f" {choices}; a token chooses each once"
            )
        goal = placing.objective_of(routing, goal)
        nodes = self._count("nodes", most=DEVICES)
        devices, nodes = placing.machines_of(self._devices(), nodes, network)
        size_bytes = placing.bytes_of(self.token_bytes, "token_bytes")
        each_bytes = placing.bytes_of(self.expert_bytes, "expert_bytes")
        posed = problem(
            routing,
            devices,
            cost=placing.cost_of(goal, devices, nodes, network, size_bytes),
            load_cost={"load": 1.0, "seconds": token_s}.get(goal, 0.0),
            slack=slack,
            most=placing.room_of(routing, self.memory, self.expert_bytes, shared),
            pinned=pinned,
            forbidden=forbidden,
        )
        search = {"time_limit_s": limit_s, "gap": gap, "seed": seed, "progress": self.progress}
        if self.mapper is None:
            found = certified(
                map_experts, routing, posed, objective=goal, unit=units[goal], **search
            )
        else:
            found = certified(self.mapper, routing, posed, objective=goal, unit=units[goal])
        placed = found.placement
        if goal == "crossings" and nodes > 1 and not pinned and not forbidden:
            order = regroup(np.sum(list(flows(routing, placed).values()), axis=0), nodes)
            placed = placement(placed.layers, devices, order[np.array(placed.assignment)])
        plain = contiguous(routing.layers, routing.experts, devices)
        exchange_s = None if network is None else placing.exchange_of(network, devices)
        step = None
        if exchange_s is not None and size_bytes is not None and routing.transitions:
            work = {"tokens": tokens, "token_bytes": size_bytes, "choices": choices}
            work["token_s"] = token_s
            step = placing.steps_of(routing, plain, placed, exchange_s, work)
        copies = None
        if slots is not None:
            if slots > devices * routing.experts:
                raise InputError(
                    f"place: slots: expected at most {devices} devices x {routing.experts} experts,"
                    f" of which each device then holds all, found {slots}"
                )
            from hwmodel.verbs.copies import with_copies

            copies = with_copies(
                routing,
                placed,
                slots,
                choices_s=tokens * choices * token_s,
                expert_bytes=each_bytes,
                exchange_s=exchange_s,
            )
        timed = step is not None or (copies is not None and token_s > 0)
        return PlaceAnswer(
            routing=routing,
            placement=placed,
            nodes=nodes,
            certificate=found.certificate,
            crossings=crossings(routing, placed),
            contiguous_crossings=crossings(routing, plain),
            interrupted=found.interrupted,
            history=found.history,
            step=step,
            copies=copies,
            notes=(*placing.notes_of(routing), *found.notes, *self._unheard(timed)),
        )

    def _count(self, name: str, *, least: int = 1, most: int | None = None) -> Any:
        """A whole number of a field; None where it is not given."""
        value = getattr(self, name)
        limits = {"least": least} if most is None else {"least": least, "most": most}
        return None if value is None else counted(value, where=f"place: {name}", **limits)

    def _devices(self) -> int | None:
        """Devices of the machine, or as many as are said."""
        devices = self._count("devices", most=DEVICES)
        if self.on is None:
            return devices
        count = machine_of(self.on).devices
        if devices not in (None, count):
            raise InputError(f"place: on has {count} devices, found devices={devices}")
        return count

    def _routing(self, experts: int | None) -> Routing:
        """The routing that is given, of loads, or read from a file."""
        from hwmodel.experts.statistics import from_loads
        from hwmodel.experts.traces import read_routing

        domains = () if self.domains is None else self.domains
        if self.domains is not None and isinstance(domains, (list, tuple)) and not domains:
            raise InputError("place: domains: expected names, found none; leave it out for all")
        if isinstance(self.routing, (list, tuple, np.ndarray)):
            return from_loads(self.routing)
        if isinstance(self.routing, Routing):
            return self.routing
        path = cast(str | Path | Frame, self.routing)
        return read_routing(path, kind=self.kind, domains=domains, experts=experts)

    def _network(self) -> Topology | None:
        """The topology that is given or named."""
        from hwmodel.network.topologies import topology

        given: Any = self.topology
        found: Any = topology(given) if isinstance(given, (str, Path)) else given
        if not (found is None or isinstance(found, Topology)):
            raise InputError(f"place: expected a topology, found {shown(found)}")
        return found

    def _unheard(self, timed: bool) -> tuple[str, ...]:
        """What is said of numbers that were given, and that the answer does not depend on."""
        heard = {"tokens": timed, "choices": timed, "token_s": timed or self.objective == "seconds"}
        return tuple(
            f"no effect: {name}: the times of a step need a topology and token_bytes, those of"
            " copies slots and token_s"
            for name, is_heard in heard.items()
            if name in self.model_fields_set and not is_heard
        )

    def draw(self, answer: "PlaceAnswer", path: str) -> None:
        """The placement."""
        from hwmodel.show.pictures.placement import draw

        draw(answer.routing, answer.placement, path)

    def status(self, answer: "PlaceAnswer") -> int:
        """That of an interruption, where there was one."""
        return 130 if answer.interrupted else 0


place = in_python(Place)


class Shrinking:
    """Progress on a terminal: the best placement, the bound and the gap between them."""

    def __init__(self, time_limit_s: float) -> None:
        """Show nothing yet."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._bar.add_task("placing", total=time_limit_s)

    def __enter__(self) -> "Progress":
        """Start to draw."""
        self._bar.start()
        return self._update

    def __exit__(self, *_: object) -> None:
        """Wipe the line."""
        self._bar.stop()

    def _update(self, elapsed_s: float, value: float, bound: float) -> None:
        gap = (value - bound) / value if value and np.isfinite(value) else 1.0
        words = f"best {value:,.6g}  bound {bound:,.6g}  gap {gap:.2%}"
        self._bar.update(self._task, completed=elapsed_s, description=words)


def pins(texts: Sequence[str]) -> dict[tuple[int, int], int]:
    """`LAYER:EXPERT=DEVICE` as a table."""
    found: dict[tuple[int, int], int] = {}
    for text in texts:
        try:
            place_, device = text.split("=")
            layer, expert = place_.split(":")
            found[int(layer), int(expert)] = int(device)
        except ValueError:
            raise InputError(f"--pin: expected LAYER:EXPERT=DEVICE, found {shown(text)}") from None
    return found
