"""A program of model calls as a value: what test-time scaling, agents, retrieval and routers ask.

A `Program` is a graph of named steps; each waits for those that it names in `after`, or for the one
before it where it names none. A step is one of four:

    model    a call: a model reads `input` tokens and makes `output`
    time     a tool, such as a search: so long, for so much money
    steps    a program of its own
    choice   one of several steps, each by its `chance`; where chances leave a rest, nothing

and any of them runs only by its `chance`, `repeat` times in a row (a mean), and in `copies` at
once. In words (YAML, JSON, a table in Python):

    name: best of 16
    models:
      draft: {config: qwen2.5-1.5b}
      judge: {config: llama-3.1-70b, quantise: fp8}
    steps:
      sample: {model: draft, input: 512, shared: 512, output: 2000, cv: 0.6, copies: 16}
      judge: {model: judge, input: 2512, copies: 16, shared: 512}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self, cast

from pydantic import BeforeValidator, Field, model_validator

from hwmodel.einsum.division import Division, refusal
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.units import amount
from hwmodel.quantity.value import Value
from hwmodel.quantity.yaml import table

KINDS = ("model", "time_s", "steps", "choice")
"""The fields of which a step has one, which says what it is."""
CALLS = ("input", "cached", "shared", "output", "cv")
"""The fields of a call alone."""
COPIES = 2**20
"""Copies of a step at most, those of the steps around it included."""


def _number(*, whole: bool, least: float) -> BeforeValidator:
    """One number, whole or not, of at least so much."""

    def checked(value: Any) -> Any:
        try:
            found = amount(value, whole=whole, zero=True, where="")
        except InputError as error:
            raise refusal(str(error).lstrip(": ")) from None
        if not isinstance(found, (int, float)) or found < least:
            raise refusal(f"expected a number of {least:g} or more, found {shown(value)}")
        return found

    return BeforeValidator(checked)


Tokens = Annotated[int, _number(whole=True, least=0)]
Count = Annotated[int, _number(whole=True, least=1)]
Spread = Annotated[float, _number(whole=False, least=0)]


class Served(Value):
    """A model of a program: its config and formats, and what runs it where.

    `on` is a machine (None: the one that is asked about), `parallel` how many of it divide the
    model, `engine` what runs it; of a stream of programs `replicas` are engines of it.
    """

    config: Any
    dtype: str | None = None
    weight_dtype: str | None = None
    kv_dtype: str | None = None
    activation_dtype: str | None = None
    quantise: str | None = None
    cache_policy: Any = None
    modifier: Any = None
    on: Any = None
    parallel: Any = None
    engine: str | None = None
    replicas: Count = 1

    @property
    def division(self) -> Division:
        """How the model is divided."""
        given: Any = self.parallel
        given = pairs(given, "parallel") if isinstance(given, str) else given
        return Division.of(given, where="parallel")


class Step(Value):
    """One step of a program.

    Attributes:
        model: of a call, a name of the program's models, or a shipped config, a path, a `Model`.
        input: tokens that each copy attends to before it makes any.
        cached: of them, how many are in the cache from earlier calls.
        shared: of them, how many all copies begin with: read once for all (`cached` included).
        output: tokens that each copy makes, a mean where copies differ.
        cv: standard deviation of `output` among copies over its mean; lengths are lognormal.
        time_s: of a tool.
        price_usd: of one run of a tool.
        steps: of a program within.
        choice: the steps of which one runs.
        chance: that it runs at all.
        repeat: how often in a row, a mean.
        copies: how many at once; calls among them are one batch.
        after: the steps that it waits for; None: the one before it.
    """

    model: Any = None
    input: Tokens = 0
    cached: Tokens = 0
    shared: Tokens = 0
    output: Tokens = 0
    cv: Spread = 0.0
    time_s: Spread | None = None
    price_usd: Spread = 0.0
    steps: dict[str, "Step"] | None = None
    choice: tuple["Step", ...] | None = None
    chance: Spread = 1.0
    repeat: Spread = 1.0
    copies: Count = 1
    after: tuple[str, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_name(cls, data: Any) -> Any:
        """One step in `after` needs no list."""
        if not isinstance(data, dict):
            return data
        given = cast(dict[str, Any], data)
        after = given.get("after")
        return {**given, "after": (after,)} if isinstance(after, str) else given

    @model_validator(mode="after")
    def _check(self) -> Self:
        """One kind, with the fields of that kind."""
        kinds = [name.removesuffix("_s") for name in KINDS if getattr(self, name) is not None]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none"
            raise refusal(f"expected one of model, time, steps and choice, found {found}")
        given = self.model_fields_set
        odd = [name for name in CALLS if name in given] if kinds != ["model"] else []
        odd += ["price"] if "price_usd" in given and kinds != ["time"] else []
        if odd:
            raise refusal(f"{odd[0]}: {kinds[0]} has no such field")
        if self.chance > 1:
            raise refusal(f"chance: expected 0 to 1, found {self.chance:g}")
        if self.model is not None:
            self._check_tokens()
        if self.choice is not None:
            self._check_choice(self.choice)
        if self.steps is not None:
            _check_graph(self.steps)
        return self

    def _check_tokens(self) -> None:
        if not self.input:
            raise refusal("input: expected the tokens of a prompt, found none")
        for name in ("cached", "shared"):
            if getattr(self, name) > self.input:
                raise refusal(f"{name}: expected at most input ({self.input})")
        if self.cached == self.input and not self.output:
            raise refusal("cached: all of the input, and no output: nothing is left to compute")

    def _check_choice(self, choice: tuple["Step", ...]) -> None:
        total = sum(each.chance for each in choice)
        if not choice or total > 1 + 1e-9:
            raise refusal(f"choice: expected chances that add up to 1 at most, found {total:g}")
        if any(each.after for each in choice):
            raise refusal("choice: after: a step of a choice waits for none; say it of the choice")

    @property
    def kind(self) -> str:
        """What it is, of `KINDS`."""
        return next(name for name in KINDS if getattr(self, name) is not None)


def before(steps: Mapping[str, Step], name: str) -> tuple[str, ...]:
    """The steps that one waits for."""
    said = steps[name].after
    if said is not None:
        return said
    names = list(steps)
    at = names.index(name)
    return (names[at - 1],) if at else ()


def in_order(steps: Mapping[str, Step]) -> tuple[str, ...]:
    """The names so that each stands behind those that it waits for; `InputError` for a circle."""
    found: list[str] = []
    open_ = list(steps)
    while open_:
        ready = [name for name in open_ if all(each in found for each in before(steps, name))]
        if not ready:
            raise InputError(f"steps: expected an order, found a circle of {', '.join(open_)}")
        found += ready
        open_ = [name for name in open_ if name not in ready]
    return tuple(found)


def _check_graph(steps: Mapping[str, Step]) -> None:
    if not steps:
        raise refusal("steps: expected one or more, found none")
    for name in steps:
        for each in before(steps, name):
            if each not in steps:
                raise refusal(f"{name}: after: {UnknownNameError('step', each, steps)}")
    try:
        in_order(steps)
    except InputError as error:
        raise refusal(str(error)) from None


class Program(Value):
    """A graph of steps by name, and the models that they call."""

    name: str = "program"
    models: dict[str, Served] = Field(default={})
    steps: dict[str, Step]

    @model_validator(mode="after")
    def _check(self) -> Self:
        _check_graph(self.steps)
        return self

    def served(self, model: Any) -> Served:
        """What a call means by its `model`: one of the program's, or a config with no more said."""
        if isinstance(model, str) and model in self.models:
            return self.models[model]
        return Served(config=model)


def program_of(given: Program | Mapping[str, Any] | str | Path) -> Program:
    """A program that is given, as a table, or in a YAML or JSON file; raises `InputError`."""
    if isinstance(given, Program):
        return given
    if isinstance(given, (str, Path)):
        return Program.build(table(given, "a program: name, models, steps"), where=str(given))
    if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"program: expected a table or a file, found {shown(given)}")
    return Program.build(dict(given), where="program")
