"""Workloads by name, and the same workload with other arguments."""

from typing import Any

import pytest

from hwmodel.einsum.notation import parse
from hwmodel.einsum.workloads import catalogue
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.catalogue import WORKLOADS, workload
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError, UnknownNameError

ARGUMENTS: dict[str, dict[str, Any]] = {
    "gemm": {"M": 2, "N": 3, "K": 4},
    "attention": {"batch": 1, "heads": 2, "kv_heads": 1, "queries": 3, "keys": 4, "head_dim": 8},
    "attention_backward": {"batch": 1, "heads": 2, "queries": 3, "keys": 4, "head_dim": 8},
    "pruned_attention": {"layers": 3, "batch": 1, "heads": 2, "keys": 8, "head_dim": 4},
    "mlp": {"tokens": 2, "hidden": 3, "intermediate": 4},
    "moe": {"tokens": 2, "experts": 4, "top_k": 2, "hidden": 3, "intermediate": 5},
    "moe_layer": {"tokens": 2, "experts": 4, "top_k": 2, "hidden": 3, "intermediate": 5},
    "grouped_gemm": {"tokens": 2, "experts": 4, "top_k": 2, "N": 3, "K": 5},
    "top_k": {"rows": 2, "cols": 8, "top_k": 3},
    "gather": {"rows": 2, "table": 8, "cols": 3},
    "embedding": {"tokens": 2, "vocabulary": 10, "hidden": 3},
    "kv_write": {"batch": 1, "tokens": 2, "kv_heads": 3, "head_dim": 4},
    "conv2d": {"batch": 2, "channels": 2, "filters": 3, "height": 5, "width": 6, "window": 3},
    "cnn": {"network": "mcunet-vww1"},
    "fft": {"points": 8},
    "hyper_zzw": {"batch": 2, "channels": 4, "side": 4},
    "kmeans": {"points": 5, "clusters": 3, "dims": 2},
    "fft_convolution": {"batch": 2, "channels": 3, "length": 256},
    "power_attention": {"batch": 1, "tokens": 20, "heads": 2, "features": 4, "values": 5},
    "rational_backward": {"rows": 3, "cols": 8, "groups": 2},
    "collective": {"op": "all_gather", "bytes": 64, "ranks": 4},
    "llm": {"config": "qwen3-0.6b", "phase": "decode", "batch": 2, "context": 30},
}
ROWS = {"rows": 2, "cols": 8}
OF_SEVERAL = ("training", "serving", "exported")
"""Not one cascade or stack: steps of several, which have no origin. Programs are read from files,
which their own tests write (`test_exported.py`)."""


@pytest.mark.parametrize("name", [name for name in WORKLOADS if name not in OF_SEVERAL])
def test_every_workload_is_made_by_name_and_made_again_by_but(name: str) -> None:
    made = workload(name, **ARGUMENTS.get(name, ROWS))
    assert made.origin is not None
    assert made.origin.workload == name
    assert made.but() == made


def test_but_is_the_function_called_with_other_arguments() -> None:
    assert gemm(2, 3, 4, dtype="fp16").but(M=7) == gemm(7, 3, 4, dtype="fp16")
    causal = attention(1, 2, queries=3, keys=9, head_dim=8, causal=True)
    assert causal.but(keys=5, causal=False) == attention(1, 2, queries=3, keys=5, head_dim=8)


def test_but_changes_a_model_its_phase_and_its_formats() -> None:
    read = model("qwen3-0.6b")
    stack = read.decode(2, 30)
    assert stack.but(batch=5, tp=2) == read.decode(5, 30, tp=2)
    assert stack.but(phase="prefill", prompt=7, context=None) == read.prefill(2, 7)
    narrow = stack.but(kv_dtype="fp8")
    assert narrow.warnings == ("qwen3-0.6b: kv format bf16 overruled by the argument fp8",)
    assert narrow.stages == model("qwen3-0.6b", kv_dtype="fp8").decode(2, 30).stages


def test_but_refuses_unknown_arguments_and_checks_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"argument of gemm 'kk'"):
        gemm(2, 3, 4).but(kk=5)
    with pytest.raises(InputError, match=r"gemm: K: expected a number above 0"):
        gemm(2, 3, 4).but(K=-5)


def test_but_refuses_a_cascade_that_no_function_made() -> None:
    written = parse("Z[m] = X[m]", sizes={"m": 3})
    with pytest.raises(InputError, match=r"written or changed by hand, so use with_sizes"):
        written.but(m=4)
    with pytest.raises(InputError, match=r"written or changed by hand"):
        gemm(2, 3, 4).with_sizes(m=9).but(M=4)


def test_unknown_workloads_and_missing_arguments_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown workload 'gem' \(did you mean 'gemm'"):
        workload("gem")
    with pytest.raises(InputError, match=r"gemm: expected the argument 'K', found none"):
        workload("gemm", M=1, N=2)


def test_a_workload_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(AttributeError, match=r"'con2d' \(did you mean 'conv2d'\?\); \d+ are known"):
        getattr(catalogue, "con2d")  # noqa: B009
    assert not hasattr(catalogue, "__array__")
