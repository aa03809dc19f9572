"""`models`: the models that come with the package; with a name, what is held of one.

A card says what a model is on no hardware at all: parameters, what one token uses of them, bytes
of weights and of the cache, formats, the context that it was made for, where its config is from.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from textwrap import wrap
from typing import Annotated, Any, ClassVar

from hwmodel.einsum.workloads.config import SHIPPED, shipped_configs
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.einsum.workloads.registry import architectures
from hwmodel.quantity.errors import InputError
from hwmodel.quantity.listed import Listed
from hwmodel.quantity.reading import json_table
from hwmodel.quantity.units import show
from hwmodel.text.grid import grid
from hwmodel.text.markup import Brief
from hwmodel.verbs.ask import Question, Word, in_python
from hwmodel.verbs.work import (
    AS,
    IGNORE_KEYS,
    PART,
    QUANTISE,
)

WIDTH = 110
"""Characters of a line that lists names."""


@dataclass(frozen=True, repr=False)
class Card(Brief):
    """What a model is: counts of parameters, bytes, formats.

    `kv_bytes_per_token` holds while no sliding window has filled; `state_bytes` are what a sequence
    keeps whatever its length (states of recurrences, keys of an encoder's tokens); `context` is
    None where the config does not say; `parts` are parameters by part; `source` is where the config
    is from, `warnings` are what reading it assumed and left out.
    """

    name: str
    architecture: str
    layers: int
    parameters: int
    active_parameters: int
    parts: dict[str, int]
    weight_bytes: int | float
    kv_bytes_per_token: int | float
    state_bytes: int | float
    weight_dtype: str
    kv_dtype: str
    activation_dtype: str
    context: int | None
    source: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def formats(self) -> str:
        """Of weights, and of the cache where that is not the activations', without scales."""
        weight, kv = (name.partition("@")[0] for name in (self.weight_dtype, self.kv_dtype))
        return weight if self.activation_dtype == self.kv_dtype else f"{weight}, KV {kv}"

    def __str__(self) -> str:
        """A short sheet."""
        lines = [
            ("architecture", f"{self.architecture}, {self.layers} layers"),
            ("parameters", f"{self.parameters:,}"),
            ("active", f"{self.active_parameters:,} that one token uses"),
            *((f"  {part}", f"{count:,}") for part, count in self.parts.items() if count),
            ("weights", f"{show(self.weight_bytes, 'bytes')} in {self.weight_dtype}"),
            ("cache", f"{show(self.kv_bytes_per_token, 'bytes')} a token in {self.kv_dtype}"),
            *self._state,
            ("activations", self.activation_dtype),
            ("context", "not said" if self.context is None else f"{self.context:,} tokens"),
        ]
        sheet = "\n".join(f"{head:<14}{text}" for head, text in lines)
        told = "\n".join(("warnings", *(f"  - {each}" for each in self.warnings)))
        more = (self.source or "", told if self.warnings else "")
        return "\n\n".join((self.name, sheet, *(each for each in more if each)))

    @property
    def _state(self) -> list[tuple[str, str]]:
        """The line of what does not grow with a sequence, where there is such a thing."""
        held = show(self.state_bytes, "bytes")
        return [("state", f"{held} a sequence, of any length")] if self.state_bytes else []


@dataclass(frozen=True, repr=False)
class Cards(Brief):
    """Models side by side, in the order of their names."""

    cards: tuple[Card, ...]

    def __iter__(self) -> Iterator[Card]:
        """Each of them."""
        return iter(self.cards)

    def __len__(self) -> int:
        """How many."""
        return len(self.cards)

    @property
    def names(self) -> tuple[str, ...]:
        """What `hw.model` takes."""
        return tuple(card.name for card in self.cards)

    def __str__(self) -> str:
        """One row a model."""
        rows = [
            [
                card.name,
                card.architecture,
                show(card.parameters, "").rstrip(),
                show(card.active_parameters, "").rstrip(),
                show(card.weight_bytes, "bytes"),
                show(card.kv_bytes_per_token, "bytes"),
                "-" if card.context is None else f"{card.context:,}",
                card.formats,
            ]
            for card in self.cards
        ]
        heads = ("name", "architecture", "all", "active", "weights", "KV", "context", "formats")
        said = (
            "parameters of all and those that one token uses, bytes of the weights, of the cache a"
        )
        read = "configs are read whose model_type is one of: " + ", ".join(architectures())
        told = (
            f"{said} token; tokens of context",
            "\n".join(wrap(read, WIDTH, break_on_hyphens=False)),
        )
        finding = f"{len(rows)} models come along"
        return "\n\n".join((finding, grid(heads, rows, left=(0, 1, 7)), *told))


class Models(Question):
    """The models that come with the package; with a name or a config, what is held of one."""

    verb: ClassVar[str] = "models"
    example: ClassVar[str] = "models llama-3.1-8b"

    name: Annotated[
        str | None,
        Word("A shipped name, or a config.json.", place=True, words=True, complete="models"),
    ] = None
    quantise: Annotated[str | None, QUANTISE] = None
    ignore_keys: Annotated[list[str] | None, IGNORE_KEYS] = None
    as_: Annotated[str | None, AS] = None
    part: Annotated[str | None, PART] = None

    def answer(self) -> Card | Cards:
        """One card, or all."""
        if self.name is None:
            self._check_all()
            return self.valued()
        return card(self._read(self.name))

    def valued(self) -> Cards:
        """What the shipped configs hold, in the order of their names."""
        return Cards(tuple(card(self._read(name)) for name in shipped_configs()))

    def _check_all(self) -> None:
        """Refuse, of all models, what says how one config is read."""
        said = {"as_": self.as_, "part": self.part, "ignore_keys": self.ignore_keys}
        for field, value in said.items():
            if value:
                raise InputError(f"models: {field}: expected a config that it reads, found none")

    def _read(self, name: str) -> Model:
        """The model of a name or a path, as it is asked for."""
        return model(
            name,
            quantise=self.quantise,
            ignore_keys=self.ignore_keys or (),
            as_=self.as_,
            part=self.part,
        )

    def record(self, answer: Card | Cards) -> Any:
        """Every field of each."""
        return asdict(answer) if isinstance(answer, Card) else [asdict(each) for each in answer]


models = Listed(in_python(Models), model, shipped_configs)


def card(read: Model) -> Card:
    """The card of a model that has been read."""
    formats = read.precision
    path = SHIPPED / f"{read.name}.json"
    made = Card(
        name=read.name,
        architecture=read.config.model_type,
        layers=read.network.depth,
        parameters=read.parameters,
        active_parameters=read.active_parameters,
        parts=read.parameters_by_part,
        weight_bytes=read.weight_bytes,
        kv_bytes_per_token=read.kv_bytes_per_token,
        state_bytes=float(read.kv_bytes(1, 1)) - read.kv_bytes_per_token,
        weight_dtype=formats.weight,
        kv_dtype=formats.kv,
        activation_dtype=formats.activation,
        context=read.config.positions,
        warnings=read.warnings,
    )
    if not path.is_file():
        return made
    return replace(made, source=json_table(path, "a JSON object of config keys").get("_source"))
