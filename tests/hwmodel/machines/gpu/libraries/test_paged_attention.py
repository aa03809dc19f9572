"""Which of an engine's attention kernels runs on which generation of GPUs."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.machines.gpu.libraries import paged_attention
from hwmodel.quantity.errors import CoverageError


def family(on: str, kernel: str, **how: Any) -> str:
    sizes: dict[str, Any] = {"batch": 4, "heads": 32, "kv_heads": 8, "head_dim": 128}
    asked: dict[str, Any] = sizes | {"queries": 1, "keys": 1024} | how
    made = hw.workloads.attention(**asked)
    (part,) = hw.predict(made, on=on, kernel=kernel).parts
    return part.family


PROMPT: dict[str, Any] = {"queries": 512, "keys": 512, "causal": True}


@pytest.mark.parametrize(
    ("on", "how", "named"),
    [
        ("a100", {}, "decode:vllm:flash-attention-2"),
        ("l40s", PROMPT, "prefill:vllm:flash-attention-2"),
        ("l40s", {"kv_dtype": "fp8"}, "decode:vllm:flashinfer-fp8"),
        ("rtx-pro-6000", PROMPT | {"kv_dtype": "fp8"}, "prefill:vllm:flashinfer-fp8"),
        ("h100", PROMPT, "prefill:vllm:flash-attention-3"),
        ("b200", PROMPT, "prefill:vllm:trtllm-gen"),
        ("gb200", {"kv_dtype": "fp8"}, "decode:vllm:trtllm-gen-fp8"),
        ("h200", {}, "decode:vllm"),  # measured there, under that name
        ("mi300x", {}, "decode:vllm"),
    ],
)
def test_vllm_runs_what_its_rows_name_on_each_generation(
    on: str, how: dict[str, Any], named: str
) -> None:
    assert family(on, "vllm", **how) == named


def test_a_kernel_is_refused_on_a_generation_that_it_is_not_for() -> None:
    with pytest.raises(CoverageError, match="has no bf16 on hopper; it has on blackwell"):
        family("h100", "vllm:trtllm-gen")


def test_libraries_of_fp8_caches_take_no_other_cache() -> None:
    for each in paged_attention.LIBRARIES:
        if each.name.endswith("-fp8"):
            line = each.takes("decode")
            assert line is not None
            assert (line.narrow, line.alike) == (("fp8",), ())


def test_one_query_may_have_a_window_without_being_called_causal() -> None:
    sizes: dict[str, Any] = {"heads": 8, "queries": 1, "keys": 4096, "head_dim": 64}
    told = hw.workloads.attention(2, window=256, causal=True, **sizes)
    plain = hw.workloads.attention(2, window=256, **sizes)
    times = [hw.predict(each, on="l40s", kernel="vllm").time_s for each in (told, plain)]
    assert times[0] == times[1]
