"""Throughput of TensorRT-LLM in its published tables, against what serving predicts.

The tables of its documentation (performance overview, versions 0.9 to 1.x), read from a folder that
holds them (none is shipped): trtllm_perf_overview/throughput.csv. In a row all requests wait from
the start; they are of one length, in and out. A row is a run of them through the simulation of
serving, by TensorRT-LLM's rules, on steps of its engine. Budgets are those that its benchmark
starts with (`Budgets.of`), but where a row says its batch. One number is told for each GPU, the
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

from hwmodel.einsum.workloads.model import Model, model
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.engines.engine import Graphs
from hwmodel.machines.gpu.engines.trtllm import ENGINE
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
    "GPT-OSS-20B": "gpt-oss-20b", "LLaMA 70B": "llama-2-70b", "Falcon 180B": "falcon-180b",
    "GPT-J 6B": "gpt-j-6b",
}  # fmt: skip
"""Names of the tables -> models."""
CONFIGS: Mapping[str, tuple[Any, Mapping[str, Any]]] = {
    "falcon-180b": (
        "falcon-7b",
        {
            **{"hidden_size": 14848, "num_hidden_layers": 80, "num_attention_heads": 232},
            **{"new_decoder_architecture": True, "num_kv_heads": 8},
        },
    ),
    "gpt-j-6b": (
        {
            **{"model_type": "gptj", "n_embd": 4096, "n_layer": 28, "n_head": 16},
            **{"n_positions": 2048, "rotary_dim": 64, "vocab_size": 50400},
            **{"tie_word_embeddings": False},
        },
        {},
    ),
}
"""Models that are not shipped -> a config, and what changes of it (their cards on Hugging Face)."""
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
SHARE, QUEUED = 0.93, 3000
"""Share of the memory (0.90 to 0.95 in the tables' text), requests where a row does not say how
many; of more than these and four batches the first are run."""
BUILT = ("0.9.0", "0.17")
"""Versions whose engines TensorRT compiled, which capture no graphs."""
MEMORIES: Mapping[str, Mapping[str, Any]] = {
    "gh200": {"dram": {"capacity": "96 GB", "bandwidth": "4 TB/s"}},
}
"""Memory of a device that comes with more than one: of those of a GH200 this one makes half of what
an H200 does beside the 70 GB of Llama-3.1-70B, as the tables' does."""


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

    batch: int | None = None
    """Sequences of a batch that stands from the first step to the last, where it does."""

    @property
    def devices(self) -> int:
        """All of them."""
        return int(np.prod([size for name, size in self.parallel.items() if name != "ep"]))

    def predicted(self) -> float:
        """Tokens generated a second over the whole run. Raises `CoverageError` and its kin."""
        budgets = Budgets.of(self)
        stages = self.parallel.get("pp", 1)
        rules = scheduler("trtllm").but(
            max_batch_tokens=budgets.tokens, max_batch=budgets.sequences * stages
        )
        context = 16384 if self.input + self.output <= 16384 else 65536
        clock = _clock(
            *(self.model, self.gpu, self.weights, tuple(self.parallel.items()), context),
            *(budgets, self.version in BUILT),
        )
        count = min(self.requests, max(QUEUED, 4 * budgets.sequences * stages))
        queue = [Request(0.0, self.input, self.output)] * count
        steps, each, lanes = laned(clock, rules, 1, stages, clock.ranks)
        ran = run(queue, steps, each, replicas=lanes)
        return count * self.output / max(stay.last_s for stay in ran.stays)


@dataclass(frozen=True)
class Budgets:
    """What an engine is started with: tokens of a step, and sequences of each stage's batch."""

    tokens: int
    sequences: int

    @classmethod
    def of(cls, row: Row) -> "Budgets":
        """As TensorRT-LLM's benchmark chooses them (NVIDIA/TensorRT-LLM, bench/build/tuning.py).

        Sequences are those that the cache would hold if nothing but weights lay beside it, up to
        4,096 over all stages, rounded up; tokens what they read and make of a request for each that
        they make, up to 32,768, rounded up. Each rank that attends apart has as many.
        """
        if row.batch is not None:
            return cls(min(32768, row.batch * row.input), row.batch)
        made, on = _model(row.model, row.weights), _device(row.gpu)
        weights = row.devices * float(on.memory("dram").capacity_bytes) - made.weight_bytes
        room = SHARE * weights / (made.kv_bytes_per_token * (row.input + row.output))
        each = min(room, 4096) / row.parallel.get("pp", 1)
        tokens = min(each * (1 + row.input / row.output), 32768)
        by = 32 if each < 256 else 128 if each < 1024 else 256
        more = 256 if tokens < 4096 else 512 if tokens < 8192 else 1024
        return cls(max(2048, _up(tokens, more)), max(64, _up(each, by)))


def _up(size: float, step: int) -> int:
    return step * int(np.ceil(size / step))


def _model(name: str, weights: str) -> Model:
    formats: dict[str, Any] = dict(FORMATS[weights])
    if weights in STORED.get(name, ()):
        formats = {"kv_dtype": "fp8"}
    config, changes = CONFIGS.get(name, (name, {}))
    plain = model(config, **({} if changes else formats))
    return model(plain.but(**changes), **formats) if changes else plain


def _device(name: str) -> Hardware:
    return device(name).but(**MEMORIES.get(name, {}))


@lru_cache(maxsize=64)
def _clock(
    name: str,
    gpu: str,
    weights: str,
    parallel: tuple[tuple[str, int], ...],
    context: int,
    budgets: Budgets,
    built: bool,
) -> EngineSteps:
    return step_times(
        _model(name, weights),
        _device(gpu),
        engine=ENGINE.but(graphs=Graphs((1,))) if built else ENGINE,
        parallel=dict(parallel),
        kv_memory_fraction=SHARE,
        largest=Largest(budgets.tokens, budgets.sequences, context),
        tolerance=0,
    )


def published(folder: Path) -> Iterator[Row]:
    """Rows of the folder's table that say a throughput."""
    with (folder / "trtllm_perf_overview/throughput.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if not row["output_tok_s_total"] or row["model"] not in MODELS:
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
                requests=int(row["num_requests"] or row["max_batch"] or QUEUED),
                tokens_per_s=float(row["output_tok_s_total"]),
                parallel=ways | ({"pp": stages} if stages > 1 else {}),
                batch=int(row["max_batch"]) if row["max_batch"] else None,
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
