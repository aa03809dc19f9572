"""MLPerf Inference v5.1, language models on GPUs, against what serving predicts.

Results of the closed division (MLCommons; retrieved at the commit that the folder's SOURCE.md
names), read from a folder that holds them (none is shipped): mlperf_inference_v5.1/llm_results.csv.
A row is one replica of many alike, by TensorRT-LLM's rules (on AMD's GPUs vLLM's), with the
budgets, batch and share of memory that were submitted, on steps of the engine:

    Offline   all samples wait: tokens a second in the middle of a closed loop of a full batch
    Server    samples come as a Poisson process at the rate that was served (Interactive too, at
              tighter limits): mean seconds to the first token, and between tokens

The logs say how long answers are, and not prompts. So each dataset has one number, the mean length
of a prompt, that the Offline rows of one GPU set (`SETS`); all other rows are judged by it. Steps
have the one number of each GPU that TensorRT-LLM's own tables gave (`NUMBERS`). Lengths are drawn
with a spread of `SPREAD`, which is assumed.

    python -m hwmodel.validation.mlperf_serving TABLES
"""

import csv
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import HwmodelError
from hwmodel.systems.serving import arrivals
from hwmodel.systems.serving.batch import Batch
from hwmodel.systems.serving.cluster import Ran, run
from hwmodel.systems.serving.lanes import laned
from hwmodel.systems.serving.scheduler import Scheduler, scheduler
from hwmodel.systems.serving.step_tables import Largest
from hwmodel.systems.serving.step_times import EngineSteps, step_times

MODELS = {
    "llama2-70b": "llama-3.1-70b", "llama3.1-405b": "llama-3.1-405b",
    "llama3.1-8b": "llama-3.1-8b", "deepseek-r1": "deepseek-r1",
}  # fmt: skip
"""Names of the benchmark -> shipped configs; rows of other models are left out. Llama 2's of 70
billion differs from its successor in the vocabulary (`CHANGED`)."""
CHANGED: Mapping[str, Mapping[str, int]] = {"llama-3.1-70b": {"vocab_size": 32000}}
GPUS = {
    "H200-SXM": "h200", "B200-SXM": "b200", "GB200": "gb200", "RTX PRO 6000": "rtx-pro-6000",
    "H100-SXM": "h100", "GB300": "gb300", "MI300X": "mi300x", "MI325X": "mi325x",
}  # fmt: skip
"""What a row's GPU is called -> device."""
BY_VLLM = ("mi300x", "mi325x")
"""Devices on which vLLM ran; TensorRT-LLM did on all others."""
NUMBERS = {"h200": 0.99, "b200": 1.05, "gb200": 1.03, "h100": 0.97, "rtx-pro-6000": 1.09}
"""Published over predicted throughput of each GPU in TensorRT-LLM's own tables (`serving_fit.py`):
steps are taken to be as much quicker, and as predicted where there is none."""
SETS = {"llama-3.1-70b": "h200", "llama-3.1-405b": "h200", "llama-3.1-8b": "h200"}
"""Dataset, by its model -> the GPU whose Offline rows set the length of its prompts."""
FORMATS: Mapping[str, Mapping[str, str]] = {
    "fp8": {"quantise": "fp8", "kv_dtype": "fp8"},
    "fp4": {"quantise": "nvfp4", "kv_dtype": "fp8"},
}
SPREAD, SERVED, LONGEST = 0.5, 1500, 16384
"""Coefficient of variation of lengths, requests of a stream, tokens of a sequence."""
SHORTEST, STEPS = (16, 12000), 8
"""Mean prompts that are looked at, and halvings of their logarithm."""


