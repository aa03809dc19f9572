"""MLPs of residual blocks, wide-narrow-wide (Hourglass MLP) or narrow-wide-narrow, in our own keys.

A lift of `inputs` columns to `hidden_size`, if they differ; blocks z + W2 act(W1 z) with
`intermediate_size` columns between; a product to `outputs` columns. An hourglass has fewer columns
between than in its hidden states, the usual MLP more. The lift may be a fixed random matrix: it is
held and read like any other, unless its weights are `generated`: then they are not held, and what
makes them anew is left out. A step is `prefill`: rows are the batch, of `prompt` 1.
"""

from dataclasses import dataclass
from typing import ClassVar

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.network import Network, grouped
from hwmodel.einsum.workloads.blocks.norm import Residual
from hwmodel.einsum.workloads.blocks.plain_mlp import PlainMlp
from hwmodel.einsum.workloads.blocks.projection import Projection
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.record import Config as AnyConfig
from hwmodel.einsum.workloads.record import Count, Flag, Layers
from hwmodel.einsum.workloads.rows import ACTIVATIONS
from hwmodel.quantity.errors import CoverageError

MODEL_TYPES = ("residual_mlp",)


@dataclass(frozen=True)
class Generated:
    """A product whose weights are made anew each time; they are read as if they were held."""

    block: Projection

    def weights(self) -> tuple[Weight, ...]:
        """None that is held."""
        return ()

    def stages(self, step: Step, share: Share) -> Stages:
        """That of the product."""
        return self.block.stages(step, share)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


class Config(AnyConfig):
    """Sizes of the lift, the blocks and the readout."""

    REQUIRED: ClassVar[tuple[str, ...]] = ()

    inputs: Count
    hidden_size: Count
    intermediate_size: Count
    num_hidden_layers: Layers
    outputs: Count
    hidden_act: str = "gelu"
    generated: Flag = False

    def check(self, where: str) -> None:
        """An activation that is modelled."""
        super().check(where)
        if self.hidden_act not in ACTIVATIONS:
            raise CoverageError(f"{where}: hidden_act: {self.hidden_act!r} is not modelled")

    def network(self) -> Network:
        """Lift, blocks, readout."""
        hidden = self.hidden_size
        lift = Projection("lift", self.inputs, hidden, "lift")
        before: tuple[Block, ...] = (Generated(lift) if self.generated else lift,)
        return Network(
            hidden=hidden,
            before=() if self.inputs == hidden else before,
            layers=grouped([self._layer()] * self.num_hidden_layers),
            after=(Projection("readout", hidden, self.outputs, "readout", part="head"),),
            generates=False,
        )

    def _layer(self) -> tuple[Block, ...]:
        mlp = PlainMlp(
            *(self.hidden_size, self.intermediate_size, self.hidden_act),
            bias=False,
            path="blocks.{layer}",
        )
        return mlp, Residual("residual", self.hidden_size)
