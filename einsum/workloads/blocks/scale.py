"""Elementwise factors and caps between blocks, each a kernel of its own in plain torch."""

from dataclasses import dataclass

from hwmodel.einsum.workloads.blocks.block import Cache, Step
from hwmodel.einsum.workloads.blocks.share import Share, Stages
from hwmodel.einsum.workloads.blocks.weight import Split, Weight
from hwmodel.einsum.workloads.rows import activation, scale


@dataclass(frozen=True)
class Scale:
    """Hidden states times a factor."""

    name: str
    hidden: int

    def weights(self) -> tuple[Weight, ...]:
        """It has none."""
        return ()

    def stages(self, step: Step, share: Share) -> Stages:
        """One kernel over rows of hidden states."""
        made = scale(step.tokens, self.hidden, share.activation, self.name)
        return (share.stage(made, "scale"),)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class LogitScale:
    """Logits times a factor, and where they are `capped`, `cap * tanh(logits / cap)`."""

    vocabulary: int
    capped: bool = False

    def weights(self) -> tuple[Weight, ...]:
        """It has none."""
        return ()

    def stages(self, step: Step, share: Share) -> Stages:
        """Kernels over the logits of each sequence's last token."""
        kind, columns = (
            share.activation,
            share.of(Split("vocab_size", self.vocabulary, ragged=True)),
        )
        factor = share.stage(scale(step.sequences, columns, kind, "logits scale"), "head.scale")
        if not self.capped:
            return (factor,)
        cap = activation("tanh", step.sequences, columns, kind, "logits cap")
        return factor, share.stage(cap, "head.cap"), factor

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None


@dataclass(frozen=True)
class LearnedScale:
    """Hidden states times a learned vector."""

    name: str
    hidden: int
    path: str

    def weights(self) -> tuple[Weight, ...]:
        """The vector."""
        return (Weight(self.path, (self.hidden,), "other", "norms"),)

    def stages(self, step: Step, share: Share) -> Stages:
        """One kernel over rows of hidden states."""
        made = scale(step.tokens, self.hidden, share.activation, self.name)
        return (share.stage(made, "scale"),)

    def cache(self) -> Cache | None:
        """Nothing is kept."""
        return None
