"""Routing statistics against counts made token by token, and what no trace can be."""

from collections import Counter

import numpy as np
import pytest

from hwmodel.experts.statistics import Routing, from_counts, from_traces, planted
from hwmodel.quantity.errors import InputError, UnknownNameError

TRACE = np.array(
    [[[0, 1], [2, 0]], [[1, 0], [2, 1]], [[0, 2], [2, 0]], [[2, 1], [0, 1]]], dtype=np.int32
)
"""Four tokens, two layers, two choices."""


def test_first_choices_are_counted_token_by_token() -> None:
    routing = from_traces([TRACE], kind="top1")
    expected = Counter((int(t[0, 0]), int(t[1, 0])) for t in TRACE)
    found = routing.transitions[0, 1]
    assert {(i, j): found[i, j] for i, j in np.argwhere(found)} == expected
    assert routing.loads.tolist() == [[2, 1, 1], [1, 0, 3]]
    assert routing.skew().tolist() == [1.5, 2.25]


def test_all_choices_pair_equal_ranks() -> None:
    routing = from_traces([TRACE], kind="topk")
    assert routing.total == 8
    assert routing.transitions[0, 1][1].tolist() == [1, 1, 1]  # token 0: 1->0; 1: 1->2; 3: 1->1
    together = routing.coactivation
    assert together is not None
    assert together[0].tolist() == [[3, 2, 1], [2, 3, 1], [1, 1, 2]]
    assert routing.pair_share()[0, 0].tolist() == pytest.approx([0, 2 / 3, 1 / 3])


def test_chunks_count_as_one_trace_does() -> None:
    trace = planted(layers=4, experts=12, group=3, share=0.4, tokens=500, seed=3, skew=0.7)
    whole = from_traces([trace], experts=12)
    parts = from_traces(np.array_split(trace, 7))
    assert all((whole.transitions[p] == parts.transitions[p]).all() for p in whole.transitions)
    assert (whole.loads == parts.loads).all()


def test_affinity_is_a_probability_and_zero_where_an_expert_is_idle() -> None:
    routing = from_counts({(3, 9): np.array([[1.0, 3.0], [0.0, 0.0]])})
    assert routing.layers == (3, 9)
    assert routing.affinity(3, 9).tolist() == [[0.25, 0.75], [0.0, 0.0]]
    assert routing.loads.tolist() == [[4, 0], [1, 3]]
    with pytest.raises(UnknownNameError, match="3->9"):
        routing.affinity(9, 3)
    with pytest.raises(InputError, match="aggregated counts do not hold it"):
        routing.pair_share()


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_planted_affinity_is_found_again(share: float) -> None:
    trace = planted(layers=2, experts=32, group=4, share=share, tokens=200_000, seed=1)
    found = from_traces([trace], experts=32).concentration(4)[0, 1]
    # the four largest of 32 equal counts of about 195 are above their mean by chance
    assert found == pytest.approx(share + (1 - share) * 4 / 32, abs=0.02)


def test_groups_of_their_own_are_as_strong_but_shared_by_nobody() -> None:
    def drawn(aligned: bool) -> Routing:
        made = planted(
            layers=2, experts=32, group=4, share=0.7, tokens=200_000, seed=1, aligned=aligned
        )
        return from_traces([made], experts=32)

    shared, own = drawn(True), drawn(False)
    expected = 0.7 + 0.3 * 4 / 32
    for routing in (shared, own):
        assert routing.concentration(4)[0, 1] == pytest.approx(expected, abs=0.01)
    sets = [
        {tuple(sorted(np.argsort(row)[-4:])) for row in routing.transitions[0, 1]}
        for routing in (shared, own)
    ]
    assert [len(each) for each in sets] == [8, 32]


def test_planted_skew_makes_some_experts_hot() -> None:
    def drawn(skew: float) -> Routing:
        made = planted(layers=2, experts=16, group=4, share=0.3, skew=skew, tokens=20_000, seed=0)
        return from_traces([made])

    even, hot = drawn(0.0), drawn(1.0)
    assert even.skew().max() < 1.15
    # 1 / H(16) of the draws from all experts go to the first, 4.73 times the even share
    assert hot.skew()[0] == pytest.approx(16 / sum(1 / k for k in range(1, 17)), rel=0.05)


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([[1.0, np.nan], [0.0, 2.0]], r"entry \(0, 1\).*found nan"),
        ([[1.0, -1.0], [0.0, 2.0]], r"entry \(0, 1\).*found -1"),
        ([[0.0, 0.0], [0.0, 0.0]], "at least one transition"),
    ],
)
def test_impossible_counts_are_refused(counts: list[list[float]], words: str) -> None:
    with pytest.raises(InputError, match=words):
        from_counts({(0, 1): np.array(counts)})


def test_an_expert_out_of_range_is_named_by_its_place() -> None:
    bad = TRACE.copy()
    bad[2, 1, 0] = 7
    with pytest.raises(InputError, match="token 6, layer 1, choice 0: expected an expert"):
        from_traces([TRACE, bad], experts=3)
    with pytest.raises(InputError, match="same for all tokens"):
        from_traces([TRACE, TRACE[:, :, :1]])
    with pytest.raises(InputError, match="at least one token"):
        from_traces([])
    with pytest.raises(InputError, match="group that divides"):
        planted(layers=2, experts=8, group=3, share=0.1, tokens=10, seed=0)
