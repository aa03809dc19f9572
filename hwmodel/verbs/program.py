"""`program`: a graph of model calls, priced: test-time scaling, agents, retrieval, routers.

The program is a file (YAML or JSON), a table, or a value (`hwmodel.systems.programs.program`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

from hwmodel.machines.driver import Machine
from hwmodel.quantity.errors import CapacityError
from hwmodel.quantity.units import counted
from hwmodel.systems.programs.priced import Priced, price
from hwmodel.systems.programs.program import Program
from hwmodel.systems.programs.streamed import Streamed, streamed
from hwmodel.verbs.ask import AS_IS, ON, Question, Word, in_python


class ProgramOf(Question):
    """What a program of model calls takes: latency with its critical path, tokens, joules, dollars.

    `program` is a value, a table, or a file of steps, each a call of a model, a tool, a program
    within or a choice; `on` the machine of all models that name none; `batch` how many such
    programs run in step, as one batch: latency is each one's, all else one program's share. With
    `rate_per_s` so many `programs` come at that rate (Poisson) and share engines of vLLM, in whose
    queues their calls wait.
    """

    verb: ClassVar[str] = "program"
    example: ClassVar[str] = "program examples/best_of_n.yaml --on h200"

    places: ClassVar[tuple[str, ...]] = ("program", "on")

    program: Annotated[
        Program | Mapping[str, Any] | str | Path,
        AS_IS,
        Word("A YAML or JSON file of steps.", str, place=True),
    ]
    on: Annotated[Machine | None, AS_IS, ON] = None
    batch: Annotated[int, AS_IS, Word("Programs that run in step, as one batch.", int)] = 1

    rate_per_s: Annotated[float | None, Word("Programs a second, which share engines.")] = None
    programs: Annotated[int, Word("How many of them come.")] = 200
    seed: Annotated[int, Word("Of their draws.")] = 0

    def answer(self) -> Priced | Streamed:
        """The program, priced; of a stream what programs waited."""
        if self.rate_per_s is not None:
            many = counted(self.programs, where="program: programs", most=2**20)
            return streamed(
                self.program, self.on, rate_per_s=self.rate_per_s, programs=many, seed=self.seed
            )
        batch = counted(self.batch, where="program: batch", most=2**20)
        return price(self.program, self.on, batch=batch)

    def status(self, answer: Priced | Streamed) -> int:
        """What does not fit has a status of its own."""
        return 0 if answer.fits else CapacityError.exit_status


program = in_python(ProgramOf)
