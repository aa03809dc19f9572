"""How an engine chooses what a step computes: rules of vLLM, SGLang and TensorRT-LLM as values.

One loop (`hwmodel.systems.serving.replica`) runs them all; a rule is a field.

    vllm     (V1) tokens of a step within a budget, sequences that run first, then prompts in
             chunks; blocks are taken as tokens come, and the sequence admitted last is preempted
             where none is left; a step is scheduled while the one before runs
    sglang   a step reads prompts or decodes; admission leaves room for a share of the outputs of
             all that run, a share that falls while nothing is retracted
    trtllm   as vllm, with blocks of 32, but that admission leaves room for all outputs, so that
             none is preempted (`guaranteed_no_evict`, its default)
    trtllm:max_utilization   admission leaves none

Sources: vllm/v1/core/sched/scheduler.py (vllm-project/vllm @ 00024d31); SGLang 0.5.23,
new_token_ratio_tracker.py; TensorRT-LLM's documented policies.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.engines.shipped import engine as engine_of
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.systems.serving.requests import Stay


@dataclass(frozen=True)
class Reserve:
    """Room that admission leaves for what running sequences are still to generate.

    Attributes:
        start: share of it, at first.
        least: share that it falls to, in equal parts.
        steps: decode steps of that fall; 0: it stays.
        most: tokens of one output that are counted.
    """

    start: float = 0.0
    least: float = 0.0
    steps: int = 0
    most: int = 2**53

    @property
    def whole(self) -> bool:
        """Whether room is left for all outputs to their ends, always."""
        return self.start == 1.0 and not self.steps and self.most >= 2**53

    def left(self, share: float, since: int) -> float:
        """What is left of a share that falls, so many decode steps later."""
        if not self.steps:
            return self.start
        return max(self.least, share - (self.start - self.least) / self.steps * since)

    def ahead(self, now: int, stay: Stay, made: int, share: float, size: int) -> int:
        """Blocks of `size` that a sequence takes from `now` tokens to what is reserved of it."""
        left = max(0, min(stay.request.output, self.most) - max(made, 1))
        return max(0, -(-int(max(now, stay.target) + share * left) // size) + now // -size)


def rest(stay: Stay, now: int, size: int) -> int:
    """Blocks of `size` that a sequence takes from `now` tokens to its last."""
    last = stay.request.input + stay.request.output - 1
    return max(0, now // -size - last // -size)


@dataclass(frozen=True)
class Scheduler:
    """The rules of an engine's scheduler.

    Attributes:
        name: what people call it.
        max_batch_tokens: tokens that a step computes at most (the budget).
        max_batch: sequences that run at a time.
        block_tokens: of a block of cache.
        in_flight: steps that are scheduled at a time: 2 where one is while another runs
            (asynchronous), 1 where its tokens are waited for.
        chunked: whether a prompt may be cut where the budget ends.
        mixed: whether a step may decode and read prompts.
        prefix_cache: whether blocks of equal beginnings are shared, and kept until evicted.
        reserve: room for outputs that admission leaves.
        queries: tokens of the budget that a sequence that decodes takes: more than one where drafts
            are verified.
        ranks: groups of one engine that attend apart, which share the budget evenly.
        budgets: tokens of a step and sequences that the engine starts with on a device, where these
            depend on it.
    """

    name: str = "vllm"
    max_batch_tokens: int = 2048
    max_batch: int = 128
    block_tokens: int = 16
    in_flight: int = 2
    chunked: bool = True
    mixed: bool = True
    prefix_cache: bool = True
    reserve: Reserve = Reserve()
    queries: int = 1
    ranks: int = 1
    budgets: Callable[[Hardware], tuple[int, int]] | None = None

    def __post_init__(self) -> None:
        """Raises `InputError` for numbers below 1."""
        for name in ("max_batch_tokens", "max_batch", "block_tokens", "in_flight"):
            if getattr(self, name) < 1:
                told = f"{name}: expected 1 or more, found {getattr(self, name)}"
                raise InputError(f"serving: {told}")

    def but(self, **changes: Any) -> "Scheduler":
        """The same rules with other fields."""
        return replace(self, **changes)

    def on(self, machine: Hardware) -> "Scheduler":
        """The same with the budgets that the engine starts with on a device."""
        if self.budgets is None:
            return self
        tokens, sequences = self.budgets(machine)
        return self.but(max_batch_tokens=tokens, max_batch=sequences)


LARGE_BYTES = 70 * 2**30
"""Memory of a device on which vLLM starts with larger budgets."""


def budgets_of(machine: Hardware) -> tuple[int, int]:
    """Tokens of a step and sequences that vLLM's server starts with on a device.

    8,192 and 1,024 on devices of 70 GiB and more but the A100, else 2,048 and 256
    (vllm/engine/arg_utils.py, get_batch_defaults).
    """
    large = float(machine.memory("dram").capacity_bytes) >= LARGE_BYTES
    return (8192, 1024) if large and not machine.name.startswith("a100") else (2048, 256)


SCHEDULERS: Mapping[str, Scheduler] = {
    each.name: each
    for each in (
        Scheduler(budgets=budgets_of),
        Scheduler(
            "sglang", max_batch_tokens=8192, max_batch=2048, block_tokens=1, mixed=False,
            reserve=Reserve(start=0.7, least=0.7 * 0.14, steps=600, most=4096),
        ),
        *(
            Scheduler(
                name, max_batch_tokens=8192, max_batch=2048, block_tokens=32, reserve=reserve
            )
            for name, reserve in (
                ("trtllm", Reserve(start=1.0)),
                ("trtllm:guaranteed_no_evict", Reserve(start=1.0)),
                ("trtllm:max_utilization", Reserve()),
            )
        ),
    )
}  # fmt: skip
"""Name -> rules, with budgets that the engines fall back to; sglang's budget is that of 80 GB."""


def scheduler(name: str) -> Scheduler:
    """The rules by name; raises `UnknownNameError`."""
    if name not in SCHEDULERS:
        raise UnknownNameError("scheduler", name, SCHEDULERS)
    return SCHEDULERS[name]


def scheduler_of(engine: Any) -> Scheduler:
    """The rules of an engine by its name; raises `CoverageError` where it schedules nothing."""
    name = engine if isinstance(engine, str) else engine.name
    if name not in SCHEDULERS:
        engine_of(engine)  # refuses what is none
        raise CoverageError(
            f"serving: engine: found {name!r}, which schedules no stream of requests; say whose"
            " rules it has (scheduler='vllm'), or leave engine out"
        )
    return SCHEDULERS[name]
