"""Pairs with a free datum: attention and nearest centroids, against pebbling and schedules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.bounds.bound import bound_of
from hwmodel.bounds.recognise import pairs_of
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.kmeans import kmeans
from tests.hwmodel.bounds import pebbles
from tests.hwmodel.bounds.walks import ROUNDING

DEFERRED = """
S[i, j] = Q[i, e] * K[j, e]
E[i, j] = exp(S[i, j])
D[i] = sum(j) E[i, j]
N[i, f] = sum(j) E[i, j] * V[j, f]
O[i, f] = N[i, f] / D[i]
"""

CHAINED = """
S[i, j] = Q[i, e] * K[j, e]
E[i, j] = exp(S[i, j])
O[i, f] = sum(j) E[i, j] * V[j, f]
"""


def tiny(text: str, queries: int, keys: int) -> Cascade:
    sizes = {"i": queries, "j": keys, "e": 1, "f": 1}
    return parse(text, sizes=sizes, dtypes={"*": "int8"})


@pytest.mark.parametrize(("queries", "keys"), [(2, 2), (3, 2)])
@pytest.mark.parametrize("room", [4, 5, 6])
def test_no_attention_is_pebbled_with_less(queries: int, keys: int, room: int) -> None:
    """Statistics of a row are free there, so the search may only find less than there is."""
    least = pebbles.least_traffic(pebbles.attention(queries, keys), room)
    for text in (DEFERRED, CHAINED):
        assert bound_of(tiny(text, queries, keys), room).bytes <= least


@pytest.mark.parametrize("exchanged", [False, True])
def test_two_products_are_bound_like_an_attention_without_its_softmax(exchanged: bool) -> None:
    """Which operand is named first says nothing."""
    text = CHAINED.replace("Q[i, e] * K[j, e]", "K[j, e] * Q[i, e]") if exchanged else CHAINED
    sizes = {"i": 16384, "j": 16384, "e": 64, "f": 64}
    found = bound_of(parse(text, sizes=sizes, dtypes={"*": "bf16"}), 2**20)
    assert found.bytes == bound_of(attention(1, 1, 16384, 16384, 64), 2**20).bytes


def test_a_second_product_that_sums_over_another_side_is_not_claimed() -> None:
    """O sums over j what V indexes by i: each pair has a datum, and V no fibre at its j."""
    text = CHAINED.replace("O[i, f] = sum(j) E[i, j] * V[j, f]", "O[f] = E[i, j] * V[i, f]")
    cascade = parse(text, sizes=dict.fromkeys("ijef", 64), dtypes={"*": "int8"})
    assert "two products" not in bound_of(cascade, 300).reason


@pytest.mark.parametrize(("points", "clusters"), [(2, 2), (2, 3), (3, 2)])
@pytest.mark.parametrize("room", [3, 4, 5])
def test_no_assignment_is_pebbled_with_less(points: int, clusters: int, room: int) -> None:
    """A centroid index takes the place of a distance: both are one value here."""
    text = "D[i, j] = sum(d) square(X[i, d] - C[j, d])\nA[i] = argmin(j) D[i, j]"
    sizes = {"i": points, "j": clusters, "d": 1}
    cascade = parse(text, sizes=sizes, dtypes={"*": "int8"})
    least = pebbles.least_traffic(pebbles.nearest(points, clusters), room)
    assert bound_of(cascade, room).bytes <= least


def flash(
    heads: int, queries: int, keys: int, dims: int, values: int, rows: int, width: int
) -> tuple[int, int]:
    """(traffic, memory) of the schedule: rows of Q and O stay, K and V pass by for each block."""
    blocks = -(-queries // rows)
    once = queries * (dims + values)
    memory = (rows * (dims + values) + dims + values + 1) * width
    return heads * width * (once + blocks * keys * (dims + values)), memory


@given(
    heads=st.integers(1, 4),
    queries=st.integers(1, 4096),
    keys=st.integers(1, 4096),
    dims=st.integers(1, 128),
    values=st.integers(1, 128),
    rows=st.integers(1, 512),
    passes=st.sampled_from([1, 2, 3]),
)
def test_no_flash_schedule_moves_less(
    heads: int, queries: int, keys: int, dims: int, values: int, rows: int, passes: int
) -> None:
    traffic, memory = flash(heads, queries, keys, dims, values, rows, 2)
    cascade = attention(1, heads, queries, keys, dims, value_dim=values, passes=passes)
    assert bound_of(cascade, memory).bytes <= traffic * ROUNDING


def test_a_flash_schedule_reaches_the_bound_to_leading_order() -> None:
    """A long row of keys: 512 rows of 64 + 64 elements; what lacks is Q and O, read once."""
    traffic, memory = flash(1, 65536, 65536, 64, 64, 512, 2)
    found = bound_of(attention(1, 1, 65536, 65536, 64), memory)
    assert 0.95 * traffic < found.bytes < traffic
    assert "scores on the chip" in found.reason


def squares(queries: int, keys: int, dims: int, values: int, side: int) -> tuple[int, int]:
    """(traffic, memory) in words of scores made in squares, a column of Q and K at a time.

    The square then serves a column of V and O at a time, whose sums come and go.
    """
    blocks = -(-queries // side) * -(-keys // side)
    return blocks * side * (2 * dims + 3 * values), side * side + 2 * side


@given(
    queries=st.integers(1, 4096),
    keys=st.integers(1, 4096),
    dims=st.integers(1, 512),
    values=st.integers(1, 512),
    side=st.integers(1, 64),
)
def test_no_schedule_in_squares_moves_less(
    queries: int, keys: int, dims: int, values: int, side: int
) -> None:
    words, memory = squares(queries, keys, dims, values, side)
    cascade = attention(1, 1, queries, keys, dims, value_dim=values)
    assert bound_of(cascade, 2 * memory).bytes <= 2 * words * ROUNDING


def test_a_cache_smaller_than_a_square_of_fibres_moves_data_several_times() -> None:
    """2^20 words are a square of 1,024 elements each: N^2 d / sqrt(S) below, N^2 d^2 / S above."""
    cascade = attention(1, 1, 2**20, 2**20, 1024)
    found = {words: bound_of(cascade, 2 * words).bytes for words in (2**8, 2**10, 2**24, 2**26)}
    assert found[2**8] / found[2**10] == pytest.approx(2, rel=0.1)
    assert found[2**24] / found[2**26] == pytest.approx(4, rel=0.1)
    squared, _ = squares(2**20, 2**20, 1024, 1024, 2**5)
    assert squared * 2 / 5 < found[2**10] < squared * 2


def test_an_operand_without_the_summed_rank_makes_no_claim_in_parts() -> None:
    text = "S[i, j] = Q[i, e] * K[j]\nE[i, j] = exp(S[i, j])\nO[i, f] = sum(j) E[i, j] * V[j, f]"
    cascade = parse(text, sizes=dict.fromkeys("ijef", 64), dtypes={"*": "int8"})
    assert all(each.terms == 0 for each in pairs_of(cascade))


def test_known_fused_attention_lies_above() -> None:
    """12 heads of 64 at 1 MiB: 292,577,280 bytes are known at 16,384, compulsory at 1,024."""
    found = [bound_of(attention(1, 12, n, n, 64), 2**20).bytes for n in (16384, 1024)]
    assert 0.65 * 292_577_280 < found[0] < 292_577_280
    assert found[1] == 6_291_456


def test_vectors_that_are_made_on_the_way_are_not_claimed_to_be_moved() -> None:
    """Keys made from an input of one element each may be made again wherever they are needed."""
    text = "tensor X[j]\ntensor W[e]\nK[j, e] = X[j] * W[e]" + DEFERRED
    cascade = parse(text, sizes={"i": 4096, "j": 4096, "e": 64, "f": 1}, dtypes={"*": "int8"})
    queries, outputs, values = 4096 * 64, 4096, 4096
    assert bound_of(cascade, 2**12).bytes == queries + outputs + values + 4096 + 64


def test_a_causal_mask_leaves_half_of_the_pairs() -> None:
    whole, half = (
        bound_of(attention(1, 1, 65536, 65536, 64, causal=causal), 2**17).bytes
        for causal in (False, True)
    )
    assert 0.5 * whole <= half < 0.51 * whole


def test_wide_values_may_be_served_in_parts_with_the_scores_made_again() -> None:
    """Values 16 times as wide as keys: parts of 32 columns, each with its own pass of scores."""
    dims, values, part, side, width = 32, 512, 32, 32768, 2
    rows = 2048
    memory = (rows + 1) * (dims + part) * width + width
    blocks, parts = side // rows, values // part
    traffic = width * parts * (side * (dims + part) + blocks * side * (dims + part))
    found = bound_of(attention(1, 1, side, side, dims, value_dim=values), memory).bytes
    assert 0.9 * traffic < found < traffic


def test_nearest_centroids_need_every_vector_again_for_each_block() -> None:
    """Blocks of centroids stay, all points pass by: reached to leading order."""
    points, clusters, dims, block, width = 10**6, 8192, 64, 512, 4
    memory = (block * dims + dims + 2) * width
    traffic = (clusters // block * points * dims + clusters * dims + points) * width
    found = bound_of(kmeans(points, clusters, dims), memory)
    assert 0.9 * traffic < found.bytes < traffic
    assert "datum" in found.reason


@pytest.mark.parametrize("exchanged", [False, True])
@pytest.mark.parametrize("onto", ["i", "j"])
def test_the_output_stands_on_the_side_that_it_is_summed_onto(exchanged: bool, onto: str) -> None:
    """Queries of 8 bf16 elements, keys of 8 int8; 4 outputs in fp32, 4 int8 values."""
    text = CHAINED.replace("Q[i, e] * K[j, e]", "K[j, e] * Q[i, e]") if exchanged else CHAINED
    if onto == "j":
        text = text.replace(
            "O[i, f] = sum(j) E[i, j] * V[j, f]", "O[j, f] = sum(i) E[i, j] * V[i, f]"
        )
    dtypes = {"*": "int8", "Q": "bf16", "O": "fp32"}
    cascade = parse(text, sizes={"i": 100, "j": 90, "e": 8, "f": 4}, dtypes=dtypes)
    found = [each for each in pairs_of(cascade) if "two products" in each.what]
    (each,) = found
    sides = (8 * 2, 8 * 1) if onto == "i" else (8 * 1, 8 * 2)
    assert (each.first_bytes, each.second_bytes) == sides
    assert (each.first_out_bytes, each.second_out_bytes) == (4 * 4, 4 * 1)
    assert each.count == 100 * 90


def test_widths_of_an_attention_are_those_of_its_tensors() -> None:
    """Scores in int8, fibres and outputs in bf16: 8 and 4 elements."""
    dtypes = {"*": "bf16", "S": "int8"}
    cascade = parse(DEFERRED, sizes={"i": 100, "j": 90, "e": 8, "f": 4}, dtypes=dtypes)
    (found,) = pairs_of(cascade)
    assert (found.first_bytes, found.second_bytes) == (16, 16)
    assert (found.first_out_bytes, found.second_out_bytes) == (8, 8)
    assert (found.datum_bytes, found.element_bytes) == (1, 2)


def test_a_narrow_output_is_no_datum_that_is_kept_on_the_way() -> None:
    """Only O is in fp8, and it is stored: what spills is bf16."""
    dtypes = {"*": "bf16", "O": "fp8"}
    cascade = parse(DEFERRED, sizes={"i": 100, "j": 90, "e": 8, "f": 4}, dtypes=dtypes)
    (found,) = pairs_of(cascade)
    assert found.datum_bytes == 2
