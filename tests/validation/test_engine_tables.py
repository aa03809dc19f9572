"""Lines of published tables as rows: a case's own words, and lines that are no kernel's."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.machines.gpu.calls import run
from hwmodel.validation.engine_tables import attention, experts, latent_attention
from hwmodel.validation.fit import is_test
from hwmodel.validation.kernel_tables import kernel_rows
from hwmodel.validation.rows import groups

PROMPT = {
    **{"attn_dtype": "bfloat16", "kv_cache_dtype": "fp8", "framework": "vllm"},
    **{"kernel_source": "vllm_flash_attn_fa3", "batch_size": "2", "isl": "6144"},
    **{"num_heads": "24", "num_key_value_heads": "1", "head_dim": "128", "step": "0"},
    **{"window_size": "128", "latency_us": "172.5"},
}
TOKEN = PROMPT | {"isl": "1", "step": "1023", "window_size": "", "kv_cache_dtype": "bfloat16"}
EXPERTS = {
    **{"moe_dtype": "fp8", "framework": "vllm", "kernel_source": "vllm_fp8moe_triton"},
    **{"num_tokens": "64", "hidden_size": "4096", "inter_size": "1536", "topk": "8"},
    **{"num_experts": "128", "moe_tp_size": "4", "moe_ep_size": "1"},
    **{"distribution": "balanced", "latency_us": "512.1"},
}


def test_a_prompt_is_causal_and_a_token_sees_all_keys() -> None:
    prompt, token = attention(PROMPT), attention(TOKEN)
    assert prompt is not None
    assert token is not None
    assert (prompt["queries"], prompt["keys"], prompt["causal"]) == (6144, 6144, True)
    assert (prompt["kernel"], prompt["window"]) == ("vllm:flash-attention-3-fp8", 128)
    assert (token["queries"], token["keys"], token["causal"]) == (1, 1024, False)
    assert token["kernel"] == "vllm:flash-attention-3"
    assert "window" not in token
    assert prompt["time_s"] == 172.5e-6


def test_heads_that_share_no_keys_have_as_many_kv_heads() -> None:
    alone = attention(PROMPT | {"num_key_value_heads": "0"})
    assert alone is not None
    assert alone["kv_heads"] == 24


def test_other_kernels_are_left_out_and_arithmetic_in_fp8_is_tensorrt_llms() -> None:
    assert attention(PROMPT | {"kernel_source": "vllm_flash_attn_fa4"}) is None
    narrow = attention(PROMPT | {"attn_dtype": "fp8", "kernel_source": "torch_flow"})
    assert narrow is not None
    assert (narrow["kernel"], narrow["dtype"]) == ("trtllm:attention-e4m3", "fp8")


def test_latents_are_shared_by_all_heads_of_a_token_and_keys_are_not_in_prompts() -> None:
    line = {
        **{"kv_cache_dtype": "bfloat16", "framework": "trtllm", "num_heads": "16"},
        **{"batch_size": "8", "isl": "1", "step": "63", "latency_us": "30"},
    }
    token, prompt = latent_attention(line), latent_attention(line | {"isl": "64", "step": "0"})
    assert token is not None
    assert prompt is not None
    assert [token[n] for n in ("kv_heads", "head_dim", "value_dim", "keys")] == [1, 576, 512, 64]
    assert [prompt[n] for n in ("kv_heads", "head_dim", "value_dim")] == [16, 192, 128]
    assert latent_attention(line | {"isl": "64", "step": "0", "kv_cache_dtype": "fp8"}) is None


def test_tensor_parallel_experts_have_their_share_of_columns() -> None:
    row = experts(EXPERTS)
    assert row is not None
    assert (row["intermediate"], row["kernel"], row["dtype"]) == (384, "vllm:experts", "fp8")


def test_divided_experts_those_without_a_gate_and_skewed_ones_say_so() -> None:
    divided, plain = experts(EXPERTS | {"moe_ep_size": "2"}), experts(EXPERTS | {"topk": "22"})
    assert divided is not None
    assert plain is not None
    assert (divided["ways"], divided["experts"], "gated" in divided) == (2, 128, False)
    assert (plain["gated"], "ways" in plain) == (False, False)
    skewed = experts(EXPERTS | {"distribution": "power_law_1.2"})
    assert skewed is not None
    assert (skewed["routing"], skewed["exponent"]) == ("power_law", 1.2)
    untuned = {"kernel_source": "moe_torch_flow", "moe_dtype": "w4a8_mxfp4_mxfp8"}
    assert experts(EXPERTS | untuned) is None
    old = experts(EXPERTS | {"topk": "22", "kernel_source": "vllm_fused_moe"})
    assert old is not None
    assert "gated" not in old
    assert experts(EXPERTS | {"moe_ep_size": "128", "num_tokens": "8"}) is None  # half a row


@pytest.mark.parametrize(
    ("form", "source", "kernel", "dtypes"),
    [
        ("fp8_block", "vllm_fp8moe_triton", "vllm:experts-fp8-block", ("fp8", "fp8@16384:32")),
        ("int4_wo", "vllm_wna16_marlin", "vllm:experts-marlin", ("bf16", "int4@32:16")),
        ("w4a16_mxfp4", "vllm_gptoss_trtllm", "vllm:experts-mxfp4", ("bf16", "mxfp4")),
        ("w4a8_mxfp4_mxfp8", "vllm_trtllm", "vllm:experts-fp8-mxfp4", ("fp8", "mxfp4")),
        ("nvfp4", "vllm_flashinfer_trtllm", "vllm:experts-nvfp4", ("nvfp4", None)),
        ("nvfp4", "vllm_flashinfer_cutlass", "vllm:experts-cutlass", ("nvfp4", None)),
        ("fp8", "vllm_modeloptfp8moe_triton_tritonexperts", "vllm:experts", ("fp8", None)),
    ],
)
def test_every_format_of_experts_is_a_case(
    form: str, source: str, kernel: str, dtypes: tuple[str, str | None]
) -> None:
    row = experts(EXPERTS | {"moe_dtype": form, "kernel_source": source})
    assert row is not None
    assert (row["kernel"], (row["dtype"], row.get("weight_dtype"))) == (kernel, dtypes)


TABLES = Path(__file__).resolve().parents[3] / "shared/data/tables"


def errors(on: str, table: str, family: str) -> Any:
    """|predicted/measured - 1| of a table's rows that no fit read, as what is shipped predicts."""
    path = TABLES / f"{table}.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is not here")
    machine = hw.device(on)
    assert machine.calibration is not None
    values = machine.calibration.values(family)
    rows = [row for row in kernel_rows(path) if is_test(row)]
    mine = [group for group in groups(rows) if group.calls[0].family == family]
    found = [
        np.asarray(run(group.calls[0], machine, values).folded.time_s) / group.measured_s
        for group in mine
    ]
    return np.abs(np.concatenate(found) - 1)


@pytest.mark.parametrize(
    ("on", "table", "family"),
    [
        ("a100", "a100_sxm.generation_attention", "decode:vllm:flash-attention-2"),
        ("a100", "a100_sxm.context_attention", "prefill:vllm:flash-attention-2"),
        ("l40s", "l40s.generation_attention", "decode:vllm:flash-attention-2"),
        ("h100", "h100_sxm.generation_attention", "decode:vllm:flash-attention-3"),
        ("b200", "b200_sxm.context_attention", "prefill:vllm:trtllm-gen"),
        ("b200", "b200_sxm.generation_attention", "decode:vllm:trtllm-gen"),
        ("h100", "h100_sxm.generation_mla", "decode:trtllm:latent-attention"),
    ],
)
def test_shapes_that_no_fit_read_are_told_within_fifteen_per_cent(
    on: str, table: str, family: str
) -> None:
    found = errors(on, table, family)
    assert len(found) > 40
    assert found.mean() < 0.15
