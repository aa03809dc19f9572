"""The kernels that are measured take the inputs that their case states (torch on the CPU)."""

# pyright: basic, reportMissingImports=false

from itertools import pairwise
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the measuring code needs torch")

from hwmodel.validation.measure.arena import Arena, Carver  # noqa: E402
from hwmodel.validation.measure.library import builder, expert_rows  # noqa: E402
from hwmodel.validation.measure.shapes import Case, work  # noqa: E402

SMALL = {"bf16": 1 << 20, "fp16": 1 << 20, "fp32": 1 << 20, "fp8": 1 << 20}


def carver() -> Carver:
    return Carver(Arena(device="cpu", capacity_bytes=dict(SMALL)))


def moe(routing: str) -> Case:
    shape = {"tokens": 12, "experts": 8, "top_k": 3, "hidden": 32, "intermediate": 16}
    return Case("moe", "torch", "bf16", shape | {"routing": routing})


@pytest.mark.parametrize(
    ("case", "output"),
    [
        (Case("gemm", "cublas", "bf16", {"M": 4, "N": 6, "K": 8}), (4, 6)),
        (Case("softmax", "torch", "fp32", {"rows": 3, "cols": 10}), (3, 10)),
        (Case("add", "torch", "bf16", {"rows": 3, "cols": 10}), (3, 10)),
        (Case("copy", "torch", "fp16", {"rows": 3, "cols": 10}), (3, 10)),
        (Case("gelu", "torch", "bf16", {"rows": 3, "cols": 10}), (3, 10)),
        (moe("balanced"), (36, 32)),
    ],
    ids=lambda value: value.family if isinstance(value, Case) else None,
)
def test_inputs_have_the_bytes_that_the_case_counts(case: Case, output: tuple[int, ...]) -> None:
    taken = carver()
    assert tuple(builder(case)(taken)().shape) == output
    assert taken.taken_bytes == work(case)[1]


@pytest.mark.parametrize("axis", ["all", "last", "first"])
@pytest.mark.parametrize("op", ["sum", "amax"])
def test_reductions_answer_for_each_output_by_the_axis_that_they_name(op: str, axis: str) -> None:
    outputs = 1 if axis == "all" else 5
    shape = {"op": op, "axis": axis, "outputs": outputs, "reduced": 12}
    case = Case("reduce", "torch", "fp32", shape)
    taken = carver()
    got = builder(case)(taken)()
    assert taken.taken_bytes == work(case)[1]
    numbers = taken.arena.pool("fp32", False)[: outputs * 12].tolist()
    lines = [numbers[i::outputs] if axis == "first" else numbers[12 * i : 12 * i + 12]
             for i in range(outputs)]  # fmt: skip
    want = [sum(line) if op == "sum" else max(line) for line in lines]
    assert got.flatten().tolist() == pytest.approx(want, abs=1e-5)


@pytest.mark.parametrize("kernel", ["cublas-row-scales", "cublas-row-scales-fast-accum"])
def test_fp8_with_a_scale_for_each_row_is_asked_for_with_one(
    kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def product(a: Any, b: Any, **options: Any) -> None:
        asked.update(options)

    monkeypatch.setattr(torch, "_scaled_mm", product)
    builder(Case("gemm", kernel, "fp8", {"M": 4, "N": 32, "K": 16}))(carver())()
    assert asked["scale_a"].shape == (4, 1)
    assert asked["scale_b"].shape == (1, 32)
    assert asked["use_fast_accum"] is kernel.endswith("fast-accum")


def test_fp8_experts_multiply_by_the_scales_of_rows_and_channels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def product(a: Any, b: Any, *scales: Any, **more: Any) -> Any:
        assert a.dtype == b.dtype == torch.float8_e4m3fn
        assert scales[0].shape == a.shape[:1]
        assert scales[1].shape == (b.shape[0], b.shape[2])
        ends = [0, *more["offs"].tolist()]
        parts = [
            a[i:j].float() @ b[e].float() * scales[0][i:j, None] * scales[1][e]
            for e, (i, j) in enumerate(pairwise(ends))
        ]
        return torch.cat(parts).to(torch.bfloat16)

    monkeypatch.setattr(torch, "_scaled_grouped_mm", product)
    shape = {"tokens": 12, "experts": 8, "top_k": 3, "hidden": 64, "intermediate": 32}
    case = Case("moe", "torch-row-scales", "fp8", shape | {"routing": "uniform"})
    taken = carver()
    answer = builder(case)(taken)()
    assert tuple(answer.shape) == (36, 64)
    assert taken.taken_bytes == work(case)[1]
    assert 0.05 < float(answer.float().std()) < 5  # scales keep e4m3 from overflowing


def test_input_sets_lie_apart_until_the_pool_wraps() -> None:
    taken = carver()
    first, second = (taken.take(100, 100) for _ in range(2))
    assert second.data_ptr() >= first.data_ptr() + first.nbytes
    assert float(first.float().std()) == pytest.approx(1.0, abs=0.1)


def test_an_input_beyond_the_pool_is_refused_with_both_sizes() -> None:
    with pytest.raises(ValueError, match=r"2097152 bytes, but the pool has 1048576"):
        carver().take(1024, 1024)


def test_balanced_rows_differ_by_at_most_one_and_uniform_ones_sum_to_all() -> None:
    balanced, uniform = (expert_rows(moe(kind), "cpu") for kind in ("balanced", "uniform"))
    assert int(balanced.max() - balanced.min()) <= 1
    assert int(balanced.sum()) == int(uniform.sum()) == 36
    assert int(uniform.max()) <= 12  # an expert is drawn at most once by a token


def test_cudnn_with_more_keys_than_causal_queries_is_refused() -> None:
    shape = {"batch": 1, "heads": 2, "kv_heads": 2, "queries": 4, "keys": 8, "head_dim": 8}
    case = Case("attention", "cudnn", "bf16", shape | {"causal": True})
    with pytest.raises(ValueError, match="no causal mask aligned to the last key"):
        builder(case)(carver())
