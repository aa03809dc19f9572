"""How a request says what streams: units, defaults, and what is refused."""

import pytest

from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.spine.offload import Offload


def test_a_rate_has_a_unit_and_the_rest_defaults() -> None:
    found = Offload.of({"rate": "24 GB/s", "window": 3})
    assert found.rate_bytes_per_s == 24e9
    assert (found.window, found.passes, found.back, found.slices) == (3, 1, False, 1)
    assert Offload.of(found) is found


@pytest.mark.parametrize(
    ("what", "weights", "cache"), [("cache", False, True), ("both", True, True)]
)
def test_what_streams_is_said_in_a_word(what: str, weights: bool, cache: bool) -> None:
    found = Offload.of({"what": what})
    assert (found.weights, found.cache) == (weights, cache)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="way to offload 'windows'"):
        Offload.of({"windows": 3})
    with pytest.raises(InputError, match="offload: window: expected"):
        Offload.of({"window": 0})
    with pytest.raises(InputError, match="offload: what: expected 'weights', 'cache'"):
        Offload.of({"what": "optimizer"})
    with pytest.raises(InputError, match="expected a table such as"):
        Offload.of("24 GB/s")  # pyright: ignore[reportArgumentType]
