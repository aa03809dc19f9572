"""`split`: where to cut a network between a device and a server, and from which link on.

Networks are residual ones (resnet50, resnet101, resnet152), `bottlefit-3` (ResNet-152 with a
bottleneck of 3 channels) and those of the workload `cnn`, in int8; what is sent has 8 bits an
element. The device waits at its idle power.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np

from hwmodel.einsum.workloads import cnn
from hwmodel.einsum.workloads.layer import Network
from hwmodel.einsum.workloads.resnet import BLOCKS, bottlefit, resnet
from hwmodel.hardware.catalogue import device
from hwmodel.machines.driver import predict
from hwmodel.quantity.errors import UnknownNameError
from hwmodel.quantity.units import amount, show
from hwmodel.show.html import Notebook
from hwmodel.spine.estimate import Estimate
from hwmodel.systems.split import Cut, Radio, Splits, cuts, splits, stack
from hwmodel.text.grid import grid
from hwmodel.verbs.ask import ON, PICTURE, Question, Word

RATES = np.logspace(3, 9, 241)
"""Link rates of the picture, 1 kB/s to 1 GB/s."""


@dataclass(frozen=True, eq=False, repr=False)
class SplitAnswer(Notebook):
    """One network on a device and a server: every cut at one link rate, and the crossovers."""

    network: Network
    device: Estimate
    server: Estimate
    link: Radio
    splits: Splits
    idle_w: float

    @property
    def rows(self) -> tuple[tuple[str, int], ...]:
        """The cuts that people compare: device alone, image sent, fastest, thriftiest."""
        last = len(self.splits.cuts) - 1
        found = {"device alone": last, "image sent": 0}
        found |= {"fastest": int(self.splits.fastest), "least energy": int(self.splits.thriftiest)}
        return tuple(found.items())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of both estimates, each once."""
        both = (*self.device.warnings, *self.server.warnings)
        return tuple(dict.fromkeys(both))

    def record(self) -> dict[str, Any]:
        """Every field, for JSON."""
        found = self.splits

        def cut(at: int) -> dict[str, Any]:
            seconds = {"head_s": found.head_s[at], "link_s": found.link_s[at]}
            return {
                **{"name": found.cuts[at].name, "layers": found.cuts[at].layers},
                **{"bytes": found.cuts[at].bytes, "time_s": float(found.time_s[at])},
                **{name: float(value) for name, value in seconds.items()},
                **{"tail_s": float(found.tail_s[at]), "device_j": float(found.energy_j[at])},
            }

        return {
            "network": self.network.name,
            **{"device": self.device.device, "server": self.server.device},
            **{"rate_bytes_per_s": float(found.rate_bytes_per_s)},
            **{"round_trip_s": found.round_trip_s, "transmit_w": self.link.transmit_w},
            **{name.replace(" ", "_"): cut(at) for name, at in self.rows},
            "crossovers": [
                {"up_to_bytes_per_s": None if np.isinf(rate) else rate, "cut": best.name}
                for rate, best in found.crossovers()
            ],
            "cuts": [cut(at) for at in range(len(found.cuts))],
            "warnings": list(self.warnings),
        }

    def __str__(self) -> str:
        """The fastest cut in one line, the cuts that people compare, and the crossovers."""
        found, rate = self.splits, show(float(self.splits.rate_bytes_per_s), "bytes_per_s")
        best = found.cuts[int(found.fastest)]
        told = (
            f"{self.network.name}: fastest at {rate} with {_place(best)}:"
            f" {show(float(found.time_s[int(found.fastest)]), 's')}"
        )
        rows = [
            [
                name,
                _place(found.cuts[at]),
                show(float(found.cuts[at].bytes), "bytes"),
                *(show(float(t[at]), "s") for t in (found.head_s, found.link_s, found.tail_s)),
                show(float(found.time_s[at]), "s"),
                show(float(found.energy_j[at]), "j"),
            ]
            for name, at in self.rows
        ]
        heads = ("", "cut", "sent", "device", "link", "server", "latency", "device energy")
        lines = ["fastest cut by link rate"]
        low = 0.0
        for end, cut in found.crossovers():
            above = show(low, "bytes_per_s") if low else "0 B/s"
            to = "on" if np.isinf(end) else f"to {show(end, 'bytes_per_s')}"
            lines.append(f"  from {above} {to}: {_place(cut)}")
            low = end
        machines = f"device  {self.device.device}\nserver  {self.server.device}"
        warned = "\n".join(["warnings", *(f"  - {text}" for text in self.warnings)])
        blocks = (told, grid(heads, rows, left=(0, 1)), "\n".join(lines), machines, warned)
        return "\n\n".join(blocks if self.warnings else blocks[:-1])


