"""Bind: a binding's schedule of attention as an activity: steps of arrays, actions, bytes.

What a leaf counts, for an Einsum on an array:

- steps: the tiles of scores that it runs for, times the points that one element does of each;
- actions: those of its functions at each point of the cascade: masked and padded elements idle;
- buffer and registers: an operand is read where it lives, once for each tile that takes it
  (elements pass operands on to their neighbours, and hold a running sum or a resting operand in
  their latch); a result is written where it will live. Einsums that alternate on an array cycle by
  cycle go to the registers at every point instead, as the binding states;
- DRAM: as `streams` says. What lives in the buffer passes through it, but for spilled scores that
  an array writes, or that one Einsum alone reads: these stream past it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hwmodel.einsum.cascade import Einsum
from hwmodel.einsum.counts import footprint_bytes, points
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.binding import Binding
from hwmodel.machines.spatial.functions import FILL, actions, cycles, dtype_of, flop, operation
from hwmodel.machines.spatial.problem import TiledAttention
from hwmodel.machines.spatial.streams import Streams
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.units import Amount
from hwmodel.spine.activity import Activity, Operation, Overlap, Serial, Work


@dataclass(frozen=True, eq=False)
class BoundAttention:
    """A binding of one problem to one machine."""

    binding: Binding
    problem: TiledAttention
    hardware: Hardware
    streams: Streams

    def activity(self) -> Activity:
        """The whole schedule."""
        return self._node(self.binding.schedule)

    def _node(self, node: Any) -> Activity:
        if isinstance(node, str):
            return self._einsum(self.problem.cascade.einsum(node))
        if "serial" in node:
            return Serial(tuple(self._node(child) for child in node["serial"]))
        if "overlap" in node:
            return Overlap(tuple(self._node(child) for child in node["overlap"]))
        if "fill" in node:
            array = self.hardware.arrays[self.binding.arrays[node["fill"]]]
            return Work(slots={FILL: self.problem.heads * self.problem.pairs * array.rows})
        return self._moved(node.get("read", ()), node.get("write", ()))

    def steps(self, einsum: Einsum) -> Amount:
        """Steps that the Einsum's array takes."""
        name = self.binding.arrays[einsum.name]
        array, problem = self.hardware.arrays[name], self.problem
        each = cycles(
            actions(einsum, array, name), array, chained=einsum.name in self.binding.chained
        )
        for rank in einsum.ranks:
            if rank in ("e", "f"):
                each = each * problem.cascade.ranks[rank].size
        if name == "vector":
            lanes = ceil_div(problem.columns, array.rows * array.columns)
            in_rows = any(rank in ("m", "m0") for rank in einsum.ranks)
            each = each * lanes * (problem.rows if in_rows else 1)
        tiles = problem.pairs if problem.walks_keys(einsum) else problem.query_tiles
        return problem.heads * tiles * each

    def _einsum(self, einsum: Einsum) -> Activity:
        binding, problem = self.binding, self.problem
        name = binding.arrays[einsum.name]
        size = problem.element_bytes
        count = points(einsum, problem.cascade)
        dtype = dtype_of(problem.cascade, self.hardware, einsum.name)
        operations: dict[Operation, Amount] = {
            operation(function, dtype): flop(function) * count * times
            for function, times in actions(einsum, self.hardware.arrays[name], name).items()
        }
        read: dict[str, Amount] = {}
        written: dict[str, Amount] = {}
        for access in dict.fromkeys(einsum.reads):
            if access.tensor not in binding.forwarded.get(einsum.name, ()):
                past = not self._used_again(access.tensor)
                kept = 1 - (self._spilled(access.tensor, self.streams.read) if past else 0)
                taken = size * problem.elements(access.tensor, einsum)
                self._charge(read, access.tensor, taken * kept)
        kept = 1 - self._spilled(einsum.name, self.streams.written)
        made = size * problem.elements(einsum.name, einsum)
        self._charge(written, einsum.name, made * kept)
        often = binding.alternating.get(einsum.name, {})
        _add(read, self._registers(name), size * count * often.get("read", 0))
        _add(written, self._registers(name), size * count * often.get("write", 0))
        moves = Work(operations=operations, read=read, written=written)
        return Overlap((moves, Work(slots={name: self.steps(einsum)})))

    def _charge(self, table: dict[str, Amount], tensor: str, size: Amount) -> None:
        """Bytes of a tensor where it lives on the chip; one that streams past it has no place."""
        made = self.binding.arrays.get(tensor)
        home = self.binding.homes.get(tensor, self._registers(made) if made else "buffer")
        if home != "dram":
            _add(table, home, size)

    def _registers(self, array: str) -> str:
        """The memory that each element of an array has."""
        return next(n for n, memory in self.hardware.memories.items() if memory.array == array)

    def _spilled(self, tensor: str, times: Mapping[str, Amount]) -> Amount:
        """The share of an intermediate that goes from array to DRAM, or back."""
        return times.get(tensor, 0) if self._between(tensor) else 0

    def _between(self, tensor: str) -> bool:
        return tensor in self.binding.arrays and tensor not in self.problem.cascade.outputs

    def _used_again(self, tensor: str) -> bool:
        """Whether several Einsums read a tensor where it lives, so that it is brought there."""
        reading = [
            einsum.name
            for einsum in self.problem.cascade.einsums
            if any(access.tensor == tensor for access in einsum.reads)
            and tensor not in self.binding.forwarded.get(einsum.name, ())
        ]
        return len(reading) > 1

    def _moved(self, reads: tuple[str, ...], writes: tuple[str, ...]) -> Work:
        """Bytes across DRAM's boundary, and through the buffer."""
        cascade, plan = self.problem.cascade, self.streams
        read: dict[str, Amount] = {}
        written: dict[str, Amount] = {}
        for tensor in reads:
            size = plan.read[tensor] * footprint_bytes(tensor, cascade)
            _add(read, "dram", size)
            if not self._between(tensor) or self._used_again(tensor):
                self._charge(written, tensor, size)
        for tensor in writes:
            size = plan.written[tensor] * footprint_bytes(tensor, cascade)
            _add(written, "dram", size)
            if tensor in cascade.outputs:
                self._charge(read, tensor, size)
        return Work(read=read, written=written, live={"buffer": plan.live_bytes})


def _add(table: dict[str, Amount], level: str, size: Amount) -> None:
    table[level] = table.get(level, 0) + size
