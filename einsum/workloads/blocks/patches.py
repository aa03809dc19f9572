"""Patches of an image as tokens: a product of each patch, tokens of no patch, learned positions.

Dosovitskiy et al., arXiv 2010.11929. A convolution whose stride is its window is a
product of patches; tokens of no patch are counted as if they were multiplied too.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import add


@dataclass(frozen=True)
class Patches:
    """`inputs` numbers of a patch become `hidden`; `extra` tokens stand before, `spare` are unused.

    `rows` of positions are added (0: none are); `names` are the modules of the product and the
    positions below `path`.
    """

    inputs: int
    hidden: int
    rows: int
    extra: int = 1
    spare: int = 0
    bias: bool = True
    path: str = "embeddings"
    names: tuple[str, str] = ("patch_embeddings.projection", "position_embeddings")

    @property
    def _matrix(self) -> Weight:
        path = f"{self.path}.{self.names[0]}".removeprefix(".")
        return Weight(path, (self.hidden, self.inputs), "conv", "embedding")

    def weights(self) -> tuple[Weight, ...]:
        """The product, its bias, tokens, positions."""
        made = [self._matrix]
        if self.bias:
            made.append(Weight(self._matrix.path, (self.hidden,), "bias", "biases"))
        tokens = self.extra + self.spare
        if tokens:
            shape = (tokens, self.hidden)
            made.append(Weight(f"{self.path}.cls_token", shape, "table", "embedding"))
        if self.rows:
            path = f"{self.path}.{self.names[1]}"
            made.append(Weight(path, (self.rows, self.hidden), "table", "embedding"))
        return tuple(made)

    def stages(self, step: Step, share: Share) -> Stages:
        """A product, and the addition of positions."""
        added = add(step.tokens, self.hidden, share.activation, "positions add")
        return (
            *share.product(
                "patches", "embedding.patches", step.tokens, (self._matrix,), bias=self.bias
            ),
            *((share.stage(added, "embedding.positions"),) if self.rows else ()),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
