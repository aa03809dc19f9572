"""How much longer kernels take in published steps of training than alone: rows, fit, errors.

Tables of four publishers, read from a folder that holds them (none is shipped):

    llm_foundry_mfu/mpt_training_mfu.csv           MPT by Composer's FSDP on A100 and H100
    torchtitan_training/training.csv               Llama 3.1 by torchtitan's FSDP, tp, pp, cp
    megatron_bridge_training/training_throughput.csv   dense and mixture models on H100 to GB300
    mlperf_training_v5/llm_training.csv            Llama 3.1 8B and 405B, adapters of Llama 2 70B,
                                                   MLPerf Training 5.0, 5.1

A row says tokens a second and device; conditions that it does not say are assumed: sequence
parallelism beside tp, the distributed optimiser (zero 1) under Megatron, no recomputation but where
the table says so. How Megatron-Bridge's steps send tokens to experts, and
whether as graphs, is read in the recipes of each release (`_recipe`). One number is fitted for each
software, device and format (`systems.training.efficiency`); errors are told of configurations that
a fit left out, by five folds that a hash chooses.

    python -m hwmodel.validation.training_fit TABLES
"""

import csv
import hashlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.einsum.workloads.training import training
from hwmodel.einsum.workloads.training_step import Training
from hwmodel.hardware.catalogue import device, devices
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.errors import HwmodelError
from hwmodel.systems.training.alone import Known
from hwmodel.systems.training.efficiency import Key, named, nearest
from hwmodel.systems.training.step import predicted
from hwmodel.systems.training.trained import Trained

MPT = {
    "125m": (12, 768, 12), "350m": (24, 1024, 16), "760m": (24, 1536, 12), "1b": (24, 2048, 16),
    "3b": (32, 2560, 20), "7b": (32, 4096, 32), "13b": (40, 5120, 40), "30b": (48, 7168, 56),
    "70b": (80, 8192, 64),
}  # fmt: skip
"""Layers, width and heads of MPT models (llm-foundry's benchmark configs)."""
MODELS = {
    "llama3.1405b": "llama-3.1-405b", "llama370b": "llama-3.1-70b", "llama38b": "llama-3.1-8b",
    "deepseekv3": "deepseek-v3", "gptoss120b": "gpt-oss-120b", "qwen330ba3b": "qwen3-30b-a3b",
    "qwen3235ba22b": "qwen3-235b-a22b", "kimik2": "kimi-k2",
    "nemotron3nano": "nemotron-3-nano-30b-a3b",
    "nemotron3super": "nvidia--NVIDIA-Nemotron-3-Super-120B-A12B-FP8.json",
    "nemotron3ultra": "nvidia--NVIDIA-Nemotron-3-Ultra-550B-A55B-BF16.json",
    "nemotron35lightning": "nvidia--NVIDIA-Nemotron-3.5-Lightning-30B-A3B-NVFP4.json",
}  # fmt: skip
"""Names without case and signs -> shipped configs, or files of the folder `configs` beside."""
FORMATS = {"BF16": "bf16", "FP8": "fp8", "MXFP8": "fp8", "NVFP4": "nvfp4"}
TITAN = {"Llama-3.1-8B": "8b", "Llama-3.1-70B": "70b", "Llama-3.1-405B": "405b"}
RANK = 16
"""Of adapters: MLPerf's (llama2_70b_lora); Megatron-Bridge's table does not say."""
TASKS = {"Pre-Training Performance": 0, "LoRA Performance": RANK}
FOLDS = 5
SHARES = (0.35, 0.5, 0.65, 0.8, 1.0, 1.25, 1.6, 2.2)
"""Efficiencies at which steps are predicted; between them the logarithm is a line."""
RECIPES = ("dispatch", "overlap")
"""What releases differ in, of one configuration."""
SLOW_H100 = "H100 (96GB"
"""torchtitan's H100 of 96 GB at 2.4 TB/s and 500 W."""


