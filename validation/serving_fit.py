"""Throughput of TensorRT-LLM in its published tables, against what serving predicts.

The tables of its documentation (performance overview, versions 0.9 to 1.x), read from a folder that
holds them (none is shipped): trtllm_perf_overview/throughput.csv. In a row all requests wait from
the start; they are of one length, in and out. A row is a run of them through the simulation of
serving, by TensorRT-LLM's rules, on steps of its engine. One number is told for each GPU, the
share that the published throughput is of the predicted one in the middle (geometric mean), and the
errors of models that it was not taken from: each model's rows by the number of all other models.

    python -m hwmodel.validation.serving_fit TABLES [EVERY]
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import HwmodelError
from hwmodel.systems.serving.cluster import run
from hwmodel.systems.serving.lanes import laned
from hwmodel.systems.serving.requests import Request
from hwmodel.systems.serving.scheduler import scheduler
from hwmodel.systems.serving.step_tables import Largest
from hwmodel.systems.serving.step_times import EngineSteps, step_times

MODELS = {
    "Llama-3.1-8B": "llama-3.1-8b", "Llama-3.1-70B": "llama-3.1-70b",
    "Llama-3.3-70B": "llama-3.3-70b", "Llama-3.1-405B": "llama-3.1-405b",
    "Mixtral-8x7B": "mixtral-8x7b", "Mixtral 8x7B": "mixtral-8x7b",
    "Mixtral-8x22B": "mixtral-8x22b", "Mistral-7B": "mistral-7b-v0.1",
    "Mistral 7B": "mistral-7b-v0.1", "LLaMA 7B": "llama-2-7b",
    "Llama-4-Maverick": "llama-4-maverick", "Llama-4-Scout": "llama-4-scout",
    "Qwen3-235B-A22B": "qwen3-235b-a22b", "Qwen3-30B-A3B": "qwen3-30b-a3b",
    "DeepSeek-R1-0528": "deepseek-r1", "GPT-OSS-120B": "gpt-oss-120b",
    "GPT-OSS-20B": "gpt-oss-20b",
}  # fmt: skip
"""Names of the tables -> shipped configs; rows of other models are left out."""
FORMATS: Mapping[str, Mapping[str, str]] = {
    "FP8": {"quantise": "fp8", "kv_dtype": "fp8"},
    "FP4": {"quantise": "nvfp4", "kv_dtype": "fp8"},
    "FP16": {"dtype": "fp16"},
}
STORED: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("gpt-oss-120b", "gpt-oss-20b"), ("FP4", "FP8")),
    "deepseek-r1": ("FP8",),
}
"""Models -> what the tables call weights that stand as their checkpoints have them."""
IN_RANKS = ("1.0", ("qwen3-30b-a3b", "qwen3-235b-a22b"))
"""A version and models whose tp, without stages, is attention in ranks and experts over all of
them: cells that version 1.x has too, which names ranks, are within 2 and 0.3 %, PCIe 5 would not
carry the sums of tp, and on NVLink such rows are 0.75 to 1.11 of what ranks make, 1.8 to 2.5 times
what tp does."""
BUDGET, SEQUENCES, SHARE, QUEUED = 8192, 2048, 0.93, 3000
"""Tokens and sequences of a step, share of the memory (0.90 to 0.95 in the tables' text), requests
where a row does not say how many; of more than these the first are run."""


@dataclass(frozen=True)
class Row:
    """One published run."""

    gpu: str
    version: str
    model: str
    weights: str
    input: int
    output: int
    requests: int
    tokens_per_s: float
    parallel: Mapping[str, int] = field(compare=False)

    def predicted(self) -> float:
        """Tokens generated a second over the whole run. Raises `CoverageError` and its kin."""
        rules = scheduler("trtllm").but(max_batch_tokens=BUDGET, max_batch=SEQUENCES)
        context = 16384 if self.input + self.output <= 16384 else 65536
        clock = _clock(self.model, self.gpu, self.weights, tuple(self.parallel.items()), context)
        queue = [Request(0.0, self.input, self.output)] * self.requests
        steps, each, lanes = laned(clock, rules, 1, self.parallel.get("pp", 1), clock.ranks)
        ran = run(queue, steps, each, replicas=lanes)
        return self.requests * self.output / max(stay.last_s for stay in ran.stays)


@lru_cache(maxsize=64)
def _clock(
    name: str, gpu: str, weights: str, parallel: tuple[tuple[str, int], ...], context: int
) -> EngineSteps:
    formats: dict[str, Any] = dict(FORMATS[weights])
    if weights in STORED.get(name, ()):
        formats = {"kv_dtype": "fp8"}
    return step_times(
        model(name, **formats),
        gpu,
        engine="trtllm",
        parallel=dict(parallel),
        kv_memory_fraction=SHARE,
        largest=Largest(BUDGET, SEQUENCES, context),
        tolerance=0,
    )


def published(folder: Path) -> Iterator[Row]:
    """Rows of the folder's table in which requests wait from the start."""
    with (folder / "trtllm_perf_overview/throughput.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not row["load"].startswith("all requests") or row["model"] not in MODELS:
                continue
            stages = int(row["pp"] or 1)
            name, version = MODELS[row["model"]], row["version"].split()[0]
            told = version == IN_RANKS[0] and name in IN_RANKS[1] and stages == 1
            ranks = int(row["attention_dp_ep"] or (row["tp"] if told else 0) or 0)
            together = ranks if ranks > 1 else 0
            ways = {"dp": together, "ep": together} if together else {"tp": int(row["tp"] or 1)}
            yield Row(
                gpu=row["gpu"].lower().replace(" ", "-"),
                version=version,
                model=name,
                weights=row["weights"],
                input=int(row["isl"]),
                output=int(row["osl"]),
                requests=min(int(row["num_requests"] or QUEUED), QUEUED),
                tokens_per_s=float(row["output_tok_s_total"]),
                parallel=ways | ({"pp": stages} if stages > 1 else {}),
            )


@dataclass(frozen=True)
class Told:
    """What one GPU's rows say: in all, not covered, the number, mean errors with and without."""

    gpu: str
    rows: int
    refused: int
    efficiency: float
    plain: float
    fitted: float
    left_out: float


def told(gpu: str, rows: Sequence[Row]) -> Told:
    """Of the rows of a GPU; errors are means of |predicted / published - 1|."""
    found: list[tuple[str, float]] = []
    for row in rows:
        try:
            found.append((row.model, row.tokens_per_s / row.predicted()))
        except HwmodelError:
            continue
    shares = np.array([share for _, share in found], dtype=np.float64)
    number = _middle([share for _, share in found])
    others = np.array(
        [
            _middle([share for other, share in found if other != name] or [share])
            for name, share in found
        ],
        dtype=np.float64,
    )
    return Told(
        gpu=gpu,
        rows=len(found),
        refused=len(rows) - len(found),
        efficiency=number,
        plain=float(np.mean(np.abs(1 / shares - 1))),
        fitted=float(np.mean(np.abs(number / shares - 1))),
        left_out=float(np.mean(np.abs(others / shares - 1))),
    )


def _middle(shares: Sequence[float]) -> float:
    """The geometric mean."""
    return float(np.exp(np.mean(np.log(np.array(shares, dtype=np.float64)))))


def report(folder: Path, every: int = 1) -> Iterable[str]:
    """A line a GPU, of every n-th of its rows."""
    rows = list(published(folder))
    yield "| GPU | rows | not covered | number | as predicted | with it | models left out |"
    yield "|---|---|---|---|---|---|---|"
    for gpu in dict.fromkeys(row.gpu for row in rows):
        each = told(gpu, [row for row in rows if row.gpu == gpu][::every])
        errors = (f"{100 * x:.0f} %" for x in (each.plain, each.fitted, each.left_out))
        counts = f"{each.rows} | {each.refused} | {each.efficiency:.2f}"
        yield f"| {gpu} | {counts} | {' | '.join(errors)} |"


if __name__ == "__main__":
    for line in report(Path(sys.argv[1]), int((*sys.argv, 1)[2])):
        print(line, flush=True)
