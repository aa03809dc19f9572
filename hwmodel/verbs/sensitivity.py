"""`sensitivity`: how time and energy follow each number of a device; where what binds changes."""

from pathlib import Path
from typing import Annotated, Any, ClassVar

from hwmodel.quantity.errors import InputError
from hwmodel.verbs.ask import PICTURE, Word, in_python
from hwmodel.verbs.work import OfRun
from hwmodel.whatif import sensitivity as whatif


class Moves(OfRun):
    """How time and energy follow each number of a device, one at a time.

    Elasticities, and swings where a number falls and rises by the share `swing`. Sizes and the
    machine's numbers must be scalars. Raises as `predict` does.
    """

    verb: ClassVar[str] = "sensitivity"
    example: ClassVar[str] = "sensitivity gemm M=4096 N=4096 K=4096 --on h200"

    swing: Annotated[float, Word("Share by which numbers fall and rise.")] = whatif.SWING
    break_even: Annotated[
        str | None,
        Word("A number, such as hbm.bandwidth: where what binds changes.", words=True),
    ] = None
    to: Annotated[str | None, Word("With it: what binds on one side.", words=True)] = None
    picture: Annotated[str | None, PICTURE] = None

    def of(self, workload: Any, on: Any, kernel: Any) -> whatif.Sensitivity:
        """Elasticities and swings; or the values of one number at which what binds changes."""
        given: dict[str, Any] = {"kernel": kernel, **self.run}
        if self.break_even is not None:
            from hwmodel.whatif.breakeven import break_even

            found: Any = break_even(workload, on, self.break_even, to=self.to, **given)
            return found
        if self.to is not None:
            raise InputError(
                "--to: expected --break-even with it; it names what binds from there on"
            )
        return whatif.sensitivity(workload, on, swing=self.swing, **given)

    def draw(self, answer: Any, path: str) -> None:
        """The tornado chart."""
        if self.break_even is not None:
            raise InputError("--picture: expected no --break-even with it; it draws the swings")
        from hwmodel.show.pictures.tornado import tornado

        tornado(answer, Path(path))


sensitivity = in_python(Moves)
