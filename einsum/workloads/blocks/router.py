"""A router of a layer: from means of hidden states, which way the layer takes a prompt."""

from dataclasses import dataclass

from hwmodel.einsum.workloads import selection
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.quantity.arithmetic import least


@dataclass(frozen=True)
class Router:
    """The mean of `pooled` hidden states, a product to `inner` columns, and one to the ways.

    It runs with a prompt; the steps that follow go the same way.
    """

    hidden: int
    pooled: int
    inner: int
    ways: int = 2
    path: str = "model.layers.{layer}.self_attn.router"

    def weights(self) -> tuple[Weight, ...]:
        """Two matrices, whole on every device."""
        shapes = (("up", (self.inner, self.hidden)), ("down", (self.ways, self.inner)))
        return tuple(
            Weight(f"{self.path}.{name}", shape, "router", "router") for name, shape in shapes
        )

    def stages(self, step: Step, share: Share) -> Stages:
        """A mean and two products for each prompt."""
        return step.each(lambda one: () if one.decoding else self._routed(one, share))

    def _routed(self, step: Step, share: Share) -> Stages:
        up, down = self.weights()
        pooled = least((step.queries, self.pooled))
        mean = selection.mean(
            *(step.batch, pooled, self.hidden, share.activation), name="router pooling"
        )
        return (
            share.stage(mean, "router.pooling"),
            *share.product("router up", "router.up", step.batch, (up,)),
            *share.product("router down", "router.down", step.batch, (down,)),
        )

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
