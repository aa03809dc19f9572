"""One device's share of equal layers: products in the format of each module, and collectives.

Modules that a library fuses into one product (q, k and v; gate and up) are one stage where their
formats agree, and a stage for each run of equal formats where they differ. Layers in which a module
has another format are a stage of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

from hwmodel.einsum.cascade import Cascade, Collective, Stage
from hwmodel.einsum.division import ALONE, Division
from hwmodel.einsum.fan import Fan
from hwmodel.einsum.workloads.blocks.joined import interleaved
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.collective import exchange
from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.precision import Precision
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.units import Amount

Formats = tuple[ModuleFormats, ...]

Stages: TypeAlias = tuple[Stage, ...]


@dataclass(frozen=True)
class Share:
    """One device of a division, for the layers of these numbers (None: outside of the layers).

    A layer runs its stages so `often` in a step: less than once where it does so in some steps
    alone, or for some tokens. What is not `summed` leaves the sum over devices to whoever adds it
    to something else.
    """

    precision: Precision
    ways: Division = ALONE
    layers: tuple[int | None, ...] = (None,)
    summed: bool = True
    often: Amount = 1

    @property
    def tp(self) -> int:
        """Devices that divide tensors."""
        return self.ways.tp

    @property
    def of_ends(self) -> "Share":
        """That of embedding and head: one device by itself, where it has them whole."""
        if self.ways.ends == "divided":
            return self
        return replace(self, ways=self.ways.model_copy(update={"tp": 1, "sp": False}))

    @property
    def times(self) -> Amount:
        """How often a stage of each layer runs."""
        return len(self.layers) * self.often

    @property
    def activation(self) -> str:
        """Format between kernels."""
        return self.precision.activation

    def of(self, split: Split) -> int:
        """Pieces on this device."""
        return split.share(self.tp)

    def formats(self, weights: Sequence[Weight]) -> "dict[Formats, Share]":
        """Formats of these modules -> the layers in which they have them, the usual ones first."""
        if self.precision.uniform:
            return {tuple(self.precision.of(w, self.layers[0]) for w in weights): self}
        grouped = self.precision.grouped(weights, self.layers)
        return {kinds: replace(self, layers=layers) for kinds, layers in grouped.items()}

    def stage(self, cascade: Cascade, role: str, runs: int = 1) -> Stage:
        """A kernel that each layer runs so often."""
        return Stage(cascade, self.times * runs, role=role, layers=self.layers)

    def ours(self, stages: Stages, block: str) -> Stages:
        """Stages that a workload has made for all layers, told whose they are."""
        return tuple(
            replace(stage, role=f"{block}.{stage.name}", layers=self.layers) for stage in stages
        )

    def product(
        self,
        name: str,
        role: str,
        rows: Amount,
        weights: Sequence[Weight],
        *,
        bias: bool = False,
        named: bool = True,
    ) -> Stages:
        """A product of `rows` with modules that read the same input, fused where formats agree.

        Formats that are not the usual ones are said in the stage's name, if it is `named` so.
        """
        made: list[list[Stage]] = []
        for kinds, share in self.formats(weights).items():
            made.append([])
            for start, end in _runs(kinds):
                parts, kind = weights[start:end], kinds[start]
                called = name if len(parts) == len(weights) else f"{name}, {_modules(parts)}"
                if named and kind != self.precision.usual:
                    called = f"{called}, {self.precision.called(kind)}"
                sizes = [part.sizes(self.tp) for part in parts]
                given = {"weight_dtype": kind.weight, "out_dtype": self.activation}
                shape = (rows, sum(size[0] for size in sizes), sizes[0][1])
                product = partial(gemm, *shape, **given, bias=bias, name=called)
                stage = share.stage(product(dtype=kind.input), role)
                if kind.input != self.activation:
                    stage = replace(stage, instead=product(dtype=self.activation))
                made[-1].append(stage)
        return tuple(interleaved(made))

    def reduced(self, stages: Stages, tokens: Amount, hidden: int) -> Stages:
        """The stages, each followed by the all-reduce of its hidden states between devices."""
        if self.tp == 1 or not self.summed:
            return stages
        size = tokens * (hidden * bytes_of(self.activation))
        return tuple(
            replace(stage, collective=Collective("all_reduce", size, self.tp)) for stage in stages
        )

    def exchanged(
        self,
        name: str,
        op: str,
        size: Amount,
        over: str,
        runs: int = 1,
        *,
        fan: Fan | None = None,
        sent: str = "",
    ) -> Stages:
        """An exchange of its own between the devices along an axis; none where that is one."""
        ranks = self.ways.degree(over)
        if ranks == 1:
            return ()
        ranks = 2 if op == "p2p" else ranks
        made = exchange(name, Collective(op, ceil_div(size, 1), ranks, over, fan=fan, sent=sent))
        times, role = self.times * runs, f"exchange.{name}"
        return (replace(made, times=times, role=role, layers=self.layers),)

    def gathered(self, stages: Stages, rows: Amount, columns: int) -> Stages:
        """The stages, each followed by the all-gather of its rows between devices."""
        if self.tp == 1:
            return stages
        size = rows * (columns * self.tp) * bytes_of(self.activation)
        return tuple(
            replace(stage, collective=Collective("all_gather", size, self.tp)) for stage in stages
        )


def _runs(kinds: Formats) -> list[tuple[int, int]]:
    """Where equal formats that stand side by side begin and end."""
    starts = [i for i, kind in enumerate(kinds) if i == 0 or kind != kinds[i - 1]]
    return list(zip(starts, [*starts[1:], len(kinds)], strict=True))


def _modules(weights: Sequence[Weight]) -> str:
    return " and ".join(weight.path.rpartition(".")[2] for weight in weights)
