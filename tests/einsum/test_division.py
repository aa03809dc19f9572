"""Divisions: where experts go when nothing is said, layers of stages, words that are refused."""

import pytest

from hwmodel.einsum.division import ALONE, Division, spread
from hwmodel.quantity.errors import InputError, UnknownNameError


@pytest.mark.parametrize(
    ("table", "shared", "replicas"),
    [
        ({"tp": 8, "ep": 8}, 1, 1),  # each device has experts of its own
        ({"tp": 8, "ep": 2}, 4, 1),  # halves of the experts, quarters of each
        ({"tp": 8, "dp": 8, "ep": 8}, 8, 1),  # Megatron: etp is tp where it goes
        ({"tp": 2, "dp": 8, "ep": 4}, 2, 2),
        ({"dp": 32, "ep": 32}, 1, 1),
        ({"tp": 4}, 4, 1),
    ],
)
def test_an_expert_is_shared_by_as_many_of_the_tp_as_go(
    table: dict[str, int], shared: int, replicas: int
) -> None:
    ways = Division.of(table)
    assert (ways.expert_tp, ways.expert_dp) == (shared, replicas)
    assert ways.expert_tp * ways.ep * ways.expert_dp == ways.width


def test_layers_left_over_go_before_the_last_stage() -> None:
    """As vLLM's get_pp_indices has them: the last stage, which has the head, is not burdened."""
    assert spread(61, 4) == (15, 15, 16, 15)
    assert spread(126, 4) == (31, 32, 32, 31)
    assert spread(32, 1) == (32,)


def test_a_division_says_the_table_that_it_was_made_from() -> None:
    table = {"tp": 4, "pp": 2, "cp": 2, "sp": True, "attends": "ring", "micro_batch": 3}
    assert Division.of(table).given == table
    assert Division.of(None) == ALONE


def test_words_of_no_division_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'tp'"):
        Division.of({"tpp": 2})
    with pytest.raises(InputError, match="attends: expected 'all-gather', 'ring'"):
        Division.of({"cp": 2, "attends": "rings"})


def test_words_of_what_is_not_divided_are_idle() -> None:
    told = Division(dispatch="once", attends="ring", tp=2).idle
    assert [text.split()[1] for text in told] == ["attends=ring", "dispatch=once"]
    assert Division(dispatch="once", ep=2, tp=2, attends="ring", cp=2).idle == ()
