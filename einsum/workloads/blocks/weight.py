"""Weights of a network as a checkpoint stores them, and how tensor parallelism divides them."""

import math
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from hwmodel.einsum.division import ALONE, Division
from hwmodel.quantity.errors import InputError

LAYER, EXPERT = "{layer}", "{expert}"
"""Where a module's name has the number of its layer, and of its expert."""

Role: TypeAlias = Literal["linear", "head", "table", "norm", "bias", "router", "conv", "other"]
"""What a weight is. Those that checkpoints quantise are `linear`, and a `head` of its own."""

VOCABULARY: Final = "vocab_size"
"""What counts the pieces of embedding and head."""
PARTS: Final[tuple[str, ...]] = (
    *("embedding", "head", "attention", "mlp", "experts", "router", "biases", "norms"),
)
"""Parts of a model in the order in which they are told; others follow."""


@dataclass(frozen=True)
class Split:
    """How tensor parallelism divides something: `pieces` of which each device has its share.

    `what` is the config key that counts them, for people. Pieces that are `repeated` stand on
    several devices where there are fewer than devices; where `ragged` ones do not divide, the share
    is that of the device with most.
    """

    what: str
    pieces: int
    repeated: bool = False
    ragged: bool = False

    def share(self, tp: int) -> int:
        """Pieces on one of `tp` devices; `InputError` where they are not divisible."""
        if self.repeated and self.pieces < tp:
            if tp % self.pieces:
                raise InputError(
                    f"model: tp: expected a multiple of the {self.pieces} KV heads when above it,"
                    f" so that each is repeated alike; found {tp}"
                )
            return 1
        if self.ragged:
            return -(-self.pieces // tp)
        if self.pieces % tp:
            raise InputError(
                f"model: tp: expected a divisor of {self.what} ({self.pieces}), found {tp}"
            )
        return self.pieces // tp


def shared_experts(experts: int, ways: Division) -> int:
    """Experts on one device, copies counted; `InputError` where they are not divisible."""
    slots = experts + ways.redundant
    if slots % ways.ep:
        more = f" and {ways.redundant} copies of some" if ways.redundant else ""
        raise InputError(
            f"model: ep: expected a divisor of the {experts} experts{more}, found {ways.ep};"
            " redundant copies may fill it up"
        )
    return slots // ways.ep


@dataclass(frozen=True)
class Weight:
    """One tensor of a checkpoint, as stored: a linear layer's is `[outputs, inputs]`.

    `path` is its module's full name, with `{layer}` and `{expert}`; modules that a checkpoint fuses
    have one path. `split` divides `axis`: 0 outputs (columns, in Megatron's words), heads or rows
    of a table; 1 inputs (rows); no split: every device has all of it. `copies` are equal modules
    under one path (experts, which expert parallelism divides), of which a token uses `used`
    (default: all).
    """

    path: str
    shape: tuple[int, ...]
    role: Role
    part: str
    split: Split | None = None
    axis: int = 0
    copies: int = 1
    used: int | None = None

    def sizes(self, tp: int) -> tuple[int, ...]:
        """Its shape on one of `tp` devices."""
        if self.split is None:
            return self.shape
        divided = self.shape[self.axis] * self.split.share(tp) // self.split.pieces
        return (*self.shape[: self.axis], divided, *self.shape[self.axis + 1 :])

    def elements(self, ways: Division = ALONE) -> int:
        """Parameters on one device, all copies that it has together."""
        held = shared_experts(self.copies, ways) if self.copies > 1 else 1
        return held * self._each(ways)

    def active(self, ways: Division = ALONE) -> int:
        """Those that one token uses, of all copies wherever they are."""
        return (self.copies if self.used is None else self.used) * self._each(ways)

    def _each(self, ways: Division) -> int:
        """Parameters of one copy on a device that has it."""
        alone = ways.ends == "whole" and self.split is not None and self.split.what == VOCABULARY
        tp = 1 if alone else ways.tp
        return math.prod(self.sizes(ways.expert_tp if self.copies > 1 else tp))

    def path_in(self, layer: int | None) -> str:
        """Its module's name in a layer; of experts that of the first."""
        named = self.path if layer is None else self.path.replace(LAYER, str(layer))
        return named.replace(EXPERT, "0")
