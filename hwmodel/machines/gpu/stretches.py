"""Stretches of cascades: one Einsum, or several in order, what they read being inputs."""

from dataclasses import replace
from types import MappingProxyType

from hwmodel.einsum.cascade import Cascade, Form
from hwmodel.einsum.known import of_form
from hwmodel.machines.gpu.recurrences import operands


def stretch(cascade: Cascade, position: int, length: int = 1) -> Cascade:
    """The cascade of one Einsum or of several, their operands being inputs."""
    if len(cascade.einsums) == length:
        return cascade
    return taken(cascade, position, length).told(_form_alone(cascade, position, length))


@of_form
def _form_alone(cascade: Cascade, position: int, length: int) -> Form:
    return taken(cascade, position, length).form


def taken(cascade: Cascade, position: int, length: int) -> Cascade:
    """The same, built anew."""
    einsums = cascade.einsums[position : position + length]
    made = {einsum.name for einsum in einsums}
    names = made | {name for einsum in einsums for name in operands(einsum.expression)}
    tensors = MappingProxyType({n: t for n, t in cascade.tensors.items() if n in names})
    after = cascade.einsums[position + length :]
    read = {name for einsum in after for name in operands(einsum.expression)}
    left = made & (read | set(cascade.outputs)) if length > 1 else made
    return replace(
        cascade,
        name=einsums[-1].name,
        tensors=tensors,
        einsums=einsums,
        initials=(),
        outputs=tuple(einsum.name for einsum in einsums if einsum.name in left),
        origin=None,
    )
