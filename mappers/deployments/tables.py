"""Tables of an engine's steps, as `predict` says them.

A row for each of some counts of sequences that decode, each with the keys of an answer half made,
and a column for each of some counts of chunks of prompts; all of them are three
questions at the most.
"""

from collections.abc import Callable, Hashable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.driver import answered
from hwmodel.machines.gpu.engines.engine import Engine
from hwmodel.machines.kept import Kept
from hwmodel.mappers.deployments.kinds import Kind
from hwmodel.mappers.deployments.steady import Table
from hwmodel.mappers.deployments.traffic import Traffic
from hwmodel.quantity.errors import HwmodelError

Role: TypeAlias = Literal["both", "prefill", "decode"]
"""What a pool of engines does: all, or what reads prompts, or what makes tokens after the first."""

DECODES = (
    *(1, 2, 4, 8, 9, 16, 17, 24, 25, 32, 33, 40, 41, 48),
    *(64, 96, 128, 192, 256, 384, 512, 1024),
)
"""Sequences that decode on each rank; between them times are taken as straight lines.

The first are the smallest and the largest numbers of one graph's (vLLM captures multiples of 8):
few sequences read so few weights, of mixtures, that what a graph is padded to is seen.
"""
STEPS: dict[Role, tuple[str, ...]] = {
    "both": ("decode", "prefill", "mixed"),
    "prefill": ("prefill",),
    "decode": ("decode",),
}
"""Sorts of steps that engines of a role run."""
IDLE_S = 1e-3
"""How often an engine that has nothing to do looks for requests, about."""


@dataclass(frozen=True, eq=False)
class Steps:
    """Seconds and joules of some steps of a kind, and tokens that its cache then holds."""

    seconds: NDArray[np.float64]
    joules: NDArray[np.float64]
    kv_tokens: float

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> "Steps":
        """From plain values."""
        seconds, joules = (np.array(told[n], dtype=np.float64) for n in ("seconds", "joules"))
        return cls(seconds, joules, told["kv_tokens"])

    def part(self, low: int, high: int) -> "Steps":
        """Some of them, in a row."""
        return Steps(self.seconds[low:high], self.joules[low:high], self.kv_tokens)


