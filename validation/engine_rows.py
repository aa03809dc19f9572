"""Measured steps of engines, and their kernels by class: what `engine*.csv` of a sitting hold.

A step is one row of `engine.csv` (`vllm_engine.py` says how it was taken); a model's name is a
shipped config, then, each after a dot, its quantisation (`.fp8`, `.fp8-block`), the format of keys
and values (`.kv-fp8`), the devices that it is divided over (`.tp2`) and how many of its layers ran
(`.24layers`), each only where it is not the config's. Sittings of several devices stand beside
those of one, under `DEVICE-x2`. Kernels of `engine_kernels.csv` are put into classes by their
names, so that the sum of predicted kernels can be held against the GPU-busy time of each.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.machines.gpu.engines.step import ROUTES
from hwmodel.spine.estimate import Estimate
from hwmodel.validation.fit import is_test
from hwmodel.validation.rows import DATA, Row

CLASSES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("combine", ("FlashAttnFwdCombine", "merge_attn_states")),
    ("attention", ("flash::", "FlashAttnFwd", "flash_mla", "mla::", "_fwd_kernel_stage")),
    ("recurrence", ("_selective_scan", "_causal_conv1d", "_chunk_", "_bmm_chunk", "_state_")),
    ("rotary", ("index_select_mul", "rotary")),
    ("experts", ("fused_moe_kernel", "_p_matmul_ogs", "matmul_ogs")),
    (
        "choice",
        ("topkGating", "moe_align", "count_and_sort", "grouped_topk", "topk", "fused__soft"),
    ),
    ("choice", ("_combined_routing", "_sum_bitmatrix", "_topk_forward")),
    ("sum", ("moe_sum", "ReduceOp<c10::BFloat16", "memcpy32_post", "_reduce_grouped")),
    ("product", ("nvjet", "gemm", "splitKreduce", "cutlass_3x", "gemv", "cublas")),
    ("cache", ("reshape_and_cache", "concat_and_cache")),
    ("gate", ("silu", "act_and_mul", "gelu", "launch_clamp_scalar", "pow_tensor_scalar")),
    ("norm", ("rms_norm",)),
    ("narrow", ("clamp_cutlass_scaled_mm", "quant")),
    ("reduce", ("all_reduce", "allreduce", "ncclDevKernel", "cross_device_reduce")),
    ("sampling", ("SoftMax", "ArgMax", "distribution_elementwise", "DivF<float>")),
)
"""Class of kernels -> beginnings or pieces of names, the first that fits."""

CLASS_OF_STAGE: Mapping[str, str] = {
    **dict.fromkeys(("qkv", "attention output", "gate-up", "down", "head", "router"), "product"),
    **dict.fromkeys(("latents", "queries", "q up", "kv up", "q absorb", "value up"), "product"),
    **dict.fromkeys(("shared gate-up", "shared down"), "product"),
    **dict.fromkeys(("mixer input", "mixer output", "up", "shared up"), "product"),
    **dict.fromkeys(("mamba norm", "moe norm", "mixer output norm", "shared add"), "norm"),
    **dict.fromkeys(("mamba residual", "moe residual", "attention residual"), "norm"),
    **dict.fromkeys(("causal conv", "steps softplus", "linear recurrence"), "recurrence"),
    **dict.fromkeys(("mixer gate", "mixer gate multiply", "relu2", "shared relu2"), "gate"),
    **dict.fromkeys(("experts relu squared", "shared gate"), "gate"),
    "query join": "rotary",
    "experts up": "experts",
    **dict.fromkeys(("attention output norm", "mlp output norm", "latent norm"), "norm"),
    "latent write": "cache",
    **dict.fromkeys(("first norm", "attention norm", "mlp norm", "final norm"), "norm"),
    "attention to fp8": "narrow",
    "queries to fp8": "other",
    "kv write": "cache",
    **dict.fromkeys(("gate", "experts gate"), "gate"),
    **dict.fromkeys(("experts gate-up", "experts down"), "experts"),
    **dict.fromkeys(("experts choice", "experts mask", "rows align", "rows place"), "choice"),
    "experts sum": "sum",
    **dict.fromkeys(("all_reduce", "all_gather"), "reduce"),
    **dict.fromkeys(
        ("logits to fp32", "temperature", "probabilities", "random", "race", "token"), "sampling"
    ),
}
"""Stage of an engine -> class; `attention...` is attention, all else "other"."""

UNQUANTISED = ", not quantised"
"""What stands behind the name of a product that a checkpoint leaves wide."""

ENGINE = "vllm"

KINDS = (
    *(
        f"{ENGINE} {kind} {phase}"
        for kind in ("dense", "mixture")
        for phase in ("decode", "prefill", "mixed")
    ),
    *(f"{ENGINE} on {count} GPUs" for count in (2, 4, 8)),
)
"""Lines of the report."""

SAMPLING_FROM_S = 12e-6
"""Torch's elementwise kernels that take as long are the sampler's, in fp32 over all logits."""


LEARNT = ("decode", "prefill")
"""Phases whose steps a fit may read."""

PREDICTED = (*LEARNT, "mixed")
"""Phases whose steps are predicted."""

MIXED = ("decodes", "decode_keys", "prompts", "prompt_tokens", "prompt_keys")
"""Columns that say what a mixed step carries."""

FITTED = ("2026-11-28-m", "2026-11-28-p")
"""Sittings whose steps a fit of an engine reads; of others it reads none."""


NAMED = re.compile(
    r"(?P<model>.+?)(\.(?P<quantised>fp8|fp8-block))?(\.kv-(?P<kept>fp8))?(\.tp\d+)?"
    r"(\.(?P<layers>\d+)layers)?"
)
"""What a row calls a model."""


@dataclass(frozen=True)
class Measured:
    """One row of `engine.csv`, its board and its sitting."""

    sitting: str
    board: str
    columns: Mapping[str, str]

    def _named(self, part: str) -> str | None:
        found = NAMED.fullmatch(self.columns["model"])
        return found[part] if found else None

    @property
    def model(self) -> str:
        """The shipped config that was run."""
        return self._named("model") or self.columns["model"]

    @property
    def quantised(self) -> str | None:
        """How weights and activations were quantised, as `hw.model(quantise=)` names it."""
        return self._named("quantised")

    @property
    def _formats(self) -> tuple[str | None, str | None, str | None]:
        """Of weights, and of keys and values, where not the config's; layers, where fewer."""
        return self.quantised, self._named("kept"), self._named("layers")

    @property
    def tp(self) -> int:
        """GPUs that divide the model."""
        return int(self.columns.get("tensor_parallel") or 1)

    @property
    def phase(self) -> str:
        """decode, prefill or mixed."""
        return self.columns["phase"]

    @property
    def time_s(self) -> float:
        """Seconds of the step by the wall."""
        return float(self.columns["time_s"])

    @property
    def whole(self) -> bool:
        """Whether all its steps are alike: of a mixed row, that each carries whole prompts.

        Rows of steps that fill an engine are means over chunks which differ.
        """
        if self.phase != "mixed":
            return True
        return self._count("prompt_tokens") == self._count("prompt_keys")

    @property
    def fitted_half(self) -> bool:
        """Whether a fit may read the step, which another half is judged by."""
        return not is_test(self.row())

    @property
    def sizes(self) -> Mapping[str, int]:
        """Sequences, keys and tokens, named as the model's phase names them."""
        if self.phase != "mixed":
            length = "context" if self.phase == "decode" else "prompt"
            return {name: round(self._count(name)) for name in ("batch", length)}
        decodes, prompts = self._count("decodes"), self._count("prompts")
        return {
            **{"batch": round(decodes), "context": round(self._count("decode_keys") / decodes)},
            **{"prompts": round(prompts), "prompt": round(self._count("prompt_tokens") / prompts)},
        }

    def _count(self, name: str) -> float:
        return float(self.columns[name])

    def workloads(self) -> tuple[tuple[Stack, float], ...]:
        """The step, once."""
        return ((self.workload(), 1.0),)

    def workload(self) -> Stack:
        """The step as a phase of the model."""
        return phase_of(self.config, self.phase, self.sizes)

    @property
    def config(self) -> Model:
        """The model, in the formats in which it ran."""
        return _config(self.model, *self._formats)

    @property
    def kind(self) -> str:
        """The line of the report that judges it."""
        if self.tp > 1:
            return f"{ENGINE} on {self.tp} GPUs"
        mixed = _routes(self.model, *self._formats)
        return f"{ENGINE} {'mixture' if mixed else 'dense'} {self.phase}"

    def row(self, part: str = "") -> Row:
        """The step, or a class of its kernels, as a row of the report."""
        names = ("model", "phase", "batch", "prompt", "context", *MIXED, "time_s")
        columns: dict[str, Any] = {n: self.columns[n] for n in names if self.columns.get(n)}
        columns |= {"family": "step", "kernel": ENGINE, "dtype": "bf16", "part": part}
        return Row(self.sitting, self.board, {**columns, "kind": self.kind, "step": self})

    def number(self, name: str) -> float | None:
        """A column, where it has a value."""
        text = self.columns.get(name) or ""
        return float(text) if text else None


