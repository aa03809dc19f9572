"""The stem of Whisper's encoder (Radford et al., arXiv 2212.04356): two convolutions.

Three taps each over frames of a mel spectrogram, the second with stride 2, so that a position of
the encoder is two frames; each counted as a product of its windows, then a GELU.
"""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Weight
from hwmodel.einsum.workloads.rows import activation

TAPS, STRIDE = 3, 2


@dataclass(frozen=True)
class AudioStem:
    """`bins` of a frame become `hidden`; whole on every device."""

    bins: int
    hidden: int
    path: str
    act: str = "gelu"

    def _filters(self) -> tuple[Weight, Weight]:
        first, second = (f"{self.path}.conv{n}" for n in (1, 2))
        return (
            Weight(first, (self.hidden, TAPS * self.bins), "conv", "embedding"),
            Weight(second, (self.hidden, TAPS * self.hidden), "conv", "embedding"),
        )

    def weights(self) -> tuple[Weight, ...]:
        """Filters and biases."""
        filters = self._filters()
        shifts = (Weight(w.path, w.shape[:1], "bias", "biases") for w in filters)
        return (*filters, *shifts)

    def stages(self, step: Step, share: Share) -> Stages:
        """Two products, each with its activation."""
        made: list[Stages] = []
        for n, (filters, rows) in enumerate(
            zip(self._filters(), (step.tokens * STRIDE, step.tokens), strict=True), start=1
        ):
            name, role = f"conv {n}", f"embedding.conv {n}"
            act = activation(self.act, rows, self.hidden, share.activation, f"{name} {self.act}")
            made.append(share.product(name, role, rows, (filters,), bias=True))
            made.append((share.stage(act, f"{role}.activation"),))
        return tuple(stage for stages in made for stage in stages)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
