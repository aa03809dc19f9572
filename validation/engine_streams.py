"""Streams of requests that a real engine answered, against what serving predicts of them.

`engine_requests.csv` of a sitting holds every request of long streams (`measure.vllm_streams` says
how they are taken). Each stream is run again, the same requests at the same instants, or in the
same closed loop, through the simulation of serving on steps of the engine; nothing is fitted to it.

    python -m hwmodel.validation.engine_streams h200
"""

import csv
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hwmodel.systems.serving.cluster import run
from hwmodel.systems.serving.ends import paced
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import scheduler
from hwmodel.systems.serving.step_tables import Largest
from hwmodel.systems.serving.step_times import step_times
from hwmodel.validation.engine_rows import Measured, engines
from hwmodel.validation.rows import DATA

USERS = " users"
"""What stands behind the number of a closed loop's clients in the name of a stream."""


@dataclass(frozen=True, eq=False)
class Times:
    """Instants of requests: seconds of arrival, first and last token, shape (requests,)."""

    arrival_s: NDArray[np.float64]
    first_s: NDArray[np.float64]
    last_s: NDArray[np.float64]
    outputs: NDArray[np.float64]

    def figures(self) -> dict[str, float]:
        """What is told of a stream: seconds, and tokens a second."""
        first, latency = self.first_s - self.arrival_s, self.last_s - self.arrival_s
        later = (self.last_s - self.first_s) / (self.outputs - 1)
        return {
            "tokens_per_s": float(self.outputs.sum() / self.last_s.max()),
            "ttft_s": float(first.mean()),
            "ttft_p50_s": float(np.median(first)),
            "ttft_p95_s": float(np.quantile(first, 0.95)),
            "tpot_s": float(later.mean()),
            "tpot_p50_s": float(np.median(later)),
            "tpot_p95_s": float(np.quantile(later, 0.95)),
            "latency_s": float(latency.mean()),
            "latency_p95_s": float(np.quantile(latency, 0.95)),
        }


@dataclass(frozen=True, eq=False)
class Answered:
    """One stream: the engine's settings and its requests in the order of their arrival."""

    sitting: str
    device: str
    model: str
    name: str
    settings: Mapping[str, Any]
    lines: Sequence[Mapping[str, str]]

    @property
    def users(self) -> int | None:
        """Clients of a closed loop; None of a stream that comes at a rate."""
        comes = self.name.split(",")[0]
        return int(comes.removesuffix(USERS)) if comes.endswith(USERS) else None

    @cached_property
    def measured(self) -> Times:
        """When requests came and were answered."""
        return Times(*(self._column(n) for n in ("arrival_s", "first_token_s", "end_s", "outputs")))

    def predicted(self, end: int | None = None) -> Times:
        """The same of the simulation, or with steps at an end of their 90 % interval."""
        most = int(self.settings["most_tokens"]), int(self.settings["most_sequences"])
        rules = scheduler("vllm").but(max_batch_tokens=most[0], max_batch=most[1])
        clock = step_times(
            Measured(self.sitting, "", {"model": self.model}).config,
            self.device,
            kv_memory_fraction=self.settings["memory_share"],
            largest=Largest(*most, int(self.settings["longest"])),
            captured=int(self.settings["captured"][-1]),
        )
        if end is not None:
            clock = paced(clock, end)
        sizes = zip(
            self.measured.arrival_s, self._column("prompt"), self.measured.outputs, strict=True
        )
        asked = [Request(0.0 if self.users else float(at), int(i), int(o)) for at, i, o in sizes]
        stays = run(asked, clock, rules, concurrency=self.users).stays
        table = [(s.request.arrival_s, s.first_s, s.last_s, s.request.output) for s in stays]
        return Times(*np.array(table, dtype=np.float64).T)

    def _column(self, name: str) -> NDArray[np.float64]:
        return np.array([float(line[name]) for line in self.lines])


def streams(device: str, data: Path = DATA) -> Iterator[Answered]:
    """The streams that engines answered on a device."""
    for path in sorted((data / device).glob("*/engine_requests.csv")):
        settings = {e["name"]: e for e in engines(device, [path.parent.name], data)}
        with path.open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        for key in dict.fromkeys((line["model"], line["stream"]) for line in lines):
            mine = [line for line in lines if (line["model"], line["stream"]) == key]
            mine.sort(key=lambda line: float(line["arrival_s"]))
            yield Answered(path.parent.name, device, *key, settings[key[0]], mine)


def main(device: str) -> None:
    """Prints what was measured and predicted of each stream."""
    for each in streams(device):
        print(f"{each.sitting} {each.model}: {each.name} ({len(each.lines)} requests)")
        predicted, *ends = (each.predicted(end).figures() for end in (None, 0, 1))
        for name, value in each.measured.figures().items():
            low, high = sorted(end[name] for end in ends)
            error = predicted[name] / value - 1
            print(
                f"  {name:14} measured {value:9.4g}  predicted {predicted[name]:9.4g}  {error:+.1%}"
                f"  of steps' ends {low:9.4g} to {high:9.4g}"
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
