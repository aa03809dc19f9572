"""`sensitivity`: how time and energy follow each number of a device; where what binds changes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from hwmodel.quantity.errors import InputError
from hwmodel.verbs.ask import PICTURE, OfWork, Word
from hwmodel.verbs.request import builder


class Moves(OfWork):
    """How time and energy follow each number of a device, one at a time."""

    verb: ClassVar[str] = "sensitivity"
    example: ClassVar[str] = "sensitivity gemm M=4096 N=4096 K=4096 --on h200"

    swing: Annotated[float, Word("Share by which numbers fall and rise.")] = 0.2
    break_even: Annotated[
        str | None,
        Word("A number, such as hbm.bandwidth: where what binds changes."),
    ] = None
    to: Annotated[str | None, Word("With it: what binds on one side.")] = None
    picture: Annotated[str | None, PICTURE] = None

    def over(self, fixed: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Any], Any]:
        """Elasticities and swings; or the values of one number at which what binds changes."""
        build, kernel = builder(fixed), fixed.get("kernel")
        if self.break_even is not None:
            from hwmodel.whatif.breakeven import break_even

            number, to = self.break_even, self.to
            return lambda sizes, on: break_even(build(sizes), on, number, to=to, kernel=kernel)
        if self.to is not None:
            raise InputError(
                "--to: expected --break-even with it; it names what binds from there on"
            )
        from hwmodel.whatif.sensitivity import sensitivity

        return lambda sizes, on: sensitivity(build(sizes), on, kernel=kernel, swing=self.swing)

    def draw(self, answer: Any, path: str) -> None:
        """The tornado chart."""
        if self.break_even is not None:
            raise InputError("--picture: expected no --break-even with it; it draws the swings")
        from hwmodel.show.pictures.tornado import tornado

        tornado(answer, Path(path))
