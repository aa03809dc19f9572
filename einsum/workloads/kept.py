"""What a step of training keeps of each parameter that is trained, beside its weight in 16 bits.

gradient   summed over micro-batches and replicas, in fp32 (Korthikanti et al., arXiv
           2205.05198); in 16 bits where buffers and exchanges are
copy       of the weight, which the optimiser changes; in fp32, narrower, or none: it then
           changes the weight itself
states     numbers that the optimiser keeps, in fp32 or narrower: 8-bit Adam has a byte each and
           a factor in fp32 for each 2,048 (Dettmers et al., arXiv 2110.02861)
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hwmodel.quantity.dtypes import bytes_of
from hwmodel.quantity.errors import InputError, UnknownNameError

OPTIMIZERS: Mapping[str, int] = {
    **{"adam": 2, "adamw": 2, "sgd": 0, "momentum": 1, "muon": 1, "kfac": 1, "mkor": 1},
    **{"lion": 1, "lamb": 2},
}
"""Optimiser -> numbers that it keeps of each parameter, beside a copy."""
EIGHT_BITS = "int8@2048:32"
NARROW: Mapping[str, str] = {f"{name}8bit": name for name in ("adam", "adamw", "lion", "lamb")}
"""Names of optimisers whose states are of 8 bits, without signs -> optimiser."""
WIDTHS = {"gradient_dtype": (16, 32), "copy_dtype": (8, 32), "state_dtype": (4, 32)}
"""Argument -> bits that its format may have at the least and at the most."""
NO_COPY = "none"
WIDE = "fp32"


@dataclass(frozen=True)
class Kept:
    """Bytes of a parameter; `copy_bytes` are 0 where the optimiser changes the weight itself."""

    gradient_bytes: float = 4.0
    copy_bytes: float = 4.0
    states_bytes: float = 8.0

    @classmethod
    def of(cls, optimizer: str, gradient: str, copy: str, state: str) -> "Kept":
        """Of an optimiser, and formats of gradient, copy and states."""
        copied = 0.0 if copy == NO_COPY else float(bytes_of(copy))
        several = OPTIMIZERS[optimizer]
        return cls(float(bytes_of(gradient)), copied, several * float(bytes_of(state)))


def named(optimizer: str, state: str | None) -> tuple[str, str]:
    """An optimiser by its own name, and the format of its states.

    >>> named("AdamW-8bit", None), named("adam", "bf16")
    (('adamw', 'int8@2048:32'), ('adam', 'bf16'))
    """
    name = optimizer.lower()
    narrow = NARROW.get("".join(c for c in name if c.isalnum()))
    if narrow is not None:
        return narrow, EIGHT_BITS if state is None else state
    if name not in OPTIMIZERS:
        known = (*OPTIMIZERS, *(f"{each}-8bit" for each in NARROW.values()))
        raise InputError(f"training: {UnknownNameError('optimizer', optimizer, known)}")
    return name, WIDE if state is None else state


def checked_formats(**formats: str) -> None:
    """Refuse what is no format, and widths that nothing of a parameter is kept in."""
    for name, said in formats.items():
        if name == "copy_dtype" and said == NO_COPY:
            continue
        low, high = WIDTHS[name]
        try:
            bits = 8 * float(bytes_of(said))
        except InputError as error:
            raise InputError(f"training: {name}: {error}") from None
        if not low <= bits <= high:
            raise InputError(
                f"training: {name}: expected a format of {low} to {high} bits, found {said}"
            )
