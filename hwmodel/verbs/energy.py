"""`energy`: joules of operations and memory accesses by process node, each with its source."""

from typing import Annotated, Any, ClassVar

from hwmodel.hardware.energy_tables import scaled, table, table_text, tables, tables_text
from hwmodel.quantity.errors import InputError
from hwmodel.verbs.ask import Question, Word


class Energy(Question):
    """Joules of operations and memory accesses by process node, each with its source."""

    verb: ClassVar[str] = "energy"
    example: ClassVar[str] = "energy horowitz-2014 --node 7"

    name: Annotated[str | None, Word("A table (default: their names).", place=True)] = None
    node: Annotated[int | None, Word("Scaled to this process, in nm.")] = None
    rule: Annotated[str, Word("tables (45 to 7 nm) or gates (180 to 7).")] = "tables"

    def answer(self) -> Any:
        """A table, or the names of all."""
        if self.name is not None:
            found = table(self.name)
            return found if self.node is None else scaled(found, self.node, rule=self.rule)
        if self.node is not None:
            raise InputError(f"--node: expected a table to scale, one of {', '.join(tables())}")
        return list(tables())

    def record(self, answer: Any) -> Any:
        """Every number with its source."""
        from hwmodel.show.json import plain

        return {"tables": answer} if self.name is None else plain(answer)

    def text(self, answer: Any) -> str:
        """The same for people."""
        return tables_text() if self.name is None else table_text(answer)
