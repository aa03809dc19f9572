"""`place`: experts of a mixture on devices, so that few tokens cross, with a proven bound."""

import os
from collections.abc import Sequence
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.driver import Machine, machine_of
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.verbs.ask import PICTURE, Question, Word

if TYPE_CHECKING:
    from hwmodel.experts.statistics import Routing
    from hwmodel.mappers.placement.place import Progress
    from hwmodel.verbs.placed import PlaceAnswer


class Place(Question):
    """Experts on devices, so that few tokens cross, with a proven bound and its gap."""

    verb: ClassVar[str] = "place"
    example: ClassVar[str] = "place --routing traces.npz --devices 8 --nodes 2"

    routing: Annotated[str, Word("Traces, counts or loads: .npz, .parquet, .csv, .json.")]
    devices: Annotated[int | None, Word("Devices that hold experts.")] = None
    nodes: Annotated[int | None, Word("Nodes that the devices stand on.")] = None
    topology: Annotated[str | None, Word("A topology's name or file.")] = None
    kind: Annotated[str | None, Word("top1 or topk.")] = None
    domain: Annotated[list[str] | None, Word("Text to count; repeat.")] = None
    experts: Annotated[int | None, Word("Experts in each layer.")] = None
    objective: Annotated[str | None, Word("crossings (default), hops, load, seconds.")] = None
    token_bytes: Annotated[Any, Word("Bytes of a token on a link.", str)] = None
    tokens: Annotated[int | None, Word("Tokens in a step (default 4096).")] = None
    choices: Annotated[int | None, Word("Experts of a token (default 1).")] = None
    token_s: Annotated[float | None, Word("Seconds of a token in an expert.")] = None
    slots: Annotated[int | None, Word("Places of a layer: copy hot experts.")] = None
    slack: Annotated[int | None, Word("Experts more or fewer on a device.")] = None
    memory: Annotated[Any, Word("Memory of a device for experts.", str)] = None
    expert_bytes: Annotated[Any, Word("Bytes of one expert.", str)] = None
    shared_experts: Annotated[int | None, Word("Held by every device.")] = None
    pin: Annotated[list[str] | None, Word("LAYER:EXPERT=DEVICE; repeat.")] = None
    time_limit: Annotated[float, Word("Seconds of search.")] = 60.0
    gap: Annotated[float | None, Word("A proven gap to stop at.")] = None
    seed: Annotated[int | None, Word("Of the search.")] = None
    picture: Annotated[str | None, PICTURE] = None

    def answer(self) -> "PlaceAnswer":
        """The placement, with progress where a person watches."""
        from hwmodel.verbs.placing import place as placed

        own = set(Place.model_fields) - {"picture", "domain", "pin", "time_limit"}
        said = {name: getattr(self, name) for name in own}
        rest: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
        rest |= {"domains": self.domain or None, "pinned": pins(self.pin or ())}
        rest["time_limit_s"] = self.time_limit
        routing = rest.pop("routing")
        if os.isatty(2):
            with Shrinking(self.time_limit) as progress:
                return placed(routing, **rest, progress=progress)
        return placed(routing, **rest)

    def draw(self, answer: "PlaceAnswer", path: str) -> None:
        """The placement."""
        from hwmodel.show.pictures.placement import draw

        draw(answer.routing, answer.placement, path)

    def status(self, answer: "PlaceAnswer") -> int:
        """That of an interruption, where there was one."""
        return 130 if answer.interrupted else 0


@checked
def place(
    routing: "Routing | NDArray[Any] | Sequence[Any] | str | Path",
    on: Machine | None = None,
    *,
    devices: int | None = None,
    time_limit_s: float = 60.0,
    **options: Any,
) -> "PlaceAnswer":
    """Experts of a mixture on devices, so that few tokens cross; with its bound and gap.

    `routing` is read from a file of traces, counts or loads (`hwmodel.experts.traces`) or given;
    loads also as an array, `(layers, experts)` or `(experts,)`. The devices are those of `on`, such
    as `h200 * 8`, or `devices`; `options` are those of `hwmodel.verbs.placing.place` (nodes,
    topology, kind, domains, objective, slack, memory, pinned and so on). Ctrl-C returns the best so
    far. Raises `InputError`, `CapacityError`, `SolverError`.
    """
    from hwmodel.verbs.placing import place as placed

    known = signature(placed).parameters
    for name in options:
        if name not in known:
            raise UnknownNameError("option of place", name, known)
    if on is not None:
        count = machine_of(on).devices
        if devices not in (None, count):
            raise InputError(f"place: on has {count} devices, found devices={devices}")
        devices = count
    return placed(routing, devices=devices, time_limit_s=time_limit_s, **options)


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
