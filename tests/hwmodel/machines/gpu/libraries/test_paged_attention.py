"""Which of an engine's attention kernels runs on which generation of GPUs."""

from typing import Any

import numpy as np
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
        (
            "b200",
            PROMPT | {"kv_dtype": "fp8", "head_dim": 192},
            "prefill:vllm:triton-attention-fp8",
        ),
        ("l40s", {"kv_dtype": "fp8", "head_dim": 80}, "decode:vllm:triton-attention-fp8"),
        ("b200", {"head_dim": 192}, "decode:vllm:trtllm-gen"),
        ("h200", {}, "decode:vllm"),  # measured there, under that name
        ("mi300x", {}, "decode:vllm"),
    ],
)
def test_vllm_runs_what_its_rows_name_on_each_generation(
    on: str, how: dict[str, Any], named: str
) -> None:
    assert family(on, "vllm", **how) == named


def test_layers_that_are_repeated_are_the_engines_own_on_every_gpu() -> None:
    """With a cold L2 an H200 has vLLM's kernels alone, as measured there."""
    token = hw.workloads.attention(4, heads=32, kv_heads=8, queries=1, keys=1024, head_dim=128)
    experts = hw.workloads.moe(64, 128, 8, 4096, 1536, dtype="fp8")
    warm = [hw.predict(work, on="h200", kernel="vllm", l2="warm") for work in (token, experts)]
    assert warm[0].parts[0].family == "decode:vllm:flash-attention-3"
    assert warm[1].parts[0].family == "grouped:vllm:scaled-experts"
    assert hw.predict(experts, on="h200", kernel="vllm").parts[0].family == "grouped:vllm"


@pytest.mark.parametrize(
    ("keys", "named"),
    [(4, "prefill:trtllm:attention"), (8, "decode:trtllm:attention")],
)
def test_tensorrt_llm_runs_a_prompt_of_few_tokens_as_a_prompt(keys: int, named: str) -> None:
    assert family("h100", "trtllm", queries=4, keys=keys, causal=True) == named
    assert family("h100", "trtllm", queries=1, keys=1).startswith("prefill:")
    assert family("h100", "vllm", queries=4, keys=keys, causal=True).startswith("decode:")


def test_tensorrt_llm_multiplies_prompts_in_fp8_where_a_gpu_can() -> None:
    narrow = PROMPT | {"dtype": "fp8"}
    assert family("l40s", "trtllm", **narrow) == "prefill:trtllm:attention-e4m3"
    with pytest.raises(CoverageError, match="fp8"):
        family("a100", "trtllm", **narrow)


def test_a_kernel_is_refused_on_a_generation_that_it_is_not_for() -> None:
    with pytest.raises(CoverageError, match="has no bf16 on hopper; it has on blackwell"):
        family("h100", "vllm:trtllm-gen")


def test_libraries_of_fp8_caches_take_no_other_cache() -> None:
    for each in paged_attention.LIBRARIES:
        if each.name.endswith("-fp8"):
            line = each.takes("decode")
            assert line is not None
            assert (line.narrow, line.alike) == (("fp8",), ())


def test_heads_of_a_sweep_run_by_the_kernel_that_each_has() -> None:
    how: dict[str, Any] = {"heads": 32, "kv_heads": 8, "queries": 512, "keys": 512, "causal": True}
    made = hw.workloads.attention(4, head_dim=np.array([128, 192]), kv_dtype="fp8", **how)
    both = hw.predict(made, on="b200", kernel="vllm", l2="warm")
    assert {part.family for part in both.parts} == {
        "prefill:vllm:trtllm-gen-fp8",
        "prefill:vllm:triton-attention-fp8",
    }
    alone = [
        hw.predict(made.but(head_dim=dim), on="b200", kernel="vllm", l2="warm").time_s
        for dim in (128, 192)
    ]
    assert both.time_s == pytest.approx(alone)


def test_a_head_without_a_kernel_is_refused_by_name() -> None:
    with pytest.raises(CoverageError, match="head_dim of 64, 128, 256, found 192"):
        family("l40s", "vllm:flashinfer-fp8", kv_dtype="fp8", head_dim=192)


def test_one_query_may_have_a_window_without_being_called_causal() -> None:
    sizes: dict[str, Any] = {"heads": 8, "queries": 1, "keys": 4096, "head_dim": 64}
    told = hw.workloads.attention(2, window=256, causal=True, **sizes)
    plain = hw.workloads.attention(2, window=256, **sizes)
    times = [hw.predict(each, on="l40s", kernel="vllm").time_s for each in (told, plain)]
    assert times[0] == times[1]
