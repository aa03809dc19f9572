"""`map`: the best loop nest of a cascade, with a proof; on other machines what they choose."""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from hwmodel.machines.driver import check_workload, machine_of
from hwmodel.mappers.mapper import Mapped, Mapper
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.printable import shown
from hwmodel.verbs.ask import AS_IS, PICTURE, Word, in_python
from hwmodel.verbs.einsums import memories
from hwmodel.verbs.request import builder
from hwmodel.verbs.work import OfWork


class Map(OfWork):
    """The best loop nest of a cascade, with a proof; on a GPU, tiles by predicted time.

    `mapper` is a function of your own, `(workload, machine, *, objective, capacities)` to a
    `hwmodel.mappers.mapper.Proposal`, in place of ours: what it proposes is counted anew, and the
    certificate says how far it is from a proven bound; the options below are our mapper's.

    `objective` is traffic (default), energy, latency or edp; of a network on a microcontroller
    latency (default), energy, traffic or sram. `mapspace` is the set of nests that is searched
    (default: any tile sizes); `rules` how counts are charged (overlap, ports); `double` keeps every
    tile twice; `shares` names the tensors of each buffer, where there are several; `fused=False`
    maps every Einsum by itself; after `time_limit_s` seconds the search of one Einsum on an array
    ends, with the best found and its proven gap. On a GPU the tiles of our own kernel are ranked by
    predicted time; `kernel` names one Einsum where there are several kernels. On a microcontroller
    a network is mapped patch by patch, for the library `kernel`; on an FPGA its layers are given
    reuse factors (hls4ml). Raises `CapacityError` where nothing fits, with what would suffice.

    Files of Timeloop and AccelForge, which say machine, work and, if any, the mapping to count, are
    asked about in words: `hw.ask("map", timeloop=["arch.yaml", "problem.yaml"])`.
    """

    verb: ClassVar[str] = "map"
    example: ClassVar[str] = (
        'map --einsum "Z[m,n] = A[m,k] * B[k,n]" --ranks m=64,n=64,k=64 --memory buffer=16KiB'
    )

    kernel: Annotated[  # pyright: ignore
        str | None, Word("Of a GPU: the Einsum, of several, whose tiles to rank.", str)
    ] = None
    parallel: Annotated[Any, Word("Not divided yet.", words=True, value=True)] = None
    mapper: Annotated[Mapper | None, AS_IS, Word("A mapper in place of ours.", value=True)] = None
    objective: Annotated[str | None, Word("traffic (default), energy, latency or edp.")] = None
    mapspace: Annotated[str | None, Word("uniform, divisors, pinned; ragged, interleaved.")] = None
    time_limit_s: Annotated[
        float | None,
        Field(ge=0, allow_inf_nan=False),
        Word("Seconds to search one Einsum on an array.", float),
    ] = None
    rules: Annotated[str | None, Word("Accounting rules: overlap (default) or ports.")] = None
    double: Annotated[bool, Word("Keep every tile twice.", flag="--double")] = False
    shares: Annotated[
        Mapping[str, Sequence[str]] | None,
        AS_IS,
        Word("Buffer -> the tensors that it holds alone.", value=True),
    ] = None
    fused: Annotated[bool, Word("Each Einsum by itself.", flag=" /--unfused")] = True
    front: Annotated[bool, Word("All that no other beats.", flag="--front", words=True)] = False
    forms: Annotated[
        bool, Word("A softmax in one, two and three passes, compared.", flag="--forms", words=True)
    ] = False
    timeloop: Annotated[
        list[str] | None,
        Word("Files of Timeloop or AccelForge: architecture, problem, or a mapping.", words=True),
    ] = None
    picture: Annotated[str | None, PICTURE] = None

    @classmethod
    def said(cls, words: Mapping[str, Any]) -> Self:
        """Words of a command; behind --timeloop ARCHITECTURE stand further files."""
        if "timeloop" not in words:
            return super().said(words)
        rest = dict(words)
        more = [*([rest.pop("what")] if "what" in rest else []), *rest.pop("fields", [])]
        return cls.read({**rest, "timeloop": [*rest.pop("timeloop"), *more]})

    def answer(self) -> Any:
        """The answer; for the files of a specification theirs."""
        if self.timeloop is None:
            return super().answer()
        from hwmodel.verbs.specification import specified

        taken = ("timeloop", "objective", "mapspace", "rules", "time_limit_s", "ranks", "picture")
        for name in self.model_fields_set - {*taken}:
            if getattr(self, name) != Map.model_fields[name].default:
                raise InputError(f"map: {name}: expected none beside timeloop, whose files say all")
        search = ("mapspace", "rules", "time_limit_s")
        options = {n: v for n in search if (v := getattr(self, n)) is not None}
        return specified(self.timeloop, self.ranks, objective=self.objective, **options)

    @classmethod
    def has_default_machine(cls, words: Mapping[str, Any]) -> bool:
        """Einsums have a machine of a memory and a buffer, where none is named."""
        return "einsum" in words or "cascade" in words

    def over(self, fixed: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Any], Any]:
        """What is mapped: one nest, all that no other beats, or forms of a softmax."""
        self._check_one_device()
        build, (shares, _) = builder(fixed), memories(fixed.get("memory"))
        if self.front:
            from hwmodel.mappers.cascades import map_front

            options = self._alone("front", shares, "mapspace", "rules")
            return lambda sizes, on: map_front(build(sizes), on, **options)  # pyright: ignore[reportArgumentType]
        if self.forms:
            from hwmodel.mappers.cascades import map_forms

            options = self._alone("forms", shares, "mapspace")
            return lambda sizes, on: map_forms(build(sizes), on, **options)  # pyright: ignore[reportArgumentType]
        asked = self.model_copy(update={"shares": shares or None})
        return lambda sizes, on: asked.of(build(sizes), on, fixed.get("kernel"))

    def of(self, workload: Any, on: Any, kernel: Any) -> Mapped:
        """The answer of the machine's mapper, or of the user's."""
        self._check_one_device()
        check_workload(workload, "map")
        from hwmodel.mappers.shipped import mapped

        names = ("mapper", "objective", "mapspace", "rules", "time_limit_s")
        own: dict[str, Any] = {name: getattr(self, name) for name in names}
        own |= {"double": self.double or None, "fused": None if self.fused else False}
        return mapped(workload, machine_of(on), kernel=kernel, shares=self.shares, **own)

    def _check_one_device(self) -> None:
        """Refuse what joins devices or divides work over them: a nest is of one device."""
        for name in ("topology", "parallel"):
            value = getattr(self, name)
            if value is not None:
                raise InputError(
                    f"map: {name}: expected none, since the work of one device is mapped, found"
                    f" {shown(value)}; leave it out, and map a device's share by itself; predict"
                    f" and bound take {name}"
                )

    def _alone(self, asked: str, shares: Mapping[str, Any], *also: str) -> dict[str, Any]:
        """The options that may stand beside `asked`; others are refused."""
        if shares:
            told = "expected buffers that hold any tensor, found some that do not"
            raise InputError(f"--{asked}: {told}")
        said = {name: getattr(self, name) for name in (*self.own(), "kernel")}
        said["unfused"] = not said.pop("fused")
        for name, value in said.items():
            if value and name not in (asked, *also):
                raise InputError(f"--{asked}: expected no --{name} with it, found {value!r}")
        return {name: said[name] for name in also if said[name]}

    def record(self, answer: Any) -> Any:
        """An answer, a list of a front, or one line a form."""
        if self.front:
            return [point.record() for point in answer]
        if self.forms:
            from hwmodel.mappers.fusion.compare import forms_record

            return forms_record(answer)
        return super().record(answer)

    def text(self, answer: Any) -> str:
        """The same for people."""
        if self.front:
            from hwmodel.mappers.nests.front import front_text

            return front_text(answer)
        if self.forms:
            from hwmodel.mappers.fusion.compare import forms_text

            return forms_text(answer)
        return str(answer)

    def draw(self, answer: Any, path: str) -> None:
        """Draw a loop nest; raises `InputError` for an answer of another kind."""
        from hwmodel.mappers.nests.mapped import NestMapped
        from hwmodel.mappers.nests.picture import draw

        if not isinstance(answer, NestMapped):
            told = "expected a loop nest to draw, found an answer without one"
            raise InputError(f"--picture: {told}")
        draw(answer, path)


map = in_python(Map)
