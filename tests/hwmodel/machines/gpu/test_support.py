"""Kernels that do not exist are refused by name, with those that would do."""

import re
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.machines.gpu.libraries.library import GENERATIONS, UNEVEN
from hwmodel.machines.gpu.libraries.shipped import SHIPPED
from hwmodel.quantity.dtypes import DTYPES
from hwmodel.quantity.errors import CoverageError


def gemm(dtype: str = "bf16", N: Any = 4096, K: Any = 4096, **formats: Any) -> Any:
    return hw.workloads.gemm(M=64, N=N, K=K, dtype=dtype, **formats)


def attention(head_dim: Any = 128, queries: Any = 512, **formats: Any) -> Any:
    shape: dict[str, Any] = {"batch": 1, "heads": 8, "kv_heads": 8, "keys": 1024}
    return hw.workloads.attention(**shape, queries=queries, head_dim=head_dim, **formats)


REFUSED = [
    (attention(512), "h200", "flash-attention-2", "ends at head_dim 256 on hopper, found 512"),
    (attention(264), "h200", "flash-attention-2", "ends at head_dim 256 on hopper, found 264"),
    (attention(512), "h200", "cudnn", "ends at head_dim 256"),
    (attention(512), "h200", "triton", "ends at head_dim 256"),
    (attention(512, 1), "h200", "cudnn", "kernels that would do: latent-attention, triton"),
    (attention(1000, 1), "h200", "flash-attention-2", "ends at head_dim 256"),
    (attention(100), "h200", "cudnn", "head_dim is a multiple of 8, found 100; pad it to 104"),
    (attention(256, 1), "a100", "cudnn", "ends at head_dim 128 on ampere"),
    (attention(136, 1), "l40s", "cudnn", "ends at head_dim 128 on ada"),
    (attention(), "mi300x", "cudnn", "has no bf16 on cdna3; it has on ampere"),
    (attention(), "h200", "flash-attention-4", "no bf16 on hopper; it has on blackwell"),
    (attention(dtype="fp8"), "h200", "flash-attention-2", "computes no fp8"),
    (attention(dtype="fp8"), "a100", None, "no fp8 on ampere"),
    (attention(kv_dtype="fp8"), "h200", "triton", "computes no bf16 times fp8"),
    (gemm("fp8", K=17), "h200", None, "K is a multiple of 16, found 17; pad it to 32"),
    (gemm("fp8", N=63), "h200", "cublas", "N is a multiple of 16, found 63; pad it to 64"),
    (gemm("fp8", N=63), "h200", "cublas-fast-accum", "N is a multiple of 16"),
    (
        gemm("fp8"),
        "a100",
        None,
        "no fp8 on ampere; it has on ada, hopper, blackwell, blackwell-rtx, cdna3, cdna4",
    ),
    (gemm("fp8"), "a100", "triton", "no fp8 on ampere"),
    (gemm("int4"), "h200", "cublas", "computes no int4"),
    (gemm("int4"), "h200", None, "computes no int4"),
    (gemm(weight_dtype="int4"), "h200", "cublas", "computes no bf16 times int4"),
    (gemm(weight_dtype="int4"), "h200", "triton", "computes no bf16 times int4"),
    (gemm("bf16"), "h200", "cublas-fast-accum", "computes no bf16; it takes fp8 on hopper"),
    (gemm("bf16"), "h200", "weight-only", "computes no bf16"),
    (gemm("nvfp4"), "h200", None, "has no nvfp4 on hopper; it has on blackwell"),
    (gemm("mxfp4"), "mi300x", "triton", "computes no mxfp4"),
    (gemm(), "mi300x", "cublas", "is hipBLASLt on cdna3, which kernel 'torch' calls"),
]


@pytest.mark.parametrize("queries", [1, 512])
def test_heads_wider_than_a_stacks_kernels_have_a_prior_that_says_so(queries: int) -> None:
    found = hw.predict(attention(576, queries), "h200")
    (part,) = found.parts
    assert part.family.endswith(":latent-attention")
    assert any("latent-attention: efficiencies are priors" in words for words in found.warnings)
    narrow = hw.predict(attention(256, queries), "h200")
    assert narrow.parts[0].family.endswith(":flash-attention-2")
    assert found.time_s > narrow.time_s


