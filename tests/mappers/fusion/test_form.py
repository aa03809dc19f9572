"""The form that the fusion mapper searches: tiles, orders, batch ranks, states of recurrences."""

import pytest

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.mappers.fusion.form import TileRule, form_of, orders, tiles
from hwmodel.quantity.errors import CoverageError, InputError


@pytest.mark.parametrize("size", [1, 2, 3, 10, 97, 256])
def test_tiles_are_the_least_of_each_number_of_turns(size: int) -> None:
    turns = {-(-size // tile) for tile in range(1, size + 1)}
    least = {next(t for t in range(1, size + 1) if -(-size // t) == n) for n in turns}
    assert list(tiles(size, TileRule(), "m")) == sorted(least)


def test_rules_keep_multiples_and_divisors() -> None:
    assert list(tiles(2048, TileRule(multiple=256, divisor=True), "p")) == [256, 512, 1024, 2048]
    assert all(t % 256 == 0 for t in tiles(65536, TileRule(multiple=256), "p"))
    assert list(tiles(100, TileRule(multiple=256), "p")) == [100]  # whole, in one turn
    with pytest.raises(InputError, match="no divisor of its size 100"):
        tiles(100, TileRule(multiple=256, divisor=True), "p")


def test_ranks_of_every_tensor_are_batch() -> None:
    text = "Z[b, m, n] = A[b, m, k] * B[b, k, n]\nY[b, m] = sum(n) Z[b, m, n] * C[b, n]"
    form = form_of(parse(text, sizes={"b": 5, "m": 2, "n": 3, "k": 4}))
    assert form.batch == (("b", 5),)
    assert form.slices == 5
    assert form.outside == {"A", "B", "C", "Y"}


def test_states_hold_two_steps_where_the_old_one_is_read_after_the_new() -> None:
    cascade = attention(1, 1, 8, 32, 4, tile=4)
    form = form_of(cascade)
    assert {n: h.steps for n, h in form.tensors.items() if h.state_rank} == {
        "RM": 2,
        "RD": 1,
        "RNV": 1,
    }
    assert all(h.state_rank not in h.ranks for h in form.tensors.values())
    block = form.blocks["m1"]
    assert [form.items[at].name for at in block] == ["RM", "RNV"]


def test_late_order_brings_makers_to_their_readers() -> None:
    written, late = orders(attention(1, 1, 8, 32, 4, tile=4))
    assert written.index("SLNV") < written.index("PRM")
    assert late.index("SLNV") > late.index("RD")
    assert late.index("RNV") - late.index("SLNV") <= 2
    assert sorted(late) == sorted(written)


@pytest.mark.parametrize(
    ("text", "sizes", "match"),
    [
        ("Z[i, j] = A[i, k] * A[j, k]", {"i": 2, "j": 2, "k": 2}, "one access a tensor"),
        ("tensor I[x]\nZ[y] = sum(r) I[y+r] * W[r]", {"x": 5, "y": 4, "r": 2}, "affine"),
        ("S[i+1] = S[i] + A[i] ; S[0] = 0\nB[i] = A[i] * 2", {"i": 3}, "recurrent and an output"),
    ],
)
def test_what_the_search_cannot_say_is_refused(
    text: str, sizes: dict[str, int], match: str
) -> None:
    with pytest.raises(CoverageError, match=match):
        form_of(parse(text, sizes=sizes))


def test_a_maker_stands_right_before_the_reader_that_was_placed_last() -> None:
    """Two chains written side by side are taken apart: A, X, then B, Y."""
    text = "A[m] = P[m] * P[m]\nB[m] = Q[m] * Q[m]\nX[m] = A[m] + P[m]\nY[m] = B[m] + Q[m]"
    written, late = orders(parse(text, sizes={"m": 4}))
    assert written == ("A", "B", "X", "Y")
    assert late == ("A", "X", "B", "Y")
