"""Tables of kernels: what their lines mean as cases, and what is said of those that mean none."""

from pathlib import Path

import numpy as np
import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.validation.kernel_tables import kernel_rows, read
from hwmodel.validation.rows import groups

LAYERS = """gemm_dtype,framework,version,kernel_source,m,n,k,latency_us
bfloat16,vllm,0.24.0,torch.nn.functional.linear,161,16384,65536,164.5
fp8_block,trtllm,1.3.0,deepgemm,14,3072,8192,11.25
int4_wo,trtllm,1.0.0,plugin,14,3072,8192,9
mystery,trtllm,1.0.0,plugin,14,3072,8192,9
"""


def table(folder: Path, text: str) -> Path:
    path = folder / "times.csv"
    path.write_text(text)
    return path


def test_published_layers_are_cases_of_a_warm_l2(tmp_path: Path) -> None:
    wide, block, narrow = kernel_rows(table(tmp_path, LAYERS))
    assert (wide.columns["kernel"], wide.columns["dtype"]) == ("cublas", "bf16")
    assert wide.columns["repeated"] is True
    assert [wide.columns[name] for name in "MNK"] == [161, 16384, 65536]
    assert wide.time_s == pytest.approx(164.5e-6)
    assert wide.board == "vllm 0.24.0"
    assert (block.columns["kernel"], block.columns["weight_dtype"]) == ("trtllm", "fp8@16384:32")
    families = [call.family for group in groups([wide, block, narrow]) for call in group.calls]
    assert families == ["gemm:cublas", "gemm:trtllm:fp8-block", "gemm:trtllm:weight-only"]


def test_a_plain_table_has_the_fields_of_a_case_and_a_time(tmp_path: Path) -> None:
    text = """workload,M,N,K,dtype,kernel,l2,time_us
gemm,64,4096,4096,fp16,cublas,warm,12.5
,1,256,512,,,,3
"""
    full, bare = kernel_rows(table(tmp_path, text))
    assert (full.columns["dtype"], full.columns["repeated"]) == ("fp16", True)
    assert full.time_s == pytest.approx(12.5e-6)
    assert (bare.columns["dtype"], bare.columns["kernel"], bare.columns["K"]) == (
        "bf16",
        "torch",
        512,
    )
    assert "repeated" not in bare.columns


def test_experts_may_say_what_they_have_and_how_many_devices_divide_them(tmp_path: Path) -> None:
    text = """workload,tokens,experts,top_k,hidden,intermediate,gated,ways,time_us
moe,64,16,2,512,256,false,4,20
moe,64,16,2,512,256,,,30
"""
    divided, whole = kernel_rows(table(tmp_path, text))
    assert (divided.columns["gated"], divided.columns["ways"]) == (False, 4)
    assert not {"gated", "ways"} & set(whole.columns)
    rows = [
        float(np.ravel(group.calls[0].problem.M)[0])
        for row in (divided, whole)
        for group in groups([row])
    ]
    assert rows == [32, 128]


def test_a_warm_row_is_of_calls_that_are_repeated(tmp_path: Path) -> None:
    text = "M,N,K,l2,time_us\n64,1024,1024,warm,3\n64,1024,1024,cold,4\n64,1024,1024,,4\n"
    rows = kernel_rows(table(tmp_path, text))
    touched = [
        call.touched_bytes is not None for row in rows for g in groups([row]) for call in g.calls
    ]
    assert touched == [True, False, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("M,N,K,time_us\n64,-3,1024,5\n", "line 2: N: expected"),
        ("M,N,time_us\n64,3,5\n", "line 2: K: expected"),
        (
            "M,N,K\n64,3,5\n",
            "line 2: expected one of time_s, time_ms, time_us, time_ns, found none",
        ),
        ("workload,M,time_us\nsorting,64,3\n", "line 2: workload: expected one of gemm"),
        (
            "M,N,K,kernel,time_us\n64,3,5,cublass,9\n",
            r"found none; passed over: 1 line of cublass, .* \(did you mean cublas\?\)",
        ),
        ("workload,outputs,reduced,time_us\nreduce,64,3,5\n", "workload: expected one of gemm"),
        ("M,N,K,l2,time_us\n1,2,3,hot,9\n", "line 2: l2: expected one of cold, warm, found 'hot'"),
        ("M,N,K,time_us\n", "expected lines of kernels that are modelled, found none"),
    ],
)
def test_lines_that_mean_nothing_are_refused_by_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        kernel_rows(table(tmp_path, text))


def test_lines_and_columns_that_are_passed_over_are_told(tmp_path: Path) -> None:
    text = "M,N,K,dtpye,kernel,time_us\n64,64,64,fp8,cublas,3\n" + "64,64,64,fp8,deepgem,3\n" * 2
    plain = read(table(tmp_path, text))
    assert len(plain.rows) == 1
    lines, columns = plain.told
    assert lines.startswith("passed over: 2 lines of deepgem, no kernel that is known")
    assert columns == "passed over: columns dtpye (did you mean dtype?)"
    (published,) = read(table(tmp_path, LAYERS)).told
    assert "1 line of trtllm plugin mystery," in published
