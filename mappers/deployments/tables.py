"""Tables of an engine's steps, as `predict` says them.

A row for each of some counts of sequences that decode, each with the keys of an answer half made,
and a column for each of some counts of chunks of prompts; all of them are three
questions at the most.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hwmodel.machines.driver import answered
from hwmodel.machines.kept import Kept
from hwmodel.mappers.deployments.kinds import Kind
from hwmodel.mappers.deployments.steady import Table
from hwmodel.mappers.deployments.traffic import Traffic

Role: TypeAlias = Literal["both", "prefill", "decode"]
"""What a pool of engines does: all, or what reads prompts, or what makes tokens after the first."""

DECODES = (1, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512, 1024)
"""Sequences that decode on each rank; between them times are taken as straight lines."""
IDLE_S = 1e-3
"""How often an engine that has nothing to do looks for requests, about."""


@dataclass(frozen=True, eq=False)
class Tables:
    """Tables of engines for one traffic."""

    traffic: Traffic
    most: int
    """Tokens of a step at most."""
    engine: str = "vllm"
    known: dict[tuple[Kind, int, Role], Table] = field(
        default_factory=dict[tuple[Kind, int, Role], Table]
    )

    def predicted(self, kind: Kind, tokens: int, role: Role = "both") -> Table:
        """Of steps with a budget of so many tokens, as `predict` says them; raises what it does."""
        chunk, _ = self.chunks(tokens)
        key = kind, chunk, role
        if key not in self.known:
            self.known[key] = self._predicted(kind, chunk, role)
        return self.known[key]

    def chunks(self, tokens: int) -> tuple[int, int]:
        """Tokens of a chunk under such a budget, and chunks of a prompt."""
        each = -(-self.traffic.new // tokens)
        return -(-self.traffic.new // each), each

    def counts(self, chunk: int) -> NDArray[np.float64]:
        """Numbers of chunks in a step: 0, 1, 2, 4 ... what the largest budget has room for."""
        most = max(1, self.most // chunk)
        twice = [2**power for power in range(most.bit_length())]
        return np.array(sorted({0, *twice, most}), dtype=np.float64)

    def _predicted(self, kind: Kind, chunk: int, role: Role) -> Table:
        traffic, ways, served = self.traffic, kind.ways, kind.model
        each = -(-traffic.new // chunk)
        kept = traffic.cached + (each - 1) * chunk // 2
        prompt: dict[str, Any] = {"prompt": kept + chunk} | ({"cached": kept} if kept else {})
        decodes: Any = np.array(DECODES if role != "prefill" else DECODES[:1]) * ways.dp
        columns = self.counts(chunk) if role != "decode" else np.array([0.0, 1.0])
        some: Any = columns[1:].astype(np.int64)
        rows, beside = np.repeat(decodes, len(some)), np.tile(some, len(decodes))
        machine, keeping = kind.machine * kind.devices, Kept()

        def ask(work: Any) -> Any:
            return answered(work, machine, parallel=ways, engine=self.engine, keeping=keeping)

        alone = first = mixed = None
        if role != "prefill":
            alone = ask(served.decode(batch=decodes, context=traffic.context))
        if role != "decode":
            first = ask(served.prefill(batch=some, **prompt))
        if role == "both":
            sizes: dict[str, Any] = {"batch": rows, "context": traffic.context, "prompts": beside}
            mixed = ask(served.mixed(**sizes, **prompt))
        told: Any = alone or first

        def joined(of: Callable[[Any], Any], idle: float) -> NDArray[np.float64]:
            """Without prompts, without answers, and both; what a role has none of is idle."""
            left = np.broadcast_to(idle if alone is None else of(alone), decodes.shape)
            top = np.broadcast_to(left[0] if first is None else of(first), some.shape)
            shape = len(decodes), len(some)
            if mixed is not None:
                inner = np.reshape(np.broadcast_to(of(mixed), rows.shape), shape)
            else:
                inner = np.broadcast_to(left[:, None] if first is None else top, shape)
            corner = np.concatenate(([left[0]], top))
            return np.vstack((corner, np.column_stack((left, inner)))).astype(np.float64)

        idle_w = float(np.max(kind.machine.power.idle_w)) * kind.devices
        return Table(
            decodes=np.concatenate(([0.0], decodes.astype(np.float64))),
            chunks=columns,
            seconds=joined(lambda e: e.sustained_time_s, IDLE_S),
            joules=joined(lambda e: e.energy_j, IDLE_S * idle_w),
            chunk=chunk,
            each=each if role != "decode" else 0,
            kv_tokens=float(np.min(told.serving.memory.kv_capacity_tokens)),
            ranks=ways.dp,
            stages=ways.pp,
        )
