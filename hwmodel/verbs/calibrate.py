"""`calibrate`: measure this machine's GPU and fit it."""

from typing import Annotated, Any, ClassVar

from hwmodel.verbs.ask import Question, Word


class Calibrate(Question):
    """Measure this machine's GPU and fit it, in stages; run it again to go on where it stopped."""

    verb: ClassVar[str] = "calibrate"
    writes: ClassVar[bool] = True
    example: ClassVar[str] = "calibrate --out my-gpu/"

    out: Annotated[str, Word("A folder for the device and its calibration.")]
    device: Annotated[str, Word("The relative in the catalogue; auto finds the nearest.")] = "auto"

    def answer(self) -> Any:
        """What was measured and fitted."""
        from hwmodel.validation.plan import calibrate_device

        return calibrate_device(self.out, self.device)

    def record(self, answer: Any) -> dict[str, str]:
        """Where it is, and what was said."""
        return {"out": self.out, "text": str(answer)}
