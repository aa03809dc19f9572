"""Each rule of well-formedness, broken once."""

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from hwmodel.einsum.cascade import (
    Access,
    Apply,
    Band,
    Cascade,
    Constant,
    Distribution,
    Einsum,
    Extent,
    Index,
    Initial,
    Rank,
    Tensor,
)
from hwmodel.einsum.notation import parse
from hwmodel.einsum.verify import RULES, verify
from hwmodel.quantity.errors import InputError


def at(tensor: str, *ranks: str) -> Access:
    return Access(tensor, tuple(Index(((rank, 1),)) for rank in ranks))


SOUND = Cascade(
    name="sound",
    ranks=MappingProxyType({name: Rank(name, 4) for name in ("i", "j")}),
    tensors=MappingProxyType(
        {"A": Tensor("A", ("i", "j")), "Z": Tensor("Z", ("i",)), "Y": Tensor("Y", ("i",))}
    ),
    einsums=(
        Einsum(at("Z", "i"), at("A", "i", "j"), (("j", "max"),)),
        Einsum(at("Y", "i"), Apply("exp", (at("Z", "i"),))),
    ),
    outputs=("Y",),
)
FIRST, SECOND = SOUND.einsums


def ranks(**changes: Rank) -> Cascade:
    return replace(SOUND, ranks=MappingProxyType(dict(SOUND.ranks) | changes))


def tensors(**changes: Tensor) -> Cascade:
    return replace(SOUND, tensors=MappingProxyType(dict(SOUND.tensors) | changes))


def first(**changes: object) -> Cascade:
    return replace(SOUND, einsums=(replace(FIRST, **changes), SECOND))  # pyright: ignore[reportArgumentType]


def test_a_sound_cascade_passes() -> None:
    verify(SOUND)


