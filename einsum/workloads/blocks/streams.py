"""Hyper-connections: hidden states as several streams, mixed around every block (DeepSeek V4).

Zhu et al., Hyper-Connections, arXiv 2409.19606; V4 keeps the mixing doubly stochastic by Sinkhorn's
iterations. Before a block the streams pass a norm, a product that makes mixing weights of all of
them, the iterations, and are collapsed into one; after it what the block made is added to the mixed
streams. At the end the streams are collapsed once more. All in fp32, whole on every device.
"""

from dataclasses import dataclass

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import copy, rmsnorm
from hwmodel.quantity.units import Amount

_BALANCE = "S[t, n] = sum(m) X[t, n, m]\nY[t, n, m] = X[t, n, m] / S[t, n]"


def _sum(streams: int, factor: str) -> str:
    """The streams, each times its factor, added up; they are few, and one kernel's registers."""
    return " + ".join(f"X[t, {n}, d] * {factor.format(n=n)}" for n in range(streams))


@dataclass(frozen=True)
class Spread:
    """One hidden state copied to all streams, after the embedding."""

    hidden: int
    streams: int

    def weights(self) -> tuple[Weight, ...]:
        """It has none."""
        return ()

    def stages(self, step: Step, share: Share) -> Stages:
        """One copy."""
        made = copy(step.tokens, self.streams * self.hidden, share.activation, "streams copy")
        return (share.stage(made, "streams.copy"),)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Collapse:
    """Streams into one, and the weights that mix them again, if it stands before a block.

    `iterations` of Sinkhorn balance rows and columns; none: the last one, before the head, which
    has weights of its own names and runs on every token.
    """

    hidden: int
    streams: int
    iterations: int
    path: str
    names: tuple[str, str, str] = ("fn", "base", "scale")

    @property
    def outputs(self) -> int:
        """Weights that are made for each token: before, after, and between the streams."""
        return self.streams * (2 + self.streams if self.iterations else 1)

    def weights(self) -> tuple[Weight, ...]:
        """The product, its shift and factors."""
        sizes = ((self.outputs, self.streams * self.hidden), (self.outputs,))
        factors = (3 if self.iterations else 1,)
        shapes = (*sizes, factors)
        return tuple(
            Weight(f"{self.path}.{name}", shape, "router", "streams")
            for name, shape in zip(self.names, shapes, strict=True)
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """Norm, product, iterations, collapse."""
        tokens, wide = step.tokens, self.streams * self.hidden
        square: dict[str, Amount] = {"t": tokens, "n": self.streams, "m": self.streams}
        balance = parse(_BALANCE, sizes=square, dtypes={"*": "fp32"}, name="streams balance")
        mix = gemm(tokens, self.outputs, wide, dtype="fp32", name="streams mix")
        text = f"rank n = {self.streams}\ntensor X[t, n, d]\ntensor P[t, n]\n"
        text += f"Y[t, d] = {_sum(self.streams, 'P[t, {n}]')}"
        sizes = {"t": tokens, "d": self.hidden}
        collapse = parse(text, sizes=sizes, dtypes={"*": share.activation}, name="streams collapse")
        turns = 2 * self.iterations
        return (
            share.stage(rmsnorm(tokens, wide, share.activation, "streams norm"), "streams.norm"),
            share.stage(mix, "streams.mix"),
            *((share.stage(balance, "streams.balance", turns),) if turns else ()),
            share.stage(collapse, "streams.collapse"),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Combine:
    """What a block has made, added to the mixed streams."""

    hidden: int
    streams: int

    def weights(self) -> tuple[Weight, ...]:
        """It has none."""
        return ()

    def stages(self, step: Step, share: Share) -> Stages:
        """The mixture of streams, and the addition."""
        text = f"rank n = {self.streams}\ntensor X[t, n, d]\ntensor C[t, n, m]\n"
        text += f"Y[t, m, d] = {_sum(self.streams, 'C[t, {n}, m]')} + P[t, m] * O[t, d]"
        sizes: dict[str, Amount] = {"t": step.tokens, "m": self.streams, "d": self.hidden}
        made = parse(text, sizes=sizes, dtypes={"*": share.activation}, name="streams combine")
        return (share.stage(made, "streams.combine"),)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
