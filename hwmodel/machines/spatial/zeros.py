"""Which machines are asked about zeros: of densities, and of formats that keep some of a group."""

from hwmodel.einsum.network import Workload
from hwmodel.hardware.hardware import Hardware
from hwmodel.quantity.dtypes import structure_of
from hwmodel.quantity.errors import CoverageError


def check_zeros(workload: Workload, machine: Hardware) -> None:
    """Raises `CoverageError` for zeros that are not modelled on a machine.

    Densities are on arrays without a binding; formats that keep some of each group, on GPUs.
    """
    if machine.kind != "spatial" or machine.binding:
        check_dense(workload, machine.name)
    if machine.kind != "gpu":
        _check_plain(workload, machine.name)


def check_dense(workload: Workload, where: str) -> None:
    """Raises `CoverageError` for tensors with a density, where zeros are not modelled."""
    for stage in workload.stages:
        form = stage.cascade.form.known
        if "zeros" not in form:
            tensors = stage.cascade.tensors.items()
            form["zeros"] = [name for name, tensor in tensors if tensor.density is not None]
        if form["zeros"]:
            raise CoverageError(
                f"{stage.cascade.name}, {where}: tensors with a density"
                f" ({', '.join(form['zeros'])}) are modelled on arrays without a binding, by map"
                " and predict; leave densities out, or ask for an array such as peer-a3; weights"
                " of GPUs' 2:4 units are a format, weight_dtype=bf16~2:4"
            )


def _check_plain(workload: Workload, where: str) -> None:
    """Raises `CoverageError` for formats that keep some of each group."""
    for stage in workload.stages:
        form = stage.cascade.form.known
        if "structured" not in form:
            stored = ((name, tensor.dtype) for name, tensor in stage.cascade.tensors.items())
            form["structured"] = [f"{name}: {kind}" for name, kind in stored if structure_of(kind)]
        if form["structured"]:
            raise CoverageError(
                f"{stage.cascade.name}, {where}: formats that keep some of each group"
                f" ({', '.join(form['structured'])}) are modelled on GPUs; on arrays say it as a"
                " density, 'W ~ 2 of 4 k', with a machine's sparsity"
            )
