"""Convolutions inside of networks of tokens: products of windows, and filters of each channel.

A convolution is counted as a product of its windows, each of which is a row. Norms behind it that
inference folds into its weights (batch norms) are weights without a kernel.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.recurrence import causal_conv
from hwmodel.einsum.workloads.rows import activation

PART = "convolution"


@dataclass(frozen=True)
class Convolution:
    """`inputs` numbers of a window become `outputs`; whole on every device.

    `finer` so many rows stand for a token of the step; `folded` says that a batch norm's gains and
    shifts are folded into it.
    """

    name: str
    inputs: int
    outputs: int
    path: str
    bias: bool = False
    folded: bool = False
    act: str | None = None
    finer: int = 1

    @property
    def matrix(self) -> Weight:
        """Filters by the elements of a window."""
        return Weight(self.path, (self.outputs, self.inputs), "conv", PART)

    def weights(self) -> tuple[Weight, ...]:
        """Filters, biases, and what is folded into them."""
        shift = (Weight(self.path, (self.outputs,), "bias", "biases"),) if self.bias else ()
        norm = Weight(f"{self.path}.norm", (self.outputs,), "norm", "norms")
        return (self.matrix, *shift, *((norm, norm) if self.folded else ()))

    def stages(self, step: Step, share: Share) -> Stages:
        """A product, and its activation."""
        rows, role = step.tokens * self.finer, f"convolution.{self.name}"
        biased = self.bias or self.folded
        made = share.product(self.name, role, rows, (self.matrix,), bias=biased)
        if self.act is None:
            return made
        act = activation(self.act, rows, self.outputs, share.activation, f"{self.name} {self.act}")
        return (*made, share.stage(act, f"{role}.activation"))

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class Filters:
    """A filter of `taps` elements for each channel, over a sequence; whole on every device."""

    name: str
    channels: int
    taps: int
    path: str
    bias: bool = False
    act: str | None = None

    def weights(self) -> tuple[Weight, ...]:
        """Filters and biases."""
        shift = (Weight(self.path, (self.channels,), "bias", "biases"),) if self.bias else ()
        return (Weight(self.path, (self.channels, self.taps), "conv", "filters"), *shift)

    def stages(self, step: Step, share: Share) -> Stages:
        """One kernel."""
        sizes = (step.batch, step.queries, self.channels, self.taps, self.act)
        made = causal_conv(*sizes, dtype=share.activation, name=self.name)
        return (share.stage(made, f"convolution.{self.name}"),)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
