"""A mixture of experts in place of a layer's MLP: router, routing, experts, their combination.

Between devices experts are divided (expert parallelism), and every expert's inner columns; the
router is on each. Where the devices that share experts have other tokens (data or context parallel,
or scattered ones), rows go to the devices of their experts and back, an all-to-all each way
(DeepSeek-V3, arXiv 2412.19437); of a tensor-parallel group each then sends its part.
Where they have the same tokens, each computes what its experts take, and all sum (vLLM's expert
parallelism). Experts of a layer are two products, in the formats of their first one's gate and down
modules.
"""

from dataclasses import dataclass, replace
from functools import partial
from math import isqrt

from hwmodel.einsum.cascade import Collective, Stage
from hwmodel.einsum.division import Division
from hwmodel.einsum.fan import Fan
from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.joined import interleaved
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight, shared_experts
from hwmodel.einsum.workloads.dispatch import Scoring
from hwmodel.einsum.workloads.formats import ModuleFormats
from hwmodel.einsum.workloads.moe_layer import Layer, layer_kernels
from hwmodel.quantity.arithmetic import ceil_div
from hwmodel.quantity.dtypes import base_of, bytes_of, dtype
from hwmodel.quantity.units import Amount


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
        ways = share.ways
        shared_experts(self.experts, ways)  # refuses what does not divide them
        apart = sends(ways)
        alike = apart and not step.scattered
        tokens = ceil_div(step.tokens, ways.tp) if alike else step.tokens
        for kinds, ours in share.formats((gate, down)).items():
            run = partial(
                layer_kernels,
                tokens=tokens,
                ways=ways.ep,
                gathered=ways.ep * ways.expert_tp if apart else 1,
                experts=self.experts + ways.redundant,
                top_k=self.picks,
                hidden=self.hidden,
                intermediate=self.split.share(ways.expert_tp),
                routing=step.routing,
                exponent=step.exponent,
                normalised=self.normalised,
                scoring=self.scoring,
                router_bias=self.router_bias,
                act=self.act,
                gated=len(self.names) > 2,
                router_width=self.router_width,
                idle=self.idle - ways.redundant,
                dtype=share.activation,
                weight_dtype=kinds[0].weight,
                router_dtype=share.precision.unquantised,
                times=ours.times,
            )
            layer = run(linear_dtype=kinds[0].input, down=kinds[1])
            if any(kind.input != share.activation for kind in kinds):
                wide = replace(kinds[1], input=share.activation)
                others = run(linear_dtype=share.activation, down=wide)
                layer = Layer(
                    *(tuple(map(_or_else, *each)) for each in zip(layer, others, strict=True))
                )
            routing, experts, combining = (ours.ours(each, "mixture") for each in layer)
            if apart:
                sent, back = self._exchanged(tokens, ours, kinds[0])
                whole = self._gathered(step, ours) if alike else ()
                made.append((*routing, *sent, *experts, *back, *combining, *whole))
            else:
                last = self._reduced(combining[-1:], step, share)
                made.append((*routing, *experts, *combining[:-1], *last))
        return tuple(interleaved(made))

    def exchanges(self, step: Step, share: Share) -> Stages:
        """Rows to experts and back alone, of tokens that a tensor-parallel group divides."""
        if not sends(share.ways):
            return ()
        gate, *_, down = self._experts()
        tokens = ceil_div(step.tokens, share.ways.tp)
        both = (
            self._exchanged(tokens, ours, kinds[0])
            for kinds, ours in share.formats((gate, down)).items()
        )
        return tuple(stage for each in both for way in each for stage in way)

    def _exchanged(
        self, tokens: Amount, share: Share, kind: ModuleFormats
    ) -> tuple[Stages, Stages]:
        """Rows on their way to the devices of their experts, and back (`expert_tp` share one)."""
        ways = share.ways
        gathers = ways.dispatch == "gather"
        rows = tokens * (ways.ep if gathers else self.picks)
        sizes = [rows * (self.hidden * each) for each in (_read(kind), bytes_of(share.activation))]
        way = "" if gathers or ways.dispatch == "all-to-all" else ways.dispatch
        fan = self._fan() if way == "once" else None
        operations = ("all_gather", "reduce_scatter") if gathers else ("all_to_all",) * 2
        there, back = (
            share.exchanged(name, op, size, "ep", fan=fan, sent=way)
            for name, op, size in zip(("dispatch", "combine"), operations, sizes, strict=True)
        )
        given, taken = (size * ways.expert_tp for size in sizes)
        return (
            (*there, *share.exchanged("dispatch gather", "all_gather", given, "etp")),
            (*share.exchanged("combine sum", "reduce_scatter", taken, "etp"), *back),
        )

    def _fan(self) -> Fan:
        """Where a token's choices lead, of groups that its router takes alone."""
        scoring = self.scoring or Scoring()
        return Fan(self.picks, self.experts, scoring.groups, scoring.taken)

    def _gathered(self, step: Step, share: Share) -> Stages:
        """Sums of a device's part of the tokens, to all that have the same; whoever sums, sums."""
        if not share.summed:
            return ()
        size = step.tokens * (self.hidden * bytes_of(share.activation))
        return share.exchanged("tokens gather", "all_gather", size, "tp")

    def _reduced(self, stages: Stages, step: Step, share: Share) -> Stages:
        """Sums over the devices that have the experts; others of a tensor-parallel group do alike.

        Where shared experts wait to be summed with them, that is done by all of the group.
        """
        among = share.ways.expert_tp * share.ways.ep
        if among == share.tp or not share.summed:
            return share.reduced(stages, step.tokens, self.hidden)
        size = step.tokens * (self.hidden * bytes_of(share.activation))
        joint = Collective("all_reduce", size, among, "etp,ep")
        return tuple(replace(stage, collective=joint) for stage in stages)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


def _read(kind: ModuleFormats) -> int | float:
    """Bytes of an element that experts read: rows of fp8 for blocks of weights have their scales.

    A scale for as many elements of a row as a block of weights is wide (DeepSeek-V3).
    """
    weight = dtype(kind.weight)
    side = isqrt(weight.block)
    if (weight.base, base_of(kind.input)) != ("fp8", "fp8") or side < 2 or side**2 != weight.block:
        return bytes_of(kind.input)
    return bytes_of(f"{kind.input}@{side}:{weight.scale_bits}")


def sends(ways: Division) -> bool:
    """Whether tokens go to other devices for their experts.

    They need not where all that share the experts have the same tokens (tensor parallelism alone).
    """
    alike = 1 if ways.sp else ways.tp
    return ways.ep > 1 and ways.ep * ways.expert_tp > alike


def _or_else(stage: Stage, other: Stage) -> Stage:
    """A stage with what else would do, where its formats are others."""
    first, second = stage.cascade.tensors, other.cascade.tensors
    alike = all(first[name].dtype == second[name].dtype for name in first)
    return stage if alike else replace(stage, instead=other.cascade)