def _place(cut: Cut) -> str:
    if not cut.bytes:
        return "no cut"
    return "all on the server" if not cut.layers else f"cut after {cut.name}"


def split(
    network: str,
    *,
    on: str,
    server: str,
    rate: str,
    round_trip: str = "5 ms",
    transmit: str = "1 W",
) -> SplitAnswer:
    """Predict a network on both machines and compare all cuts.

    Raises `InputError` for units and `UnknownNameError` for networks and machines.
    """
    made = named(network)
    layers, machine = stack(made, "int8"), device(on)
    near, far = predict(layers, machine), predict(layers, server)
    idle_w = float(np.max(machine.power.idle_w))
    given = {
        "round_trip_s": float(amount(round_trip, "s", where="--round-trip", zero=True)),
        "transmit_w": float(amount(transmit, "w", where="--transmit", zero=True)),
    }
    link = Radio("link", amount(rate, "bytes_per_s", where="--rate"), **given)
    found = splits(near, far, cuts(made), link, idle_w=idle_w)
    return SplitAnswer(made, near, far, link, found, idle_w)


def named(network: str) -> Network:
    """A network by its name; `UnknownNameError` lists those that exist."""
    bottled = re.fullmatch(r"bottlefit-(\d+)", network)
    if bottled:
        return bottlefit(int(bottled[1]))
    if network in BLOCKS:
        return resnet(network)
    if network in cnn.NETWORKS or network.endswith(cnn.FILES):
        return cnn.network(network, None, 1.0, None)
    raise UnknownNameError("network", network, (*BLOCKS, "bottlefit-3", *cnn.NETWORKS))


class Split(Question):
    """Where to cut a network between a device and a server, and at which link rates."""

    verb: ClassVar[str] = "split"
    example: ClassVar[str] = "split bottlefit-3 --on raspberry-pi-4 --server xeon-8380 --rate 2MB/s"

    network: Annotated[str, Word("resnet152, bottlefit-3, mobilenetv2, ...", place=True)]
    on: Annotated[str, ON]
    server: Annotated[str, Word("The machine at the other end of the link.")]
    rate: Annotated[str, Word("Of the link: 2MB/s or 16Mb/s.")]
    round_trip: Annotated[str, Word("Of the link.")] = "5 ms"
    transmit: Annotated[str, Word("Power of the device's radio.")] = "1 W"
    picture: Annotated[str | None, PICTURE] = None

    def answer(self) -> SplitAnswer:
        """Every cut at one link rate, and the crossovers."""
        given = {name: getattr(self, name) for name in Split.model_fields if name != "picture"}
        return split(given.pop("network"), **given)

    def draw(self, answer: SplitAnswer, path: str) -> None:
        """Latency by link rate and cut."""
        from hwmodel.show.pictures.split import draw

        found, link = answer.splits, answer.link
        many = Radio("link", RATES, round_trip_s=link.round_trip_s, transmit_w=link.transmit_w)
        at = splits(answer.device, answer.server, found.cuts, many, idle_w=answer.idle_w)
        shown = int(np.argmin(np.abs(np.log(RATES / float(found.rate_bytes_per_s)))))
        title = f"{answer.network.name}: {answer.device.device} and {answer.server.device}"
        draw(at, shown, title, Path(path))