@dataclass(frozen=True, eq=False)
class Tables:
    """Tables of engines for one traffic, which are started with one of some token budgets.

    `known` keeps what `predict` said, by words, and `runs` what it said of a machine's kernels,
    which divisions and formats of caches have in common; `submit` starts a call elsewhere (an
    executor of `concurrent.futures`, or a Dask `Client`) for kinds that are soon to be asked for.
    """

    traffic: Traffic
    budgets: Sequence[int]
    engine: str | Engine = "vllm"
    known: MutableMapping[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    submit: Callable[..., Any] | None = None
    runs: dict[int, dict[Hashable, Any]] = field(default_factory=dict[int, dict[Hashable, Any]])
    mixes: bool = True
    """Whether a step reads prompts beside what decodes; else one of each sort stands for it."""

    def ahead(self, soon: Sequence[Kind], role: Role) -> None:
        """Ask for the steps of several kinds at once, where there is somewhere to ask."""
        if self.submit is None:
            return
        plain, asked = replace(self, known={}, submit=None, runs={}), dict[str, Any]()
        for kind in soon:
            for step in STEPS[role] if self.mixes else STEPS[role][:2]:
                key = f"{kind.words}: {step}"
                if key not in self.known:
                    asked[key] = self.submit(_steps, plain, kind, step)
        for key, future in asked.items():
            found = future.result()
            if found is not None:
                self.known[key] = found

    def predicted(self, kind: Kind, tokens: int, role: Role = "both") -> Table:
        """Of steps with a budget of so many tokens, as `predict` says them; raises what it does."""
        chunk, each = self.chunks(tokens)
        decodes = self.decodes(kind, role)
        columns = self.counts(chunk) if role != "decode" else np.array([0.0, 1.0])
        alone = self._alone(kind) if role != "prefill" else None
        first = self._first(kind, chunk) if role != "decode" else None
        mixed = self._mixed(kind, chunk) if role == "both" and self.mixes else None
        told = alone or first
        assert told is not None

        def joined(of: Callable[[Steps], NDArray[np.float64]], idle: float) -> NDArray[np.float64]:
            """Without prompts, without answers, and both; what a role has none of is idle."""
            left = np.full(decodes.shape, idle) if alone is None else of(alone)
            top = np.full(len(columns) - 1, left[0]) if first is None else of(first)
            if mixed is not None:
                inner = of(mixed).reshape(len(decodes), len(top))
            elif role == "both":
                inner = left[:, None] + top
            else:
                inner = np.tile(left[:, None] if first is None else top, (1, 1))
                inner = np.broadcast_to(inner, (len(decodes), len(top)))
            corner = np.concatenate(([left[0]], top))
            return np.vstack((corner, np.column_stack((left, inner))))

        idle_w = float(np.max(kind.machine.power.idle_w)) * kind.devices
        return Table(
            decodes=np.concatenate(([0.0], decodes.astype(np.float64))),
            chunks=columns,
            seconds=joined(lambda steps: steps.seconds, IDLE_S),
            joules=joined(lambda steps: steps.joules, IDLE_S * idle_w),
            chunk=chunk,
            each=each if role != "decode" else 0,
            kv_tokens=told.kv_tokens,
            ranks=kind.ways.dp,
            stages=kind.ways.pp,
            queries=kind.queries,
            makes=kind.makes,
        )

    def chunks(self, tokens: int) -> tuple[int, int]:
        """Tokens of a chunk under such a budget, and chunks of a prompt."""
        each = -(-self.traffic.new // tokens)
        return -(-self.traffic.new // each), each

    def counts(self, chunk: int) -> NDArray[np.float64]:
        """Numbers of chunks in a step: 0, 1, 2, 4 ... what the largest budget has room for."""
        most = max(1, max(self.budgets) // chunk)
        twice = [2**power for power in range(most.bit_length())]
        return np.array(sorted({0, *twice, most}), dtype=np.float64)

    def decodes(self, kind: Kind, role: Role) -> NDArray[np.int64]:
        """Sequences that decode, on all ranks."""
        return (
            np.array(DECODES if role != "prefill" else DECODES[:1], dtype=np.int64) * kind.ways.dp
        )

    def sizes(self, kind: Kind, step: str) -> dict[str, Any]:
        """Sizes of all steps of a sort; of both sorts row by row, decodes quickest."""
        if step == "decode":
            return {"batch": self.decodes(kind, "decode"), "context": self.traffic.context}
        some, prompt, _ = self._prompts()
        if step == "prefill":
            return {"batch": some} | prompt
        decodes = self.decodes(kind, "both")
        sizes = {name: np.repeat(each, len(decodes)) for name, each in prompt.items()}
        sizes |= {"prompts": np.repeat(some, len(decodes)), "batch": np.tile(decodes, len(some))}
        return sizes | {"context": self.traffic.context}

    def _alone(self, kind: Kind) -> Steps:
        """Of steps that only decode."""
        return self._asked(kind, "decode")

    def _first(self, kind: Kind, chunk: int) -> Steps:
        """Of steps that only read chunks of a size."""
        return self._asked(kind, "prefill").part(*self._prompts()[2][chunk])

    def _mixed(self, kind: Kind, chunk: int) -> Steps:
        """Of steps of both sorts, row by row: chunks quickest."""
        count, (low, high) = len(self.decodes(kind, "both")), self._prompts()[2][chunk]
        mine = self._asked(kind, "mixed").part(low * count, high * count)
        order = np.arange(len(mine.seconds)).reshape(high - low, count).T.ravel()
        return Steps(mine.seconds[order], mine.joules[order], mine.kv_tokens)

    def _prompts(self) -> tuple[NDArray[np.int64], dict[str, Any], dict[int, tuple[int, int]]]:
        """Numbers of chunks of all sizes, in the middle of a prompt; where each size's stand."""
        counts: list[NDArray[np.int64]] = []
        kept: list[int] = []
        read: list[int] = []
        ends: dict[int, tuple[int, int]] = {}
        for tokens in self.budgets:
            chunk, each = self.chunks(tokens)
            if chunk in ends:
                continue
            some = self.counts(chunk)[1:].astype(np.int64)
            start = len(kept)
            ends[chunk] = start, start + len(some)
            counts.append(some)
            kept += [self.traffic.cached + (each - 1) * chunk // 2] * len(some)
            read += [chunk] * len(some)
        if not any(kept):
            return np.concatenate(counts), {"prompt": np.array(read)}, ends
        cached = np.maximum(kept, 1)  # of a prompt that is read whole beside others: one key more
        return np.concatenate(counts), {"prompt": cached + read, "cached": cached}, ends

    def _asked(self, kind: Kind, step: str) -> Steps:
        """What `predict` says of steps, each sort of a kind once."""
        key = f"{kind.words}: {step}"
        if key not in self.known:
            self.known[key] = self.worked_out(kind, step)
        return Steps.of(self.known[key])

    def worked_out(self, kind: Kind, step: str) -> dict[str, Any]:
        """The same, as plain values."""
        sizes = self.sizes(kind, step)
        ways = None if kind.devices == 1 else kind.ways
        work = getattr(kind.model, step)(**sizes, parallel=ways, draft=kind.draft)
        machine = kind.machine * kind.devices
        kept = Kept(runs=self.runs.setdefault(id(kind.machine), {}))
        found: Any = answered(work, machine, engine=self.engine, keeping=kept)
        count = max(np.size(each) for each in sizes.values())
        seconds, joules = (
            np.broadcast_to(each, count).astype(np.float64).tolist()
            for each in (found.sustained_time_s, found.energy_j)
        )
        room = float(np.min(found.serving.memory.kv_capacity_tokens))
        return {"seconds": seconds, "joules": joules, "kv_tokens": room}


def _steps(tables: Tables, kind: Kind, step: str) -> dict[str, Any] | None:
    """What is worked out elsewhere; None where it cannot run, which is then said here."""
    try:
        return tables.worked_out(kind, step)
    except HwmodelError:
        return None