BROKEN = {
    "ranks": [
        (tensors(A=Tensor("A", ("i", "q"))), "rank q is used, and not declared"),
        (ranks(i=Rank("k", 4)), "rank k is declared under the name i"),
    ],
    "tensors": [
        (first(expression=at("B", "i", "j")), "tensor B is not declared"),
        (first(expression=at("A", "j")), "tensor A has 2 axes, found 1 indices"),
    ],
    "formats": [
        (tensors(A=Tensor("A", ("i", "j"), "fp9")), "unknown dtype 'fp9'"),
        (tensors(A=Tensor("A", ("i", "j"), role="gradient")), "expected role activation"),
    ],
    "operators": [
        (first(expression=Apply("maxx", (at("A", "i", "j"),))), "maxx on 1 values"),
        (first(expression=Apply("max", (at("A", "i", "j"),))), "expected 2 arguments"),
        (
            first(expression=Apply("gather", (at("A", "i", "j"), at("A", "i", "j")))),
            "gather expects a table whose first index",
        ),
        (
            replace(
                tensors(I=Tensor("I", ("i",))),
                einsums=(FIRST, replace(SECOND, expression=Extent("i"))),
            ),
            "the extent of i cannot be told from tensor I",
        ),
    ],
    "reductions": [
        (first(reductions=()), r"expected reductions over \['j'\]"),
        (first(reductions=(("j", "exp"),)), "'exp' cannot reduce rank j"),
        (first(reductions=(("j", "max"), ("j", "add"))), r"found \['j', 'j'\]"),
    ],
    "outputs": [
        (replace(SOUND, einsums=(FIRST, SECOND, SECOND)), "tensor Y is made by 2 Einsums"),
        (replace(SOUND, outputs=("A",)), "output A is made by no Einsum"),
    ],
    "order": [
        (replace(SOUND, einsums=(SECOND, FIRST)), "Einsum Y reads Z, which is made later"),
        (first(output=at("Z", "i"), expression=at("Z", "i"), reductions=()), "Z reads itself"),
    ],
    "recurrence": [
        (ranks(i=Rank("i", 4, iterative=True)), "iterative=True, expected False"),
        (
            replace(SOUND, initials=(Initial(at("Z"), 0.0),)),
            "tensor Z has an initial value, and is not recurrent",
        ),
    ],
    "bands": [
        (first(bands=(Band((("q", 1),), high=2),)), "a band is over rank q, no loop of it"),
        (first(bands=(Band((("i", 0),), high=2),)), "a factor of 0 on rank i"),
    ],
    "partitions": [
        (ranks(j=Rank("j", 4, parent="i", part=1)), r"expected parts 0 to 0, found \[1\]"),
    ],
    "sizes": [
        (ranks(i=Rank("i", 0)), "expected a size above 0, found 0"),
        (ranks(i=Rank("i", float("nan"))), "expected a size above 0, found nan"),
        (ranks(i=Rank("i", 2.5)), "expected a whole number, found 2.5"),
        (ranks(i=Rank("i", np.array([4.0, -1.0]))), "expected a size above 0"),
    ],
    "points": [
        (
            ranks(i=Rank("i", 2**500), j=Rank("j", 2**500)),
            r"at most 2\*\*960 points, found 2\*\*1000",
        ),
        (
            ranks(i=Rank("i", np.ones(2)), j=Rank("j", np.ones(3))),
            r"expected sizes that broadcast together, found shapes \[\(2,\), \(3,\)\]",
        ),
    ],
    "cover": [(ranks(j=Rank("j", 3, parent="i")), "its parts cover 3 points, expected at least 4")],
    "fractions": [
        (first(density=0.0), "expected a density above 0 and up to 1, found 0"),
        (first(probability=1.5), "expected a probability above 0 and up to 1, found 1.5"),
    ],
    "limits": [(first(bands=(Band((("i", 1),)),)), "neither a low nor a high limit")],
    "distributions": [
        (
            ranks(j=Rank("j", 4, distribution=Distribution("uniform", "q", 4))),
            "its distribution is over q, which is no rank",
        ),
        (
            ranks(j=Rank("j", 4, distribution=Distribution("uniform", "i", 4, 5))),
            "picks 5 distinct members of i, which has 4",
        ),
        (
            ranks(
                i=Rank("i", 2**16 + 1), j=Rank("j", 4, distribution=Distribution("zipf", "i", 4))
            ),
            "at most 65,536 members of i, whose chances differ, found 65537",
        ),
    ],
    "indices": [
        (
            first(expression=Access("A", (Index((("i", 2),)), Index((("j", 1),))))),
            r"index 1 of A runs from 0 to 6, expected 0 to 3 \(rank i\)",
        ),
        (
            first(expression=Access("A", (Index((("i", 1),), -1), Index((("j", 1),))))),
            "runs from -1 to 2",
        ),
    ],
}


def test_every_rule_is_broken_below() -> None:
    assert [rule.name for rule in RULES] == [*BROKEN]


@pytest.mark.parametrize(
    ("rule", "cascade", "message"),
    [(rule, cascade, message) for rule, cases in BROKEN.items() for cascade, message in cases],
)
def test_a_breach_is_named_with_its_rule(rule: str, cascade: Cascade, message: str) -> None:
    one = [r for r in RULES if r.name == rule]
    with pytest.raises(InputError, match=message) as caught:
        verify(cascade, one)
    assert f"cascade 'sound': [{rule}]" in str(caught.value)


def test_further_breaches_are_counted() -> None:
    bad = first(density=2.0, probability=0.0, bands=(Band((("i", 1),)),))
    with pytest.raises(InputError, match=r"expected a density .* \(and 2 more\)"):
        verify(bad)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("R[i+1] = R[i] + A[i]", "tensor R is recurrent, expected an initial value"),
        ("Z[i] = Y[i]\nY[i] = A[i]", "reads Y, which is made later"),
        ("Z[i] = A[i] | j <= 3\nY[j] = A[j]", "a band is over rank j, no loop of it"),
        ("rank j = i - 1\nZ[i] = A[i] ~ 2", "expected a density"),
    ],
)
def test_text_is_held_to_the_same_rules(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(text, sizes={"i": 4} | ({"j": 4} if "Y[j]" in text else {}))


def test_a_constant_may_fill_a_tensor() -> None:
    verify(replace(SOUND, einsums=(FIRST, replace(SECOND, expression=Constant(0.0)))))
