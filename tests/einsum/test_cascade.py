"""The types: what follows from a value without any analysis."""

from dataclasses import replace

import pytest

from hwmodel.einsum.cascade import Index
from hwmodel.einsum.notation import parse
from hwmodel.einsum.origin import Origin
from hwmodel.quantity.errors import InputError, UnknownNameError


def test_an_index_is_plain_when_it_is_one_rank_and_nothing_else() -> None:
    assert Index((("m", 1),)).rank == "m"
    others = [Index((("m", 2),)), Index((("m", 1),), 1), Index((("m", 1),), at="m"), Index(())]
    assert [index.rank for index in others] == [None] * 4


def test_an_einsum_loops_over_output_ranks_first_and_not_over_gathered_ones() -> None:
    cascade = parse("Y[t, d] = gather(W[v, d], IDS[k, t])", sizes={"t": 2, "d": 3, "v": 4, "k": 5})
    (einsum,) = cascade.einsums
    assert einsum.ranks == ("t", "d", "k")
    assert [access.tensor for access in einsum.reads] == ["W", "IDS"]
    assert cascade.inputs == ("W", "IDS")


def test_equal_expressions_hash_alike() -> None:
    one, other = (parse(f"Z[i] = exp(A[i]) + {n}", sizes={"i": 2}) for n in ("1", "1.0"))
    assert one.einsums == other.einsums
    assert hash(one.einsums[0].expression) == hash(other.einsums[0].expression)


def test_where_a_cascade_came_from_is_no_part_of_its_value() -> None:
    cascade = parse("Z[i] = A[i]", sizes={"i": 2})
    assert replace(cascade, origin=Origin("copy")) == cascade


def test_sizes_change_where_nothing_was_worked_out_from_them() -> None:
    cascade = parse("Z[i] = A[i, k]", sizes={"i": 2, "k": 3}).with_sizes(i=7)
    assert cascade.sizes() == {"i": 7, "k": 3}
    with pytest.raises(UnknownNameError, match="'j'"):
        cascade.with_sizes(j=3)


@pytest.mark.parametrize(
    "text", ["Z[m, p] = A[m, p] | m <= p + M - P", "rank m = p x q\nZ[p, q] = A[p, q]"]
)
def test_sizes_that_bands_or_partitions_follow_from_stay(text: str) -> None:
    sizes = {"m": 6, "p": 3} | ({"q": 2} if "q" in text else {})
    with pytest.raises(InputError, match="parse the text again"):
        parse(text, sizes=sizes).with_sizes(m=12)
