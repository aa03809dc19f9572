"""HiGHS through PuLP, without the banner that some of its versions print on standard output.

The banner comes from C++ when the solver is made, before any option can silence it, and would stand
in front of an answer in JSON. So file descriptor 1 leads nowhere for that moment.

HiGHS refuses to run with another number of threads than the first solve in the process had, ours or
not, and PuLP then reads zeros as the solution. So its threads are started anew where it refuses.
"""

import contextlib
import os
import sys
from collections.abc import Generator
from typing import Any

from pulp import HiGHS, LpProblem

from hwmodel.quantity.errors import SolverError


class Quiet(HiGHS):
    """`pulp.HiGHS(msg=False, ...)` that says nothing at all."""

    def __init__(self, **options: Any) -> None:
        """The options of `pulp.HiGHS`."""
        super().__init__(msg=False, **options)

    def createAndConfigureSolver(self, lp: LpProblem) -> None:
        """Make the solver, in silence."""
        with _silence():
            super().createAndConfigureSolver(lp)

    def callSolver(self, lp: LpProblem) -> None:
        """Solve, with threads of its own; `SolverError` where HiGHS gives no answer of any kind."""
        highs = lp.solverModel
        if highs.run().name == "kError":
            highs.resetGlobalScheduler(True)
            if highs.run().name == "kError":
                raise SolverError(
                    f"{lp.name}: HiGHS ended with an error ({highs.getModelStatus().name});"
                    " expected a solution; look at what it writes, or place by search"
                )


@contextlib.contextmanager
def _silence() -> Generator[None, None, None]:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    try:
        held = os.dup(1)
    except OSError:  # standard output is closed: there is nothing to keep clean
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(held, 1)
        os.close(held)
        os.close(nowhere)
