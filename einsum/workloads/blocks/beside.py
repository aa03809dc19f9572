"""Two blocks that read the same hidden states, and the sum of their results: shared experts.

Dai et al., DeepSeekMoE, arXiv 2401.06066. A gate, where there is one, weighs the
second block's result: the sigmoid of a product with one column (Qwen 2 MoE).
"""

from dataclasses import dataclass, replace

from hwmodel.einsum.workloads.blocks.block import Block, Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import activation, add, scale


@dataclass(frozen=True)
class Beside:
    """`first` and `second`; `gate` is the module of the second's gate."""

    hidden: int
    first: Block
    second: Block
    gate: str | None = None
    name: str = "shared"

    @property
    def parts(self) -> tuple[Block, ...]:
        """Both, either of which may keep something."""
        return self.first, self.second

    def weights(self) -> tuple[Weight, ...]:
        """Those of both, and the gate's."""
        gate = (
            () if self.gate is None else (Weight(self.gate, (1, self.hidden), "router", "router"),)
        )
        return (*self.first.weights(), *self.second.weights(), *gate)

    def stages(self, step: Step, share: Share) -> Stages:
        """Both, one after the other, and the sum, which is that over devices too."""
        total = add(step.tokens, self.hidden, share.activation, f"{self.name} add")
        each = replace(share, summed=False)
        last = share.stage(total, f"{self.name}.add")
        return (
            *self.first.stages(step, each),
            *self.second.stages(step, each),
            *self._gated(step, share),
            *share.reduced((last,), step.tokens, self.hidden),
        )

    def _gated(self, step: Step, share: Share) -> Stages:
        """The gate and what it multiplies."""
        if self.gate is None:
            return ()
        tokens, kind, name = step.tokens, share.activation, f"{self.name} gate"
        column = (Weight(self.gate, (1, self.hidden), "router", "router"),)
        return (
            *share.product(name, f"{self.name}.gate", tokens, column),
            share.stage(
                activation("sigmoid", tokens, 1, kind, f"{name} sigmoid"), f"{self.name}.sigmoid"
            ),
            share.stage(
                scale(tokens, self.hidden, kind, f"{name} multiply"), f"{self.name}.multiply"
            ),
        )

    def cache(self) -> Cache | None:
        """Its parts keep what is kept."""
        return None
