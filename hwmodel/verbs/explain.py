"""`explain`: why a prediction is what it is; of two machines, why they differ."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from hwmodel.quantity.errors import InputError
from hwmodel.verbs.ask import MANY, OfWork, several
from hwmodel.verbs.request import asked, builder, machine_for, predicted, read


class Explain(OfWork):
    """Why a prediction is what it is; with two devices, why they differ."""

    verb: ClassVar[str] = "explain"
    example: ClassVar[str] = "explain gemm M=4096 N=4096 K=4096 --on h200 --on b200"

    on: Annotated[Any, MANY]  # pyright: ignore[reportGeneralTypeIssues]

    def over(self, fixed: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Any], Any]:
        """The explanation on one device; of communication, that of its estimate."""
        from hwmodel.whatif.explanation import explain

        if fixed["workload"] == "collective":
            estimate = predicted(fixed)
            return lambda sizes, on: explain(estimate(sizes, on))
        build, kernel = builder(fixed), fixed.get("kernel")
        return lambda sizes, on: explain(build(sizes), on, kernel=kernel)

    def answer(self) -> Any:
        """On one device an explanation; on two, what the difference between them is due to."""
        fields, on = self.asked(), several(self.on)
        if not 1 <= len(on) <= 2:
            raise InputError(f"--on: expected one device, or two to compare, found {len(on)}")
        if len(on) == 2:
            from hwmodel.whatif.attribution import attribute

            (work, before, kernel), (_, after, _) = (asked({**fields, "on": name}) for name in on)
            return attribute(work, [before, after], kernel=kernel)
        request = read({**fields, "on": on[0]})
        return self.over(request.fixed)(request.sizes, machine_for(request.fixed))
