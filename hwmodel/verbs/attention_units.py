"""`attention-units`: which unit of a GPU limits FlashAttention-4, and what its tricks buy."""

from typing import Annotated, Any, ClassVar

from hwmodel.hardware.catalogue import device
from hwmodel.machines.gpu import attention_units as units
from hwmodel.verbs.ask import PICTURE, Question, Word


class AttentionUnits(Question):
    """Which unit of a GPU limits FlashAttention-4, and what each of its tricks buys."""

    verb: ClassVar[str] = "attention-units"
    example: ClassVar[str] = "attention-units --on b200 --head-dim 128"

    on: Annotated[list[str] | None, Word("A GPU; repeat.", flag="--on")] = None
    head_dim: Annotated[list[int] | None, Word("64, 128, 256; repeat.")] = None
    picture: Annotated[str | None, PICTURE] = None

    def answer(self) -> Any:
        """One survey a GPU and head dimension."""
        machines = [device(name) for name in self.on or units.MACHINES]
        return units.survey(machines, self.head_dim or units.HEAD_DIMS)

    def record(self, answer: Any) -> list[dict[str, Any]]:
        """Every field of each."""
        return [each.record() for each in answer]

    def text(self, answer: Any) -> str:
        """One table."""
        return units.survey_text(answer)

    def draw(self, answer: Any, path: str) -> None:
        """Clocks as bars."""
        from hwmodel.show.pictures.attention_units import draw

        draw(answer, path)
