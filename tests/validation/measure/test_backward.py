"""Shapes of attention's backward pass: repeatable, feasible, and where training has them."""

from itertools import islice

from hwmodel.validation.measure.backward import backward_streams
from hwmodel.validation.measure.shapes import Case, feasible, work
from hwmodel.validation.store import SHAPE_COLUMNS


def drawn(seed: int = 11, count: int = 300) -> list[Case]:
    return list(islice(backward_streams(seed)["attention-backward"], count))


def test_cases_stand_where_training_has_them_and_name_every_column_that_is_stored() -> None:
    cases = drawn()
    for case in cases:
        assert feasible(case)
        assert set(case.shape) == set(SHAPE_COLUMNS["attention_backward"])
        assert 512 <= case.shape["queries"] == case.shape["keys"] <= 16_384
        assert 4_000 <= case.shape["batch"] * case.shape["queries"] <= 49_152
    assert {case.shape["head_dim"] for case in cases} == {64, 128}
    assert {case.shape["causal"] for case in cases} == {True, False}
    assert any(case.shape["heads"] == case.shape["kv_heads"] for case in cases)
    assert [case.kernel for case in cases[:4]] == ["flash-attention-2", "cudnn"] * 2


def test_a_seed_fixes_the_stream_and_another_draws_other_shapes() -> None:
    assert drawn(1) == drawn(1)
    other = drawn(2)
    assert len([case for case in drawn(1) if case in other]) < 6


def test_the_backward_pass_does_five_products_where_the_forward_does_two() -> None:
    """Products of 1,024 x 1,024 x 64 for each of two heads, masked to the diagonal and below."""
    shape = {"batch": 1, "heads": 2, "kv_heads": 2, "queries": 1024, "keys": 1024, "head_dim": 64}
    case = Case("attention_backward", "cudnn", "bf16", shape | {"causal": True})
    flop, read, once = work(case)
    assert flop == 5 * 2 * 2 * 64 * (1024 * 1025 / 2)
    tensor = 2 * 1024 * 64 * 2
    assert (read, once) == (4 * tensor, 8 * tensor)  # Q, K, V, dO; O and three gradients besides
