"""A mixture of experts in place of a layer's MLP: router, routing, experts, their combination.

Between devices every expert's inner columns are divided, and the router is on each. Experts of a
layer are two products, in the formats of their first one's gate and down modules.
"""

from dataclasses import dataclass, replace
from functools import partial

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.joined import interleaved
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.moe_layer import layer_kernels


@dataclass(frozen=True)
class Mixture:
    """Sizes of one layer's experts; a token takes `picks`, whose weights sum to 1 if `normalised`.

    `names` are an expert's gate, up and down modules, `counted` the config key of `intermediate`;
    `router` is the router's module, `correction` that of a bias by expert, if it is a parameter;
    `scoring` says how it makes weights of logits, if not by a softmax of all. `stacked` experts are
    one tensor for all of a layer. Experts with two `names` are two products, not gated; those that
    read latents are of that width, and the router reads `router_width` elements. The router scores
    `idle` experts more, which return what they are given: `picks` are then those of a token that
    compute.
    """

    hidden: int
    experts: int
    picks: int
    intermediate: int
    normalised: bool = True
    path: str = "model.layers.{layer}.mlp"
    names: tuple[str, ...] = ("gate_proj", "up_proj", "down_proj")
    counted: str = "moe_intermediate_size"
    router: str = "gate"
    correction: str | None = None
    scoring: Scoring | None = None
    act: str = "silu"
    router_bias: bool = False
    bias: bool = False
    stacked: bool = False
    router_width: int | None = None
    idle: int = 0

    @property
    def split(self) -> Split:
        """Inner columns of an expert by device."""
        return Split(self.counted, self.intermediate)

    def _experts(self) -> tuple[Weight, ...]:
        made: list[Weight] = []
        axes = (*(0 for _ in self.names[1:]), 1)
        for name, axis in zip(self.names, axes, strict=True):
            sides = (self.intermediate, self.hidden)
            shape = sides if axis == 0 else sides[::-1]
            place = "experts" if self.stacked else "experts.{expert}"
            path = f"{self.path}.{place}.{name}"
            copies = (self.experts, self.picks)
            made.append(Weight(path, shape, "linear", "experts", self.split, axis, *copies))
        return tuple(made)

    def weights(self) -> tuple[Weight, ...]:
        """Experts and router."""
        path = f"{self.path}.{self.router}"
        scored, width = self.experts + self.idle, self.router_width or self.hidden
        router = Weight(path, (scored, width), "router", "router")
        shift = () if self.correction is None else (self._correction(self.correction),)
        return (*self._experts(), router, *shift, *self._biases(path))

    def _biases(self, router: str) -> tuple[Weight, ...]:
        """Biases of the router, and of experts."""
        made = [Weight(router, (self.experts,), "bias", "biases")] if self.router_bias else []
        copies = (self.experts, self.picks)
        for weight in self._experts() if self.bias else ():
            split = self.split if weight.axis == 0 else None
            made.append(Weight(weight.path, weight.shape[:1], "bias", "biases", split, 0, *copies))
        return tuple(made)

    def _correction(self, name: str) -> Weight:
        return Weight(f"{self.path}.{name}", (self.experts,), "bias", "router")

    def stages(self, step: Step, share: Share) -> Stages:
        """The kernels from hidden states to hidden states, once for each format of experts."""
        made: list[Stages] = []
        gate, *_, down = self._experts()
        for kinds, ours in share.formats((gate, down)).items():
            run = partial(
                layer_kernels,
                tokens=step.tokens,
                experts=self.experts,
                top_k=self.picks,
                hidden=self.hidden,
                intermediate=share.of(self.split),
                routing=step.routing,
                exponent=step.exponent,
                normalised=self.normalised,
                scoring=self.scoring,
                router_bias=self.router_bias,
                act=self.act,
                gated=len(self.names) > 2,
                router_width=self.router_width,
                idle=self.idle,
                dtype=share.activation,
                weight_dtype=kinds[0].weight,
                router_dtype=share.precision.unquantised,
                times=ours.times,
            )
            kernels = run(linear_dtype=kinds[0].input, down=kinds[1])
            if any(kind.input != share.activation for kind in kinds):
                wide = replace(kinds[1], input=share.activation)
                others = run(linear_dtype=share.activation, down=wide)
                kernels = tuple(map(_or_else, kernels, others))
            kernels = ours.ours(kernels, "mixture")
            last = share.reduced(kernels[-1:], step.tokens, self.hidden)
            made.append((*kernels[:-1], *last))
        return tuple(interleaved(made))

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


def _or_else(stage: Stage, other: Stage) -> Stage:
    """A stage with what else would do, where its formats are others."""
    first, second = stage.cascade.tensors, other.cascade.tensors
    alike = all(first[name].dtype == second[name].dtype for name in first)
    return stage if alike else replace(stage, instead=other.cascade)
