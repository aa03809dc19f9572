"""Speculative decoding as a value: what is drafted for a step, and how much of it is right.

Drafts are a chain of k tokens, or a tree with b_i branches at each node of level i. A step of the
large model verifies the tree's nodes n beside the token that it has, q = n + 1 queries of each
sequence on one reading of its cache, after a step of the draft's for each level. With a the chance
that a drafted token is accepted (one in b branches: 1 - (1 - a)^b, taken as independent), a step
yields 1 + m tokens, where m levels in a row are accepted; of a chain on average

    (1 - a^(k + 1)) / (1 - a)

What drafts is a model, on `tp` of the devices (all groups of so many do the same); the module that
a model has to predict a further token (`OWN`), divided as it is; or nothing that takes time: tokens
looked up in the text so far.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from typing import Any, TypeAlias, cast

import numpy as np

from hwmodel.einsum.division import Division
from hwmodel.einsum.network import Stack
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.quantity.printable import shown
from hwmodel.quantity.reading import pairs
from hwmodel.quantity.units import counted

FIELDS = ("model", "tokens", "tree", "acceptance", "tp")
OWN = "mtp"
"""The word for the module of the model itself that predicts a further token (multi-token
prediction, DeepSeek-V3)."""


@dataclass(frozen=True)
class Drafts:
    """What is drafted for a step: branches of each level, and the chance that a token is right.

    `model` is the config of what drafts, or `OWN`, None where that takes no time; `tp` divides it.
    """

    acceptance: float
    tree: tuple[int, ...]
    model: Any = None
    tp: int = 1

    @classmethod
    def of(cls, given: "Drafts | Mapping[str, Any] | str", where: str = "draft") -> "Drafts":
        """From a table, or words: `acceptance`, and `tokens` of a chain or a `tree`'s branches.

        >>> Drafts.of("tree=4:2:1,acceptance=0.5").queries
        21
        """
        if isinstance(given, Drafts):
            return given
        said = pairs(given, where)
        for name in said:
            if name not in FIELDS:
                raise InputError(f"{where}: {UnknownNameError('field', name, FIELDS)}")
        part = said.get("acceptance")
        if isinstance(part, bool) or not isinstance(part, (int, float)) or not 0 <= part < 1:
            raise InputError(
                f"{where}: acceptance: expected a chance from 0 to below 1, found {shown(part)}"
            )
        if ("tokens" in said) == ("tree" in said):
            raise InputError(f"{where}: expected tokens (of a chain) or a tree, one of them")
        if "tokens" in said:
            tree = (1,) * counted(said["tokens"], where=f"{where}: tokens")
        else:
            tree = tuple(counted(b, where=f"{where}: tree") for b in _branches(said["tree"], where))
        if not tree:
            raise InputError(f"{where}: tree: expected branches of a level or more, found none")
        tp = counted(said.get("tp", 1), where=f"{where}: tp")
        return cls(float(part), tree, said.get("model"), tp)

    @classmethod
    def said(cls, given: "Drafting") -> "Drafts | None":
        """The same where something drafts."""
        return None if given is None else cls.of(given)

    @classmethod
    def reading(cls, queries: int) -> "Drafts | None":
        """Of a step that computes so many tokens of each sequence, and makes one of them."""
        return None if queries == 1 else cls(0.0, (1,) * (queries - 1))

    @cached_property
    def rows(self) -> tuple[int, ...]:
        """Tokens of a sequence that the draft reads for each level: the nodes of the one above."""
        return tuple(math.prod(self.tree[:level]) for level in range(len(self.tree)))

    @property
    def queries(self) -> int:
        """Tokens of each sequence that a step verifies, its own among them."""
        return 1 + sum(math.prod(self.tree[: level + 1]) for level in range(len(self.tree)))

    @cached_property
    def chances(self) -> tuple[float, ...]:
        """That a level is accepted, where the one above it was."""
        return tuple(1 - (1 - self.acceptance) ** branches for branches in self.tree)

    @property
    def tokens(self) -> float:
        """Of a step, on average."""
        return 1 + sum(math.prod(self.chances[: m + 1]) for m in range(len(self.tree)))

    def ways(self, ways: Division) -> Division:
        """How what drafts is divided, beside a model that is divided so."""
        if ways.pp > 1 or ways.cp > 1 or ways.micro_batch is not None or ways.overlap != "none":
            raise CoverageError(
                "draft: expected tp, dp and ep alone to divide the model; leave draft out"
            )
        if ways.devices == 1 or self.model == OWN:
            return ways
        if ways.tp % self.tp:
            raise InputError(f"draft: tp: expected a divisor of tp={ways.tp}, found {self.tp}")
        return Division(tp=self.tp, dp=ways.dp)

    def steps(self, outputs: Sequence[int], seed: int = 0) -> list[int]:
        """Steps in which sequences make so many tokens each, drawn."""
        draw = np.random.default_rng((seed, len(self.tree)))
        left = np.array(outputs, dtype=np.int64)
        made = np.zeros(len(left), dtype=np.int64)
        levels = np.array(self.chances)
        while np.any(left > 0):
            more = left > 0
            right = draw.random((len(left), len(levels))) < levels
            left -= more * (1 + np.cumprod(right, axis=1).sum(axis=1))
            made += more
        return made.tolist()


Drafting: TypeAlias = Drafts | Mapping[str, Any] | str | None
"""What drafts, as a value, a table or words."""


def _branches(tree: Any, where: str) -> Sequence[Any]:
    """Branches by level, as a list or "4:2:1"."""
    if isinstance(tree, (list, tuple)):
        return cast(Sequence[Any], tree)
    found = str(tree).split(":")
    if not all(each.isdecimal() for each in found):
        raise InputError(
            f"{where}: tree: expected branches by level, such as 4:2:1, found {shown(tree)}"
        )
    return [int(each) for each in found]


def with_drafts(made: Stack, drafts: Drafts, drafting: Callable[[Drafts], Any]) -> Stack:
    """A step that verifies, after the steps that draft; `drafting` makes the model that does.

    Weights and caches of both lie in the devices' memory.
    """
    served, origin = made.served, made.origin
    assert served is not None
    assert origin is not None
    ways = drafts.ways(served.ways)
    if drafts.model is None:
        return made
    ahead = list(_ahead(drafts, drafting(drafts), origin.arguments, ways))
    copies = served.devices / ways.devices  # each group of the draft's devices has it
    small = ahead[0][0].served
    assert small is not None
    told = (text for each, _ in ahead for text in each.warnings)
    return replace(
        made,
        ahead=tuple(ahead),
        served=replace(
            served,
            weights_bytes=served.weights_bytes + copies * small.weights_bytes,
            kv_bytes_per_token=served.kv_bytes_per_token + copies * small.kv_bytes_per_token,
        ),
        warnings=tuple(dict.fromkeys((*made.warnings, *told))),
    )


def _ahead(
    drafts: Drafts, small: Any, given: Mapping[str, Any], ways: Division
) -> Iterator[tuple[Stack, int]]:
    """The steps that draft, each so many times: of prompts where there are some, then by level."""
    if given["phase"] == "prefill":
        read = {n: given[n] for n in ("batch", "prompt", "cached") if n in given}
        yield small.prefill(**read, parallel=ways), 1
    elif "prompt" in given:
        read = {n: given[n] for n in ("prompt", "prompts", "cached") if n in given}
        yield small.mixed(0, **read, parallel=ways), 1
    if "context" in given and np.any(given["batch"]):
        sizes = {"batch": given["batch"], "context": given["context"], "parallel": ways}
        for rows, same in groupby(drafts.rows):
            yield small.decode(**sizes, draft=Drafts.reading(rows)), len(list(same))
