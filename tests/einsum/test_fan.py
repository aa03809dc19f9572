"""Where a token's choices lead: expectations against every choice that there is."""

from itertools import combinations

import pytest

from hwmodel.einsum.fan import Fan


def walked(fan: Fan, parts: int) -> float:
    """The mean number of parts over all groups and all experts of them that may be taken."""
    group, part = fan.experts // fan.groups, fan.experts // parts
    counts = [
        len({expert // part for expert in chosen})
        for taken in combinations(range(fan.groups), fan.taken)
        for chosen in combinations(
            [expert for number in taken for expert in range(number * group, (number + 1) * group)],
            fan.picks,
        )
    ]
    return sum(counts) / len(counts)


FANS = (Fan(1, 12), Fan(4, 12), Fan(3, 12, 4, 2), Fan(2, 12, 3, 2))
CASES = [
    (fan, parts)
    for fan in FANS
    for parts in (1, 2, 3, 4, 6, 12)
    if parts % fan.groups == 0 or fan.groups % parts == 0  # elsewhere parts cut groups
]


@pytest.mark.parametrize(("fan", "parts"), CASES)
def test_parts_reached_are_the_mean_over_all_choices(fan: Fan, parts: int) -> None:
    assert fan.reached(parts) == pytest.approx(walked(fan, parts))


def test_parts_that_do_not_divide_the_experts_lie_between_those_that_do() -> None:
    fan = Fan(8, 256)
    assert fan.reached(64) < fan.reached(72) < fan.reached(128) < fan.picks
