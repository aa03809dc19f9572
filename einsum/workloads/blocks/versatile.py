"""An MLP that is wide or deep by token, with one set of weights (VersatileFFN).

Some tokens take a few *virtual experts*, slices of the MLP's inner columns that a router chooses;
the others pass the whole MLP several times. Neither has weights of its own beside the routers'.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.chain import Chain
from hwmodel.einsum.workloads.blocks.mixture import Mixture
from hwmodel.einsum.workloads.blocks.mlp import Mlp
from hwmodel.einsum.workloads.blocks.reused import Reused
from hwmodel.einsum.workloads.blocks.routed import Choice
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight


@dataclass(frozen=True)
class Slices:
    """A mixture whose experts are parts of weights that are held already."""

    block: Mixture

    def weights(self) -> tuple[Weight, ...]:
        """The router's."""
        return tuple(each for each in self.block.weights() if each.part == "router")

    def stages(self, step: Step, share: Share) -> Stages:
        """Those of the mixture."""
        return self.block.stages(step, share)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class VersatileMlp:
    """`mlp`, which a `deep` share of the tokens passes `loops` times.

    The others pass `active` of its `slices`.
    """

    mlp: Mlp
    slices: int
    active: int
    loops: int
    deep: float

    @property
    def _choice(self) -> Choice:
        mlp = self.mlp
        wide = Mixture(
            *(mlp.hidden, self.slices, self.active, mlp.intermediate // self.slices),
            path=mlp.path,
            act=mlp.act,
        )
        again: Block = Chain((mlp, *((Reused(mlp),) * (self.loops - 1))))
        ways, shares = (again, Slices(wide)), (self.deep, 1 - self.deep)
        return Choice(mlp.hidden, ways, shares, f"{mlp.path}.depth_router")

    def weights(self) -> tuple[Weight, ...]:
        """Those of the MLP, and of two routers."""
        return self._choice.weights()

    def stages(self, step: Step, share: Share) -> Stages:
        """The router between both ways, and each on its tokens."""
        return self._choice.stages(step, share)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
