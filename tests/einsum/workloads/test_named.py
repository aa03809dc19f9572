"""Values by name: options as text, and what is wrong with them."""

from dataclasses import dataclass

import pytest

from hwmodel.einsum.workloads.named import Shares, named, options_of, share_in
from hwmodel.quantity.errors import InputError, UnknownNameError


@dataclass(frozen=True)
class Fruit:
    ripe: float = 0.5
    count: int = 3
    kind: str = "apple"
    parts: Shares = 0.5


KNOWN = {"fruit": Fruit}


def test_options_have_the_kinds_of_their_defaults() -> None:
    assert named("basket", "fruit", KNOWN) == Fruit()
    assert named("basket", "fruit:ripe=1,count=7,kind=pear", KNOWN) == Fruit(1.0, 7, "pear")


def test_a_value_tells_its_options_as_they_are_given() -> None:
    told = options_of(Fruit(0.25, parts=(0.5, 1.0)))
    assert told == "ripe=0.25, count=3, kind=apple, parts=0.5/1"


def test_shares_may_be_given_by_layer() -> None:
    assert named("basket", "fruit:parts=0.25", KNOWN).parts == 0.25
    found = named("basket", "fruit:parts=0.25/0.5", KNOWN).parts
    assert found == (0.25, 0.5)
    assert [share_in(layer, found, "here") for layer in (0, 1)] == [0.25, 0.5]
    assert share_in(7, 0.25, "here") == 0.25
    with pytest.raises(InputError, match="here: expected a share for each layer, found 2"):
        share_in(2, found, "here")


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("fruits", UnknownNameError, "unknown basket 'fruits'"),
        ("fruit:ripeness=1", UnknownNameError, "unknown option of fruit 'ripeness'"),
        ("fruit:ripe=2", InputError, "basket: fruit: ripe: expected a share from 0 to 1"),
        ("fruit:ripe=0.1/0.2", InputError, "a share from 0 to 1, found '0.1/0.2'"),
        ("fruit:parts=0.1/2", InputError, "a share from 0 to 1, found '2'"),
        ("fruit:ripe=", InputError, "a share from 0 to 1, found ''"),
        ("fruit:count=1.5", InputError, "a whole number, found '1.5'"),
        ("fruit:count=-1", InputError, "a whole number, found '-1'"),
    ],
)
def test_what_is_wrong_is_told(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        named("basket", text, KNOWN)
