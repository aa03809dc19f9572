"""`collective`: one operation between devices, on a switch or through a topology."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from hwmodel.machines.driver import Machine, machine_of
from hwmodel.network import collectives
from hwmodel.network.topology import Topology
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs.ask import AS_IS, ON, Question, Word, in_python, pair
from hwmodel.verbs.request import answerer, read


class Collective(Question):
    """Time of one collective operation; bytes are counted as nccl-tests does.

    On one switch, or between the first `ranks` devices of a topology: a value, a file, or the name
    of a shipped one such as "dgx-h100".
    """

    verb: ClassVar[str] = "collective"
    example: ClassVar[str] = "collective all_reduce 1GB --ranks 8 --on h200"

    places: ClassVar[tuple[str, ...]] = ("op", "bytes", "ranks", "on")

    op: Annotated[str, Word("all_reduce, all_gather, reduce_scatter, all_to_all, p2p.", place=True)]
    bytes: Annotated[float, AS_IS, Word("Such as 64MiB.", str, place=True)]
    ranks: Annotated[int, AS_IS, Word("Devices that take part.", int)]
    on: Annotated[Machine, AS_IS, ON]
    topology: Annotated[
        Topology | str | Path | None,
        AS_IS,
        Word("A topology's name or file (default: a switch).", str),
    ] = None

    @classmethod
    def said(cls, words: Mapping[str, Any]) -> Self:
        """A size without a unit is a number of bytes."""
        return cls.read({**words, **dict([pair(f"bytes={words['bytes']}")])})

    def valued(self) -> Estimate:
        """The estimate, on a switch or through a topology."""
        if self.topology is not None:
            from hwmodel.network.topologies import topology as find

            given: Any = self.topology
            network: Any = find(given) if isinstance(given, (str, Path)) else given
            if not isinstance(network, Topology):
                raise InputError(f"collective: expected a topology, found {shown(network)}")
            machine = machine_of(self.on)
            return collectives.estimate_on(self.op, self.bytes, network, machine, self.ranks)
        return collectives.estimate(self.op, self.bytes, self.ranks, machine_of(self.on))

    def answer(self) -> Estimate:
        """The estimate, as `predict` gives it for the workload `collective`."""
        given = {name: getattr(self, name) for name in Collective.model_fields}
        request = read({"workload": self.verb, **given})
        return answerer(request.form)(request.sizes)


collective = in_python(Collective)
