"""The largest size that memory holds."""

from hwmodel.validation.papers.sequence_parallelism import largest


def test_the_largest_number_is_found_to_half_a_percent() -> None:
    found = [largest(lambda n: float(n), room) for room in (0.5, 1, 2, 77, 1000, 12345)]
    assert found[:4] == [0, 1, 2, 77]
    assert 995 <= found[4] <= 1000
    assert 12280 <= found[5] <= 12345
    squares = largest(lambda n: 3.0 * n + 2.0 * n * n, 2e6 + 3e3)
    assert 995 <= squares <= 1000
