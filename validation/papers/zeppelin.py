"""Zeppelin's zones: sequences of many lengths on one device each, on a box, or on all of them.

Of the paper (arXiv 2509.21841) the abstract alone: 2.80 times as fast as the state of the art on
average. Its clusters, models and data sets were not read. Ours: 64 H100 in boxes of eight, a batch
of 256 Ki tokens with a long tail, LLaMA2-7B's layers forward. Plainly every sequence is cut over
all devices, keys and values passed around one ring, those of a length together. By zones each, the
longest first, goes to the device, the box or the whole cluster on which it ends soonest; what
a zone takes is `predict`'s, and the event simulation says when all have ended. The layer that
moves tokens between attention and products is not there: products stay where attention is.
"""

from collections.abc import Mapping
from typing import Any

from hwmodel.einsum.workloads.model import model
from hwmodel.machines.driver import predict
from hwmodel.systems.events import simulate
from hwmodel.systems.tasks import Tasks
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

BOX, DEVICES = 8, 64
ZONES = (1, BOX, DEVICES)
BATCH: Mapping[int, int] = {65_536: 1, 32_768: 2, 8192: 8, 2048: 16, 1024: 32}
"""Tokens of a sequence -> sequences; a prior: half of the tokens in the longest tenth."""


def zones(given: Given) -> tuple[Claim, ...]:
    """How much sooner a batch ends by zones."""
    most = given("tokens of the longest sequence", 65_536, 131_072)
    batch = {most if size == 65_536 else size: many for size, many in BATCH.items()}
    took = {size: {zone: seconds(given, size, zone) for zone in ZONES} for size in batch}
    plain = sum(seconds(given, size, DEVICES, many) for size, many in batch.items())
    return (
        Claim(
            *("Zeppelin", "speed of a batch over one ring through all devices", 2.8),
            *(plain / zoned_s(batch, took), 0.2, "abstract: on average"),
            within="cluster, model and lengths are priors",
            cause="links bind the ring here, for a dozen times as long as it computes, on one card"
            " of a box's eight; on 16 and 32 devices 3.9 and 3.3 come out; theirs were not read",
        ),
    )


def seconds(given: Given, tokens: int, devices: int, many: int = 1) -> float:
    """Sequences forward together, each cut over so many devices in a ring."""
    llama = model("llama-2-7b").but(num_hidden_layers=given("layers", 4))
    ways: dict[str, Any] = {"tp": 1, "cp": devices, "attends": "ring"}
    machine = given.device("h100")
    network = "h100-ndr" if devices > BOX else None
    work = llama.prefill(many, tokens, parallel=ways if devices > 1 else None)
    return float(predict(work, machine * devices, topology=network).time_s)


def zoned_s(batch: Mapping[int, int], took: Mapping[int, Mapping[int, float]]) -> float:
    """When all sequences have ended, each where it ends soonest, the longest first."""
    tasks, free = Tasks(), [0.0] * DEVICES
    places = [tasks.resource(f"device {number}", order="program") for number in range(DEVICES)]
    for size in sorted(batch, reverse=True):
        for number in range(batch[size]):
            options = [
                (max(free[first : first + zone]) + took[size][zone], zone, first)
                for zone in ZONES
                for first in range(0, DEVICES, zone)
            ]
            end, zone, first = min(options)
            free[first : first + zone] = [end] * zone
            on = places[first : first + zone]
            tasks.task(f"{size} tokens, {number}", took[size][zone], on)
    return float(simulate(tasks).makespan_s)


PROGRAMS = (zones,)
