"""Streams at given rates through TensorRT-LLM, as its documentation has them, against serving.

The table of online serving (performance overview, version 0.14: 500 requests of mean lengths at 2
to 32 a second, and all at once), read from a folder that holds it (none is shipped):
trtllm_online_serving_qps/qps_ttft_itl.csv. A row is a run of the workload `serving` by the rules
and on the steps of that engine, with all lengths at their means, since spreads are not told. Times
are compared where they settle: at rates of which the published run kept up with `KEPT`.

    python -m hwmodel.validation.serving_qps TABLES
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from hwmodel.einsum.workloads.model import model
from hwmodel.systems.serving.served import Served
from hwmodel.systems.serving.stream import predicted

KEPT = 0.85
"""Of a row's rate that it must have served for its times to be those of a queue that settles."""


@dataclass(frozen=True)
class Row:
    """One published run; seconds are means."""

    model: str
    gpu: str
    tp: int
    input: int
    output: int
    requests: int
    rate_per_s: float
    served_per_s: float
    ttft_s: float
    between_s: float
    tokens_per_s: float

    @property
    def settles(self) -> bool:
        """Whether the published run kept up with its rate."""
        return self.served_per_s >= KEPT * self.rate_per_s

    @cached_property
    def predicted(self) -> Served:
        """The same stream; all requests at once where the rate is none."""
        rate = self.rate_per_s if self.rate_per_s < float("inf") else 1e6
        work = model(self.model).serving(
            input=self.input,
            output=self.output,
            rate_per_s=rate,
            requests=self.requests,
            tp=self.tp,
        )
        return predicted(work, self.gpu, engine="trtllm")

    def ratios(self) -> tuple[float, float, float]:
        """Predicted over published: first token, between tokens, tokens a second."""
        found = self.predicted
        return (
            found.ttft_s / self.ttft_s,
            found.tpot_s / self.between_s,
            found.output_tokens_per_s / self.tokens_per_s,
        )


def published(folder: Path) -> Iterator[Row]:
    """Rows of the folder's table."""
    path = folder / "trtllm_online_serving_qps/qps_ttft_itl.csv"
    with path.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield Row(
                model=row["model"].lower(),
                gpu=row["gpu"].lower(),
                tp=int(row["tp"]),
                input=int(row["isl_mean"]),
                output=int(row["osl_mean"]),
                requests=int(row["num_requests"]),
                rate_per_s=float(row["qps"]),
                served_per_s=float(row["achieved_req_s"]),
                ttft_s=float(row["mean_ttft_ms"]) / 1e3,
                between_s=float(row["mean_itl_ms"]) / 1e3,
                tokens_per_s=float(row["output_tok_s"]),
            )


def report(rows: Sequence[Row]) -> Iterable[str]:
    """A line for each model and GPU: mean errors of times that settle, and of all throughput."""
    yield "| model | GPU | rows | settle | first token | between tokens | tokens a second |"
    yield "|---|---|---|---|---|---|---|"
    for key in dict.fromkeys((row.model, row.gpu) for row in rows):
        mine = [row for row in rows if (row.model, row.gpu) == key]
        each = np.array([row.ratios() for row in mine])
        calm = each[[row.settles for row in mine]]
        cells = [_told(calm[:, 0]), _told(calm[:, 1]), _told(each[:, 2])]
        yield f"| {key[0]} | {key[1]} | {len(mine)} | {len(calm)} | {' | '.join(cells)} |"


def _told(ratios: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> str:
    """Mean error, and the middle of what is predicted over what is published."""
    if not len(ratios):
        return "-"
    error, middle = float(np.mean(np.abs(ratios - 1))), float(np.median(ratios))
    return f"{100 * error:.0f} % ({middle:.2f})"


if __name__ == "__main__":
    for line in report(list(published(Path(sys.argv[1])))):
        print(line, flush=True)
