"""The shapes that are measured: repeatable, feasible, spread, and counted by the conventions."""

from itertools import islice

import pytest

from hwmodel.validation.measure.shapes import MOST_FLOP, Case, anchors, feasible, streams, work


def test_a_seed_fixes_every_stream_and_another_seed_changes_it() -> None:
    first, same, other = ([*islice(streams(seed)["gemm"], 20)] for seed in (5, 5, 6))
    assert first == same
    assert first != other


@pytest.mark.parametrize("name", list(streams(0)))
def test_every_drawn_case_is_feasible(name: str) -> None:
    for case in islice(streams(11)[name], 200):
        assert feasible(case)
        assert work(case)[0] <= MOST_FLOP[case.dtype]


@pytest.mark.parametrize(
    ("name", "count", "size"),
    [
        pytest.param("gemm", 600, "M", id="token counts of a linear layer"),
        pytest.param("decode-flash", 600, "keys", id="contexts"),
        pytest.param("moe", 600, "tokens", id="tokens of an expert layer"),
    ],
)
def test_a_third_of_the_sizes_is_odd(name: str, count: int, size: str) -> None:
    cases = [case for case in islice(streams(3)[name], count) if case.shape[size] > 64]
    odd = sum(case.shape[size] % 8 > 0 for case in cases) / len(cases)
    assert 0.2 < odd < 0.5


def test_fp8_and_expert_sizes_keep_what_their_kernels_need() -> None:
    for case in islice(streams(4)["gemm-fp8"], 200):
        assert case.shape["N"] % 16 == 0
        assert case.shape["K"] % 16 == 0
    for case in islice(streams(4)["moe"], 200):
        assert case.shape["hidden"] % 8 == 0
        assert case.shape["intermediate"] % 8 == 0
        assert case.shape["top_k"] <= case.shape["experts"]


def test_cudnn_is_never_asked_for_a_mask_that_it_lacks() -> None:
    for case in islice(streams(9)["prefill-cudnn"], 300):
        assert not case.shape["causal"] or case.shape["queries"] == case.shape["keys"]


def test_anchors_are_fixed_distinct_and_cover_every_family() -> None:
    fixed = anchors()
    assert fixed == anchors()
    assert all(case.anchor and feasible(case) for case in fixed if case.shape.get("M") != 8192)
    keys = {(c.family, c.kernel, c.dtype, *c.shape.values()) for c in fixed}
    assert len(keys) == len(fixed)
    assert {case.family for case in fixed} == {
        "gemm", "attention", "moe", "softmax", "rmsnorm", "layernorm", "gelu", "add", "copy",
    }  # fmt: skip


def attention(queries: int, keys: int, causal: bool) -> Case:
    shape = {"batch": 1, "heads": 1, "kv_heads": 1, "queries": queries, "keys": keys}
    return Case("attention", "cudnn", "bf16", shape | {"head_dim": 1, "causal": causal})


@pytest.mark.parametrize(("queries", "keys"), [(1, 7), (5, 5), (3, 8), (6, 6)])
def test_causal_work_counts_the_pairs_that_the_mask_leaves(queries: int, keys: int) -> None:
    pairs = sum(j <= i + keys - queries for i in range(queries) for j in range(keys))
    assert work(attention(queries, keys, causal=True))[0] == 4 * pairs
    assert work(attention(queries, keys, causal=False))[0] == 4 * queries * keys


def test_traffic_of_a_small_gemm_by_hand() -> None:
    flop, inputs, once = work(Case("gemm", "cublas", "fp8", {"M": 2, "N": 3, "K": 5}))
    assert (flop, inputs, once) == (60, 25, 25 + 12)  # bf16 output