ALONE = {
    ("vllm:deep-gemm", "gemm"): ("2026-11-29-ae",),
    ("vllm:narrow-cache", "prefill"): ("2026-11-29-ak",),
    ("vllm:narrow-cache", "decode"): ("2026-11-29-ak",),
}
"""Library and schedule -> sittings to whose profiled kernels that family is fitted: nothing else of
them is, but their steps are no test."""


@dataclass(frozen=True)
class Busy:
    """GPU-busy seconds of one profiled step by class of kernels."""

    step: Measured
    busy_s: Mapping[str, float]
    calls: Mapping[str, float]

    @property
    def total_s(self) -> float:
        """All of them."""
        return sum(self.busy_s.values())


@lru_cache(maxsize=256)
def _config(name: str, quantised: str | None, kept: str | None, layers: str | None) -> Model:
    """A model in the formats in which it ran, read once for all of its rows."""
    whole = model(name, quantise=quantised, kv_dtype=kept)
    return whole if layers is None else whole.but(num_hidden_layers=int(layers))


@lru_cache(maxsize=256)
def _routes(name: str, quantised: str | None, kept: str | None, layers: str | None) -> bool:
    """Whether a step of a model sends tokens to experts."""
    stages = _config(name, quantised, kept, layers).decode(1, 1).stages
    return any(stage.role == ROUTES for stage in stages)


