"""Reaches of bands: counted by hand; what is left out; what is refused."""

import pytest

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.machines.spatial.bands import reaches
from hwmodel.quantity.errors import CoverageError


def test_causal_tiles_ask_for_all_keys_before_their_end() -> None:
    """16 queries by 5 see 5 + 10 + 15 + 16 keys; 16 keys by 5 are seen by 16 + 11 + 6 + 1."""
    near = reaches(attention(1, 1, 16, 16, 8, causal=True, passes=3))
    assert near["p", "m"].visited(5) == 5 + 10 + 15 + 16
    assert near["m", "p"].visited(5) == 16 + 11 + 6 + 1
    assert (near["p", "m"].widest(5), near["p", "m"].pairs) == (16, 16 * 17 // 2)


def test_windowed_tiles_ask_for_their_window_and_themselves() -> None:
    """With 4 keys each, 20 queries by 5 see 5, then 3 before them and 5."""
    near = reaches(attention(1, 1, 20, 20, 8, causal=True, window=4, passes=3))
    assert near["p", "m"].visited(5) == 5 + 3 * 8
    assert near["p", "m"].widest(5) == 8


def test_parts_of_a_rank_are_asked_for_whole() -> None:
    """Tiles of 5 keys: 5 queries with 4 keys each ask for one tile, then for two."""
    near = reaches(attention(1, 1, 20, 20, 8, causal=True, window=4, tile=5))
    assert near["p", "m1"].visited(5) == 1 + 2 + 2 + 2
    assert near["m1", "p"].visited(1) == 8 + 8 + 8 + 5  # 5 queries of its own, 3 after them


def test_keys_that_no_query_sees_are_no_part_of_the_rank() -> None:
    near = reaches(attention(1, 1, 1, 64, 8, window=4, passes=3))
    assert near["p", "m"].size == 4 == near["p", "m"].visited(1)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("S[m, p] = Q[p] * K[m] | m - p <= 0\nO[p] = S[m, p] * V[m]", "keeps other points"),
        ("S[m, p] = Q[p] * K[m] * C | m - p <= 0", "touches C, which has neither"),
        ("S[m, p, n] = Q[p] * K[m, n] | m - p <= 0, m - n <= 0", "bands with two others"),
        ("S[m, p] = Q[p] * K[m] | 5 <= m - p\nO[p] = Q[p] + R[p]", "which O needs"),
        ("S[m, p] = Q[p] * K[m] | 9 <= m - p", "keeps no point"),
    ],
)
def test_what_bands_do_not_say_is_refused(text: str, words: str) -> None:
    with pytest.raises(CoverageError, match=words):
        reaches(parse(text, sizes={"m": 8, "p": 8} | ({"n": 8} if "n" in text else {})))