@dataclass(frozen=True)
class Published:
    """One row: a step of training on a device, and its tokens a second and device."""

    table: str
    on: str
    work: Training = field(compare=False)
    tokens_per_s: float
    memory_bytes: float | None = None

    @property
    def key(self) -> Key:
        """Software, device and format, of which one number is fitted."""
        zero = int(self.work.parallel.get("zero", 0))
        return named(zero), self.machine.name, self.work.format

    @property
    def generation(self) -> str | None:
        """Of its device."""
        return self.machine.architecture

    @property
    def machine(self) -> Hardware:
        """The device."""
        return _machine(self.on)

    @property
    def fold(self) -> int:
        """Which of the folds its configuration belongs to; the same in every run."""
        given = (self.table, self.on, self.work.name, self.work.sequence, self.work.format)
        divided = sorted((n, v) for n, v in self.work.parallel.items() if n not in RECIPES)
        said = repr((*given, divided, self.work.devices))
        return hashlib.sha256(said.encode()).digest()[0] % FOLDS

    def predicted(self, share: float | None = None) -> Trained:
        """The step, at another efficiency where that is given."""
        return predicted(self.work, self.machine, efficiency=share, known=self._known)

    def ratio(self, share: float | None = None) -> float:
        """Predicted over measured tokens; at another efficiency on a curve through a few."""
        if share is None:
            return self.predicted().tokens_per_s_per_device / self.tokens_per_s
        found = np.interp(math.log(share), np.log(SHARES), self._curve)
        return math.exp(float(found)) / self.tokens_per_s

    @cached_property
    def _known(self) -> Known:
        """Its kernels, whatever their efficiency."""
        return Known()

    @cached_property
    def _curve(self) -> list[float]:
        """Logarithms of tokens a second at the efficiencies `SHARES`."""
        steps = [self.predicted(share) for share in SHARES]
        return [math.log(step.tokens_per_s_per_device) for step in steps]


@lru_cache(maxsize=32)
def _machine(name: str) -> Hardware:
    if name != SLOW_H100:
        return device(name)
    memory = {"bandwidth": "2.4 TB/s", "capacity": "96 GB"}
    return device("h100").but(hbm=memory, power={"limit": "500 W"})


def published(tables: Path) -> list[Published]:
    """The rows of all tables that are there and that the model covers."""
    found: list[Published] = []
    for name, read in TABLES.items():
        path = tables / name
        if path.is_file():
            with path.open(encoding="utf-8", newline="") as stream:
                for row in csv.DictReader(stream):
                    made = read(row, tables.parent / "configs")
                    found += [] if made is None else [made]
    return found


def _count(text: str | None, default: int = 1) -> int:
    """A number of a cell; the default where it has none."""
    try:
        return int(float(text or ""))
    except ValueError:
        return default


def _mpt(row: Mapping[str, str], _: Path) -> Published | None:
    layers, width, heads = MPT[row["Model"]]
    sequence = _count(row["SeqLen (T)"])
    config = {
        **{"model_type": "mpt", "d_model": width, "n_heads": heads, "n_layers": layers},
        **{"max_seq_len": sequence, "vocab_size": 50368, "expansion_ratio": 4},
    }
    work = training(
        config,
        sequence,
        _count(row["GlobalBatchSize"]),
        _count(row["MicroBatchSize"]),
        devices=_count(row["# GPUs"]),
        zero={"FULL_SHARD": 3, "SHARD_GRAD_OP": 2}.get(row["Sharding Strategy"], 0),
        recompute="full" if row["Activation Checkpointing"] == "True" else "none",
        dtype="fp8" if "fp8" in row["Precision"] else "bf16",
    )
    on = {"h100_80gb": "h100", "a100_80gb": "a100", "a100_40gb": "a100-40gb"}[row["GPU"]]
    return Published("llm-foundry", on, work, float(row["Throughput (T/s/GPU)"]))


def _bridge(row: Mapping[str, str], configs: Path) -> Published | None:
    name = "".join(c for c in row["model"].lower() if c.isalnum() or c == ".")
    on, kind = row["system"].replace("DGX-", "").lower(), FORMATS.get(row["precision"])
    adapters = TASKS.get(row["task"])
    if name not in MODELS or adapters is None or kind is None:
        return None
    config = MODELS[name]
    if on not in devices() or (config.endswith(".json") and not (configs / config).is_file()):
        return None
    work = training(
        configs / config if config.endswith(".json") else config,
        _count(row["seq"]),
        _count(row["gbs"]),
        _count(row["mbs"]),
        devices=_count(row["n_gpus"]),
        zero=3 if _count(row["fsdp"], 0) else 1,
        dtype=kind,
        adapters=adapters,
        **_recipe(row, name, on),
        **_divided(row),
    )
    return Published("megatron-bridge", on, work, float(row["tokens_per_s_per_gpu"]))