def phase_of(config: Model, phase: str, sizes: Mapping[str, Any]) -> Stack:
    """A phase of a model at sizes that may be arrays."""
    return getattr(config, phase)(**sizes)


def predicted(rows: Sequence[Row], hardware: Hardware) -> Iterator[tuple[list[Row], Estimate]]:
    """Steps with their estimates, those of one phase of a model together."""
    alike: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        alike.setdefault((row.columns["model"], row.columns["phase"]), []).append(row)
    for each in alike.values():
        first: Measured = each[0].columns["step"]
        alone = [row.columns["step"].sizes for row in each]
        sizes = {name: np.array([one[name] for one in alone], dtype=float) for name in first.sizes}
        work = phase_of(first.config, first.phase, sizes)
        on, ways = hardware * first.tp, {"tp": first.tp}
        yield each, predict(work, on, parallel=ways, engine=ENGINE)


def fits(step: Measured) -> bool:
    """Whether a fit may read anything of the step's board, and it is a step that is predicted."""
    return step.sitting in FITTED and step.phase in LEARNT


def seen(step: Measured) -> bool:
    """Whether a fit read anything of the step's sitting."""
    return fits(step) or any(step.sitting in each for each in ALONE.values())


def class_of_stage(name: str) -> str:
    """Class of kernels of an engine's stage."""
    name = name.removesuffix(UNQUANTISED)
    if name in CLASS_OF_STAGE:
        return CLASS_OF_STAGE[name]
    return "attention" if name.startswith("attention") else "other"


def class_of(kernel: str, seconds: float) -> str:
    """Class of a kernel by its name; `seconds` is what one call takes."""
    for name, pieces in CLASSES:
        if any(piece in kernel for piece in pieces):
            return name
    if kernel.startswith("triton_"):
        return "other"
    big = "at::native" in kernel and seconds > SAMPLING_FROM_S
    return "sampling" if big else "other"


def read_steps(
    device: str, sittings: Iterable[str] | None = None, data: Path = DATA
) -> list[Measured]:
    """All timed steps of engines on a device."""
    found: list[Measured] = []
    for folder, board in _folders(device, sittings, data):
        for line in _lines(folder / "engine.csv"):
            found.append(Measured(folder.name, board, line))
    return found


def step_rows(device: str, data: Path = DATA) -> list[Row]:
    """Timed steps of engines that can be predicted, as rows of the report."""
    steps = read_steps(device, data=data)
    return [step.row() for step in steps if step.phase in PREDICTED and step.whole]


def read_busy(device: str, sittings: Iterable[str] | None = None, data: Path = DATA) -> list[Busy]:
    """All profiled steps of engines on a device."""
    found: list[Busy] = []
    for folder, board in _folders(device, sittings, data):
        groups: dict[tuple[str, ...], list[dict[str, str]]] = {}
        for line in _lines(folder / "engine_kernels.csv"):
            key = tuple(line[n] for n in ("model", "phase", "batch", "prompt", "context"))
            groups.setdefault(key, []).append(line)
        for lines in groups.values():
            busy: dict[str, float] = {}
            calls: dict[str, float] = {}
            for line in lines:
                seconds, count = float(line["busy_s"]), float(line["calls"])
                name = class_of(line["kernel"], seconds / count)
                busy[name] = busy.get(name, 0.0) + seconds
                calls[name] = calls.get(name, 0.0) + count
            divided = re.search(r"\.tp(\d+)", lines[0]["model"])
            ways = divided[1] if divided else "1"
            columns = {**lines[0], "time_s": lines[0]["wall_s"], "tensor_parallel": ways}
            found.append(Busy(Measured(folder.name, board, columns), busy, calls))
    return found


def engines(
    device: str, sittings: Iterable[str] | None = None, data: Path = DATA
) -> list[dict[str, Any]]:
    """What each engine decided: its cache, its graphs (`engines` of the headers)."""
    return [
        {"sitting": folder.name, "name": name, **decided}
        for folder, _ in _folders(device, sittings, data)
        for name, decided in _header(folder).get("engines", {}).items()
    ]


def _folders(device: str, sittings: Iterable[str] | None, data: Path) -> Iterable[tuple[Path, str]]:
    here = [data / device, *sorted(data.glob(f"{device}-x*"))]
    asked = None if sittings is None else tuple(sittings)
    for each in here:
        for name in sorted(p.name for p in each.iterdir()) if asked is None else asked:
            if (each / name / "engine.csv").is_file():
                yield each / name, str(_header(each / name)["board"])


def _header(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "header.json").read_text(encoding="utf-8"))


def _lines(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
