"""`collective`: one operation between devices, on a switch or through a topology."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from hwmodel.machines.driver import Machine, machine_of
from hwmodel.network import collectives
from hwmodel.network.topology import Topology
from hwmodel.quantity.checked import checked
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs.ask import ON, Question, Word, pair
from hwmodel.verbs.request import answerer, read


@checked
def collective(
    op: str,
    size_bytes: float,
    ranks: int,
    on: Machine,
    *,
    topology: Topology | str | Path | None = None,
) -> Estimate:
    """One collective operation; `size_bytes` is counted as nccl-tests does (DESIGN section 14).

    On one switch, or between the first `ranks` devices of a topology: a value, a file, or the name
    of a shipped one such as "dgx-h100".
    """
    if topology is not None:
        from hwmodel.network.topologies import topology as find

        network: Any = find(topology) if isinstance(topology, (str, Path)) else topology
        if not isinstance(network, Topology):
            raise InputError(f"collective: expected a topology, found {shown(network)}")
        return collectives.estimate_on(op, size_bytes, network, machine_of(on), ranks)
    return collectives.estimate(op, size_bytes, ranks, machine_of(on))


class Collective(Question):
    """Time of one collective operation; bytes are counted as nccl-tests does."""

    verb: ClassVar[str] = "collective"
    example: ClassVar[str] = "collective all_reduce 1GB --ranks 8 --on h200"

    op: Annotated[str, Word("all_reduce, all_gather, reduce_scatter, all_to_all, p2p.", place=True)]
    bytes: Annotated[Any, Word("Such as 64MiB.", str, place=True)]
    ranks: Annotated[Any, Word("Devices that take part.", int)]
    on: Annotated[Any, ON]
    topology: Annotated[Any, Word("A topology's name or file (default: a switch).", str)] = None

    @classmethod
    def said(cls, words: Mapping[str, Any]) -> Self:
        """A size without a unit is a number of bytes."""
        return cls.read({**words, **dict([pair(f"bytes={words['bytes']}")])})

    def answer(self) -> Estimate:
        """The estimate, as `predict` gives it for the workload `collective`."""
        given = {name: getattr(self, name) for name in Collective.model_fields}
        request = read({"workload": self.verb, **given})
        return answerer(request.form)(request.sizes)
