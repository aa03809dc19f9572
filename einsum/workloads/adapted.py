"""Adapters that a step trains in the place of a model's weights, which are frozen.

lora         beside every product of the layers two thin ones of rank `width` (arXiv 2106.09685),
             or, with `on` "attention", beside those of queries, keys, values and outputs alone
bottleneck   behind each layer a product down to `width`, a function, and one up, added to what the
             layer made (Houlsby et al., arXiv 1902.00751; one a layer, arXiv 2007.07779)
fusion       behind each layer as many frozen bottlenecks as there are `sources`, of other tasks,
             which attention of the layer's own puts together (AdapterFusion, arXiv 2005.00247): a
             query of what the layer made, keys and values of what they did
scaled       the same, each by a vector of the hidden size, or by one number (`each`), which are
             those of each layer or of all (`shared`), and added (ScaLearn)

In words: a rank alone is that of lora, else "lora:width=16,on=attention" or
"scaled:sources=8,each=number,shared=true".
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import pairs

KINDS = ("lora", "bottleneck", "fusion", "scaled")
OF_SOURCES = ("fusion", "scaled")
"""Kinds that put frozen bottlenecks of other tasks together."""
EACH = ("channel", "number")
ON = ("all", "attention")
WIDTH = 48
"""Columns of a bottleneck where none are said: a sixteenth of BERT-base's, as published ones."""


@dataclass(frozen=True)
class Adapters:
    """What is trained: its kind, columns of thin products, where, and how sources are scaled."""

    kind: str
    width: int
    sources: int = 1
    each: str = "channel"
    shared: bool = False
    on: str = "all"

    def trained(self, hidden: int, depth: int) -> float:
        """Parameters that a layer has behind it; those that all share count in parts."""
        if self.kind == "bottleneck":
            return 2 * hidden * self.width + self.width + hidden
        if self.kind == "fusion":
            return 3 * hidden**2
        numbers = self.sources * (hidden if self.each == "channel" else 1)
        return numbers / (depth if self.shared else 1)

    def sources_held(self, hidden: int) -> int:
        """Parameters of frozen bottlenecks behind a layer."""
        each = 2 * hidden * self.width + self.width + hidden
        return self.sources * each if self.kind in OF_SOURCES else 0


def adapters_of(said: Any) -> Adapters | None:
    """Adapters as they are said; None where there are none. Raises `InputError`."""
    if isinstance(said, Adapters) or said is None:
        return said
    where = "training: adapters"
    if isinstance(said, str) and not said.strip().isdigit():
        kind, _, rest = said.partition(":")
        said = {"kind": kind.strip(), **(pairs(rest, where) if rest else {})}
    if not isinstance(said, Mapping):
        rank = _count(where, "a rank", said, least=0)
        return Adapters("lora", rank) if rank else None
    given: dict[str, Any] = dict(said)  # pyright: ignore[reportUnknownArgumentType]
    known = [field.name for field in fields(Adapters)]
    for name in given:
        if name not in known:
            raise InputError(f"{where}: {UnknownNameError('field', name, known)}")
    words_of = (("kind", KINDS, "lora"), ("each", EACH, "channel"), ("on", ON, "all"))
    for name, words, default in words_of:
        if given.setdefault(name, default) not in words:
            raise InputError(f"{where}: {UnknownNameError(name, str(given[name]), words)}")
    given.setdefault("width", 16 if given["kind"] == "lora" else WIDTH)
    for name in ("width", "sources"):
        given[name] = _count(where, name, given.get(name, 1), least=1)
    given["shared"] = str(given.get("shared", False)).lower() in ("true", "1", "yes")
    return Adapters(**given)


def _count(where: str, name: str, value: Any, *, least: int) -> int:
    text = str(value).strip()
    if not text.isdigit() or int(text) < least:
        raise InputError(f"{where}: {name}: expected {least or 1} or more, found {shown(value)}")
    return int(text)