COPIED = {
    ("gptoss120b", "h100"): "26.08", ("gptoss120b", "gb300"): "26.06",
    ("gptoss120b", "b300"): "26.02", ("gptoss120b", "gb200"): "26.02",
    ("qwen3235ba22b", "h100"): "26.08", ("qwen3235ba22b", "b200"): "26.08",
    ("qwen3235ba22b", "b300"): "26.04",
}  # fmt: skip
"""Model and device -> the last release whose recipe sends tokens by NCCL's all_to_all; others have
DeepEP's kernels or HybridEP's."""
WHOLE = {
    *(("deepseekv3", on) for on in ("gb200", "gb300")),
    *(("qwen3235ba22b", on) for on in ("gb200", "gb300")),
    *(("qwen330ba3b", on) for on in ("gb200", "gb300", "b300")),
    *(("gptoss120b", on) for on in ("gb200", "gb300")),
}
"""Models and devices whose recipes of MXFP8 from release 26.06 on replay a whole step as one CUDA
graph and send tokens beside kernels."""
BESIDE = {
    ("deepseekv3", "b200"): "26.04.01", ("qwen3235ba22b", "h100"): "26.02",
    ("gptoss120b", "gb200"): "26.04",
}  # fmt: skip
"""Others that send tokens beside kernels, from a release on."""


def _recipe(row: Mapping[str, str], name: str, on: str) -> dict[str, Any]:
    """What the release's recipe says of exchanges and graphs, which the table does not.

    Read in scripts/performance/configs and src/megatron/bridge/perf_recipes of
    NVIDIA-NeMo/Megatron-Bridge at v0.3.0 (release 26.02), v0.4.0 (26.04), v0.5.0 (26.06) and
    067f987 (26.08).
    """
    release = row["release"].split()[0]
    whole = (name, on) in WHOLE and row["precision"] == "MXFP8" and release >= "26.06"
    first = name == "qwen3235ba22b" and on == "b300" and release == "26.02"
    beside = whole or first or release >= BESIDE.get((name, on), "27")
    copied = release <= COPIED.get((name, on), "")
    dispatch, overlap = "all-to-all" if copied else "once", "two-batch" if beside else "none"
    return {"overlap": overlap, "graphs": whole or None, "dispatch": dispatch}


BENCHMARKS = {
    **{"llama31_405b": "llama-3.1-405b", "llama31_8b": "llama-3.1-8b"},
    "llama2_70b_lora": "llama-2-70b",
}
MLPERF_ON = (
    *("gb300", "gb200", "b300", "b200", "h200", "h100"),
    *("mi355x", "mi350x", "mi325x", "mi300x"),
)


def _mlperf(row: Mapping[str, str], _: Path) -> Published | None:
    model = BENCHMARKS.get(row["benchmark"])
    on = next((name for name in MLPERF_ON if name in row["gpu"].lower()), None)
    each_s, samples = row["train_step_time_s_median"], row["throughput_samples_s_median"]
    adapters = RANK if row["benchmark"] == "llama2_70b_lora" else 0
    if not (model and on and row["tp"] and (each_s or (adapters and samples))):
        return None
    if row["fp4"] not in ("True", "False", "") or row["duplicate_of_other_version"] == "True":
        return None
    batch, count, sequence = _count(row["global_batch_size"]), _count(row["n_gpus"]), 8192
    work = training(
        model,
        sequence,
        batch,
        _count(row["mbs"]),
        devices=count,
        zero=1,
        dtype="nvfp4" if row["fp4"] == "True" else "fp8",
        adapters=adapters,
        **_divided(row),
    )
    rate = batch / float(each_s) if each_s else float(samples)
    return Published("mlperf adapters" if adapters else "mlperf", on, work, rate * sequence / count)


def _titan(row: Mapping[str, str], _: Path) -> Published | None:
    divided = _divided(row)
    count = _count(row["n_gpus"])
    replicas = count // int(np.prod([divided.get(name, 1) for name in ("tp", "pp", "cp")]))
    local = _count(row["local_bs"])
    whole = divided.get("pp", 1) == 1
    work = training(
        f"llama-3.1-{TITAN[row['model']]}",
        _count(row["seq"]),
        local * replicas,
        local if whole else 1,
        devices=count,
        zero=3,
        recompute="full" if row["ac"] == "full" else "selective",
        dtype="fp8" if "float8" in row["tech"] else "bf16",
        loss="fused" if "2025" in row["source"] else "whole",
        async_tp="async" in row["tech"].lower(),
        scales="row" if "rowwise" in row["tech"] else "tensor",
        **divided,
    )
    on = SLOW_H100 if row["gpu"].startswith(SLOW_H100) else "h200"
    memory = float(row["mem_gib"]) * 2**30 if row["mem_gib"] else None
    return Published("torchtitan", on, work, float(row["tps_per_gpu"]), memory)


