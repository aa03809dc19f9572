"""`collective`: one operation between devices, on a switch or through a topology."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from hwmodel.einsum.workloads.collective import collective as exchange
from hwmodel.machines.driver import Machine, Network, predict, topology_of
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.units import amount
from hwmodel.spine.estimate import Estimate
from hwmodel.verbs.ask import AS_IS, ON, PICTURE, Question, Word, in_python, pair
from hwmodel.verbs.request import answerer, read
from hwmodel.verbs.work import TOPOLOGY

DISPATCH = ("algorithm", "dispatch", "picks", "experts", "groups", "taken")


class Collective(Question):
    """Time of one collective operation; bytes are counted as nccl-tests does.

    On one switch, or between the first `ranks` devices of a topology: a value, a table, a file, or
    the name of a shipped one such as "dgx-h100". The same as `predict` of the workload.
    """

    verb: ClassVar[str] = "collective"
    example: ClassVar[str] = "collective all_reduce 1GB --ranks 8 --on h200"

    places: ClassVar[tuple[str, ...]] = ("op", "bytes", "ranks", "on")

    op: Annotated[
        str, Word("all_reduce, all_gather, reduce_scatter, all_to_all, broadcast, p2p.", place=True)
    ]
    bytes: Annotated[float | str, AS_IS, Word("Such as 64MiB.", str, place=True)]
    ranks: Annotated[int, AS_IS, Word("Devices that take part.", int)]
    on: Annotated[Machine, AS_IS, ON]
    topology: Annotated[Network, AS_IS, TOPOLOGY] = None
    kernel: Annotated[
        str | None,
        AS_IS,
        Word("Whose all-reduce: nccl, vllm, trtllm; nccl:eager out of graphs.", str),
    ] = None
    algorithm: Annotated[
        str | None, Word("On a topology: ring, tree, direct, ... (default: the fastest).", str)
    ] = None
    dispatch: Annotated[
        str, AS_IS, Word("How rows of an all_to_all go to experts: once, low-latency.")
    ] = "all-to-all"
    picks: Annotated[int | None, Word("Of rows sent once: experts that a token takes.", int)] = None
    experts: Annotated[int | None, Word("Of how many.", int)] = None
    groups: Annotated[int, Word("In so many groups.")] = 1
    taken: Annotated[int, Word("Of which a token takes from so many.")] = 1
    picture: Annotated[str | None, PICTURE] = None

    @classmethod
    def said(cls, words: Mapping[str, Any]) -> Self:
        """A size without a unit is a number of bytes."""
        return cls.read({**words, **dict([pair(f"bytes={words['bytes']}")])})

    def valued(self) -> Estimate:
        """The estimate, on a switch or through a topology."""
        size: Any = self.bytes
        if isinstance(size, str):
            size = amount(size, "bytes", where="collective: bytes")
        how = {name: getattr(self, name) for name in DISPATCH}
        work = exchange(self.op, size, self.ranks, **how)
        return predict(work, self.on, topology=self.topology, kernel=self.kernel)

    def answer(self) -> Estimate:
        """The estimate, as `predict` gives it for the workload `collective`."""
        given = {name: getattr(self, name) for name in Collective.model_fields if name != "picture"}
        request = read({"workload": self.verb, **given})
        return answerer(request.form)(request.sizes)

    def draw(self, answer: Estimate, path: str) -> None:
        """The topology, its links as loaded as when every device sends the same to every other."""
        from hwmodel.show.pictures.network import draw

        network = topology_of(self.topology)
        if network is None:
            raise InputError("--picture: expected --topology with it; a switch has no links apart")
        draw(network, Path(path))


collective = in_python(Collective)
