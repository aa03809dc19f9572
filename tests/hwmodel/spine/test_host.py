"""What lies in a host, as it is said; what makes no sense is refused."""

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.spine.host import Host


def test_words_and_tables_say_the_same() -> None:
    words = Host.of("holds=optimizer+weights,rate=25GB/s,drive=7GB/s,window=3")
    table = {"holds": ["optimizer", "weights"], "rate": "25 GB/s", "drive": 7e9, "window": 3}
    table["drive_bytes_per_s"] = table.pop("drive")
    assert words == Host.of(table)
    assert (words.optimizer, words.weights, words.activations) == (True, True, False)
    assert words.rate_bytes_per_s == 25e9


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("holds=optimizer", "expected the rate of each device's link"),
        ("holds=gradients,rate=25GB/s", "unknown part 'gradients'"),
        ("rate=25GB/s,size=3", "unknown field 'size'"),
        ("rate=25GB/s,pinned=four", "pinned"),
    ],
)
def test_what_makes_no_sense_is_refused(given: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Host.of(given)