@dataclass(frozen=True)
class Row:
    """One result, of one replica. Seconds are means; None where the logs have none."""

    gpu: str
    model: str
    scenario: str
    weights: str
    parallel: Mapping[str, int]
    rules: Scheduler
    share: float
    output: float
    tokens_per_s: float
    ttft_s: float | None
    tpot_s: float | None

    @property
    def offline(self) -> bool:
        """Whether all samples wait."""
        return self.scenario == "Offline"

    def ran(self, prompt: float) -> Ran:
        """What becomes of its samples with prompts so long on average."""
        lengths = ({"mean": each, "cv": SPREAD} for each in (prompt, self.output))
        clock, batch = _clock(self), self.rules.max_batch
        rate = self.tokens_per_s / self.output
        loop = {"requests": 5 * batch} if self.offline else {"requests": SERVED, "rate_per_s": rate}
        asked = arrivals.stream(*lengths, seed=0, block=self.rules.block_tokens, **loop)
        steps, rules, lanes = laned(clock, self.rules, 1, self.parallel.get("pp", 1))
        return run(asked, steps, rules, replicas=lanes, concurrency=batch if self.offline else None)

    def rate(self, prompt: float) -> float:
        """Tokens generated a second, between the first fifth and the last of a loop."""
        stays = sorted(self.ran(prompt).stays, key=lambda stay: stay.last_s)
        kept = stays[len(stays) // 5 : 4 * len(stays) // 5]
        tokens = sum(stay.request.output for stay in kept[1:])
        return tokens / (kept[-1].last_s - kept[0].last_s)

    def ratios(self, prompt: float) -> tuple[float, ...]:
        """Predicted over published: tokens a second, or first token and between tokens."""
        if self.offline:
            return (self.rate(prompt) / self.tokens_per_s,)
        if self.ttft_s is None or self.tpot_s is None:
            return ()
        kept = self.ran(prompt).stays[SERVED // 5 :]
        first = np.mean([stay.first_s - stay.request.arrival_s for stay in kept])
        more = [stay for stay in kept if stay.request.output > 1]
        between = [(s.last_s - s.first_s) / (s.request.output - 1) for s in more]
        return float(first) / self.ttft_s, float(np.mean(between)) / self.tpot_s


@lru_cache(maxsize=64)
def _steps(
    name: str, gpu: str, weights: str, ways: tuple[tuple[str, int], ...], tokens: int, batch: int,
    share: float,
) -> EngineSteps:  # fmt: skip
    formats: dict[str, Any] = {} if name == "deepseek-r1" else dict(FORMATS[weights])
    return step_times(
        model(model(name).but(**CHANGED.get(name, {})), **formats), gpu,
        engine="vllm" if gpu in BY_VLLM else "trtllm", parallel=dict(ways),
        kv_memory_fraction=share, largest=Largest(tokens, batch, LONGEST), tolerance=0,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Quicker:
    """Steps that take so many times less: a `StepTimes`."""

    clock: EngineSteps
    times: float

    @property
    def kv_tokens(self) -> int:
        """Tokens of cache."""
        return self.clock.kv_tokens

    def seconds(self, batch: Batch) -> float:
        """Duration of a step."""
        return self.clock.seconds(batch) / self.times

    def joules(self, batch: Batch) -> float:
        """Energy of it, of which nothing is known anew."""
        return self.clock.joules(batch)


def _clock(row: Row) -> Quicker:
    ways = tuple(row.parallel.items())
    rules = row.rules
    sizes = rules.max_batch_tokens, rules.max_batch, row.share
    return Quicker(_steps(row.model, row.gpu, row.weights, ways, *sizes), NUMBERS.get(row.gpu, 1.0))


def published(folder: Path) -> Iterator[Row]:
    """Closed results that are no copies, of GPUs and models that are known here."""
    with (folder / "mlperf_inference_v5.1/llm_results.csv").open(encoding="utf-8") as file:
        for each in csv.DictReader(file):
            gpu = next((name for text, name in GPUS.items() if text in each["gpu"]), None)
            name = MODELS.get(each["model"].removesuffix("-99.9").removesuffix("-99"))
            said = all(each[n] for n in ("tp", "max_batch_per_replica", "max_num_tokens"))
            if gpu is None or name is None or not said or each["category"] != "closed":
                continue
            if each["same_run_as_99"] == "True" or "NVL" in each["gpu"]:
                continue
            several = each["gpu"].startswith("Virtual") or "(x" in each["gpu"]
            if several or not each["tokens_per_s"]:
                continue
            yield _row(each, gpu, name)


def _row(each: Mapping[str, str], gpu: str, name: str) -> Row:
    def number(field: str) -> float | None:
        return float(each[field]) if each[field] else None

    ways = {n: int(float(each[n])) for n in ("tp", "pp") if each[n] and float(each[n]) > 1}
    replicas = float(each["n_gpus"]) / np.prod([*ways.values()] or [1])
    ttft, tpot = number("ttft_mean_ms"), number("tpot_mean_ms")
    tokens = int(float(each["max_num_tokens"]))
    batch = min(int(float(each["max_batch_per_replica"])), tokens)
    return Row(
        gpu=gpu,
        model=name,
        scenario=each["scenario"],
        weights=each["weight_dtype"] or each["cfg_precision"],
        parallel=ways or {"tp": 1},
        rules=scheduler("vllm" if gpu in BY_VLLM else "trtllm:max_utilization").but(
            max_batch_tokens=tokens, max_batch=batch
        ),
        share=number("kv_mem_frac") or 0.95,
        output=float(each["mean_output_tokens"]),
        tokens_per_s=float(each["tokens_per_s"]) / float(replicas),
        ttft_s=None if ttft is None else ttft / 1e3,
        tpot_s=None if tpot is None else tpot / 1e3,
    )


def alike(rows: Iterable[Row]) -> list[Row]:
    """Results of the same engine on the same GPU as one, with the means of what was published."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        key = row.gpu, row.model, row.scenario, row.weights, str(row.parallel), row.rules
        found.setdefault((*key, row.ttft_s is None), []).append(row)
    means = ("output", "tokens_per_s", "ttft_s", "tpot_s")

    def mean(mine: Sequence[Row], name: str) -> float | None:
        values = [getattr(row, name) for row in mine]
        return None if None in values else float(np.mean(values))

    return [replace(mine[0], **{n: mean(mine, n) for n in means}) for mine in found.values()]


def prompts(rows: Sequence[Row]) -> dict[str, float]:
    """The mean prompt of each dataset, that the Offline rows of one GPU set."""
    found: dict[str, float] = {}
    for name, gpu in SETS.items():
        mine = [row for row in rows if (row.model, row.gpu, row.offline) == (name, gpu, True)]
        if not mine:
            continue
        low, high = np.log(SHORTEST)
        for _ in range(STEPS):
            middle = (low + high) / 2
            ratios = [row.ratios(float(np.exp(middle)))[0] for row in mine]
            low, high = (middle, high) if np.mean(np.log(ratios)) > 0 else (low, middle)
        found[name] = float(np.exp((low + high) / 2))
    return found


def report(rows: Sequence[Row]) -> Iterable[str]:
    """A line for each model, GPU and scenario: rows, and predicted over published."""
    mean = prompts(rows)
    for name, tokens in mean.items():
        yield f"{name}: prompts of {tokens:,.0f} tokens, by the Offline rows of {SETS[name]}"
    yield ""
    yield "| model | GPU | scenario | rows | tokens a second | first token | between tokens |"
    yield "|---|---|---|---|---|---|---|"
    for key in dict.fromkeys((row.model, row.gpu, row.scenario) for row in rows):
        mine = [row for row in rows if (row.model, row.gpu, row.scenario) == key]
        if key[0] not in mean:
            continue
        try:
            each = [found for row in mine if (found := row.ratios(mean[key[0]]))]
        except HwmodelError as error:
            yield f"| {' | '.join(key)} | {len(mine)} | refused: {error} | | |"
            continue
        columns = [np.array(column) for column in zip(*each, strict=True)]
        cells = (
            ["-", *map(_told, columns)] if key[2] != "Offline" else [*map(_told, columns), "-", "-"]
        )
        yield f"| {' | '.join(key)} | {len(each)} | {' | '.join(cells)} |"


def _told(ratios: "np.ndarray[Any, np.dtype[np.float64]]") -> str:
    """Mean error, and the middle of what is predicted over what is published."""
    error, middle = float(np.mean(np.abs(ratios - 1))), float(np.median(ratios))
    return f"{100 * error:.0f} % ({middle:.2f})"


if __name__ == "__main__":
    for line in report(alike(published(Path(sys.argv[1])))):
        print(line, flush=True)