def _divided(row: Mapping[str, str]) -> dict[str, Any]:
    """Degrees above 1; with tp sequence parallelism beside it."""
    names = ("tp", "pp", "cp", "vp", "ep")
    found: dict[str, Any] = {n: _count(row.get(n)) for n in names if _count(row.get(n)) > 1}
    return found | ({"sp": True} if "tp" in found else {})


TABLES: Mapping[str, Callable[[Mapping[str, str], Path], Published | None]] = {
    "llm_foundry_mfu/mpt_training_mfu.csv": _mpt,
    "torchtitan_training/training.csv": _titan,
    "megatron_bridge_training/training_throughput.csv": _bridge,
    "mlperf_training_v5/llm_training.csv": _mlperf,
}


def fitted(rows: Iterable[Published]) -> dict[Key, float]:
    """The number of each software, device and format with the least median error of logarithms."""
    by: dict[Key, list[Published]] = {}
    for row in rows:
        by.setdefault(row.key, []).append(row)
    return {key: _share(mine) for key, mine in sorted(by.items())}


def _share(rows: Sequence[Published]) -> float:
    """Kernels take 1/share of their time alone: found step by step, for a step is no multiple."""
    share = 1.0
    for _ in range(4):
        ratios = [row.ratio(share) for row in rows]
        share /= float(np.exp(np.median(np.log(ratios))))
    return float(f"{share:.3g}")


def errors(rows: Iterable[Published]) -> Iterator[tuple[Published, float]]:
    """Each row with predicted over measured tokens; a row that is refused has none."""
    for row in rows:
        try:
            yield row, row.ratio()
        except HwmodelError:
            continue


def left_out(rows: Sequence[Published]) -> Iterator[tuple[Published, float]]:
    """Each row with predicted over measured tokens, by numbers that did not see its fold."""
    for fold in range(FOLDS):
        seen = fitted(row for row in rows if row.fold != fold)
        for row in rows:
            if row.fold == fold:
                near = row.key if row.key in seen else nearest(seen, row.key, row.generation)
                yield row, row.ratio(seen[near] if near is not None else 1.0)


def intervals(found: Iterable[tuple[Published, float]]) -> dict[str, tuple[float, float]]:
    """By software, the multiples of predicted seconds between which 90 % of those measured lie.

    Seconds measured over predicted are tokens predicted over measured.
    """
    by: dict[str, list[float]] = {}
    for row, ratio in found:
        by.setdefault(row.key[0], []).append(ratio)
    ends = {name: np.quantile(ratios, (0.05, 0.95)) for name, ratios in by.items()}
    return {name: (float(low), float(high)) for name, (low, high) in ends.items()}


def covered(found: Sequence[tuple[Published, float]]) -> float:
    """Share of rows inside the intervals of the other folds."""
    inside: list[bool] = []
    for fold in range(FOLDS):
        seen = intervals(each for each in found if each[0].fold != fold)
        for row, ratio in found:
            if row.fold == fold:
                low, high = seen[row.key[0]]
                inside.append(low <= ratio <= high)
    return float(np.mean(inside))


def main(arguments: Sequence[str]) -> None:
    """Fit on all rows, and report errors on those that fits left out, fold by fold."""
    rows = [row for row, _ in errors(published(Path(arguments[0])))]
    for key, share in fitted(rows).items():
        print(f'    ("{key[0]}", "{key[1]}", "{key[2]}"): {share},')
    found = list(left_out(rows))
    for table in dict.fromkeys(row.table for row in rows):
        off = [abs(ratio - 1) for row, ratio in found if row.table == table]
        told = f"mean {np.mean(off):.3f}  p90 {np.quantile(off, 0.9):.3f}"
        print(f"{table:16} {len(off):4} rows, on folds: {told}")
    for name, (low, high) in intervals(found).items():
        print(f'    "{name}": ({low:.3g}, {high:.3g}),')
    print(f"intervals of the other folds cover {covered(found):.3f} of the rows")


if __name__ == "__main__":
    main(sys.argv[1:])