@pytest.mark.parametrize(("work", "on", "kernel", "said"), REFUSED)
def test_a_kernel_that_does_not_exist_is_refused(
    work: Any, on: str, kernel: str | None, said: str
) -> None:
    with pytest.raises(CoverageError, match=re.escape(said)) as refused:
        hw.predict(work, hw.device(on), kernel=kernel)
    assert "kernels that would do: " in str(refused.value)


@pytest.mark.parametrize(("work", "on", "kernel", "said"), REFUSED)
def test_the_kernels_that_would_do_do(work: Any, on: str, kernel: str | None, said: str) -> None:
    with pytest.raises(CoverageError) as refused:
        hw.predict(work, hw.device(on), kernel=kernel)
    named = str(refused.value).rpartition("would do: ")[2].split(", ")
    for name in named:
        if name != "none":
            assert hw.predict(work, hw.device(on), kernel=name).time_s > 0


@pytest.mark.parametrize(
    ("work", "on", "kernel"),
    [
        (attention(256), "h200", "flash-attention-2"),
        (attention(256), "h200", "cudnn"),
        (attention(128, 1), "a100", "cudnn"),
        (attention(100), "h200", None),
        (gemm("fp8", K=16, N=48), "h200", None),
        (gemm("fp8"), "l40s", None),
        (gemm(), "mi300x", None),
        (gemm("int8"), "a100", None),
        (gemm("nvfp4"), "b200", None),
    ],
)
def test_what_exists_is_answered(work: Any, on: str, kernel: str | None) -> None:
    assert hw.predict(work, hw.device(on), kernel=kernel).time_s > 0


def test_only_points_that_run_a_kernel_are_looked_at() -> None:
    head_dim = np.array([128.0, 256.0])
    queries = np.array([512.0, 512.0])
    assert np.shape(hw.predict(attention(head_dim, queries), "h200").time_s) == (2,)
    with pytest.raises(CoverageError, match="found 264"):
        hw.predict(attention(np.array([128.0, 264.0])), "h200")


def test_three_passes_are_told_that_a_fused_kernel_makes_one() -> None:
    fused = hw.predict(attention(), "h200")
    passes = hw.predict(attention(passes=3), "h200")
    assert fused.warnings == ()
    assert "a cascade of 3 passes over its keys is priced as" in passes.warnings[0]
    assert passes.parts[0].interval == (0.6, 2.0)
    assert passes.time_s == fused.time_s


def test_every_library_of_products_and_attention_says_what_it_takes() -> None:
    for name, library in SHIPPED.items():
        for schedule in library.launches:
            said = library.takes(schedule) is not None
            assert said or schedule in ("rows", "reduction", "scan", *UNEVEN), (name, schedule)


def test_what_libraries_say_is_of_known_things() -> None:
    families = hw.device("h200").calibration.families  # pyright: ignore[reportOptionalMemberAccess]
    for library in SHIPPED.values():
        for line in library.support:
            assert {*line.schedules} <= {*library.launches}
            assert line.source
            assert {*line.formats, *line.narrow} <= {*DTYPES}
            for places in line.formats.values():
                assert {*places} <= {*GENERATIONS}
        assert {*library.borrows, *library.priors} <= {*library.launches}
        assert {*library.borrows.values()} <= {*families}
        assert {*library.costed_as, *library.native} <= {*GENERATIONS}


def test_our_decode_kernel_holds_a_groups_rows_in_one_block() -> None:
    """kernels/decode.py refuses more rows than 128, which were priced head by head."""
    most: dict[str, Any] = {"batch": 16, "kv_heads": 1, "keys": 8192, "head_dim": 128}
    held = hw.workloads.attention(heads=128, queries=1, **most)
    assert hw.predict(held, "h200", kernel="triton").time_s < 1e-4
    for heads, queries in ((129, 1), (64, 3)):
        work = hw.workloads.attention(heads=heads, queries=queries, **most)
        with pytest.raises(CoverageError, match=r"holds 128 .* would do: flash-attention-2, cudnn"):
            hw.predict(work, "h200", kernel="triton")


def test_a_format_without_a_rate_here_is_refused_with_those_that_would_do() -> None:
    """NVIDIA's documents disagree on int8 of the B300; the file of the device states none."""
    work = hw.workloads.gemm(M=64, N=64, K=64, dtype="int8")
    with pytest.raises(CoverageError, match=r"b300: C: no rate of int8 .* would do: bf16, fp16,"):
        hw.predict(work, "b300")
    assert hw.predict(work, "b200").time_s > 0
