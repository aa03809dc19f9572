"""Profiles of others' tools: kernels, their calls with shapes, and what is refused."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.validation.readers.profiles import profile_of


def event(kind: str, name: str, ts: float, dur: float, **args: Any) -> dict[str, Any]:
    return {"ph": "X", "cat": kind, "name": name, "pid": 1, "tid": 2, "ts": ts, "dur": dur} | {
        "args": {key.replace("_", " "): value for key, value in args.items()}
    }


def shaped(name: str, ts: float, dur: float, dims: Any, types: Any, values: Any = ()) -> Any:
    words = {"Input_Dims": dims, "Input_type": types, "Concrete_Inputs": [*values]}
    return event("cpu_op", name, ts, dur, **words)


LINEAR = ([[4, 8, 64], [32, 64], [32]], ["c10::BFloat16"] * 3)
TRACE = {
    "deviceProperties": [{"name": "NVIDIA H200"}],
    "traceEvents": [
        {"ph": "M", "name": "process_name", "pid": 1},
        shaped("aten::linear", 10, 30, *LINEAR),
        shaped("aten::addmm", 15, 20, [[32], [32, 64], [64, 32]], ["c10::BFloat16"] * 3),
        event("cuda_runtime", "cudaLaunchKernel", 18, 2, correlation=1),
        event("cuda_runtime", "cudaLaunchKernel", 22, 2, correlation=2),
        event("cuda_runtime", "cudaLaunchKernel", 60, 2, correlation=3),
        {**event("kernel", "gemm<bf16>(int)", 100, 7.5, correlation=1), "pid": 0, "tid": 7},
        {**event("kernel", "splitKreduce", 108, 2.5, correlation=2), "pid": 0, "tid": 7},
        {**event("kernel", "lonely", 120, 1, correlation=3), "pid": 0, "tid": 7},
        {**event("gpu_memcpy", "Memcpy HtoD", 130, 9, correlation=4), "pid": 0, "tid": 7},
    ],
}
NSYS = """Start (ns),Duration (ns),CorrId,GrdX,Device,Strm,Name
1,2500,7,132,NVIDIA H200 (0),7,"void gemm<int, 2>(float)"
9,800,8,,NVIDIA H200 (0),7,[CUDA memcpy Host-to-Device]
"""
NSYS_SUM = """Processing [run.sqlite] with [cuda_gpu_kern_sum.py]...
Time (%),Total Time (ns),Instances,Avg (ns),Name
80.0,"4,000",2,2000.0,gemm
20.0,1000,1,1000.0,softmax
"""
NCU = """==PROF== Connected to process 1
"ID","Kernel Name","gpu__time_duration.sum","dram__bytes_read.sum","dram__bytes_write.sum"
"","","us","Mbyte","Kbyte"
"0","gemm","2.5","4","500"
"1","copy","1,000","0","1"
"""
NCU_DETAILS = """"ID","Kernel Name","Section Name","Metric Name","Metric Unit","Metric Value"
"0","gemm","Speed","Duration","usecond","2.50"
"0","gemm","Memory","dram__bytes_read.sum","Mbyte","4"
"0","gemm","Memory","dram__bytes_write.sum","Mbyte","1"
"""


def written(tmp_path: Path, text: str, name: str = "run.csv") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_kernel_belongs_to_the_calls_that_are_open_at_its_launch(tmp_path: Path) -> None:
    found = profile_of(written(tmp_path, json.dumps(TRACE), "trace.json"))
    assert found.device == "NVIDIA H200"
    assert [each.name for each in found.kernels] == ["gemm<bf16>(int)", "splitKreduce", "lonely"]
    assert [each.seconds for each in found.kernels] == pytest.approx([7.5e-6, 2.5e-6, 1e-6])
    first, second, lonely = found.kernels
    assert [op.name for op in first.ops] == ["aten::addmm", "aten::linear"]
    assert first.ops[1].dims == ([4, 8, 64], [32, 64], [32])
    assert first.call == second.call is not None
    assert (lonely.ops, lonely.call) == ((), None)


def test_a_trace_may_be_packed_and_a_bare_list(tmp_path: Path) -> None:
    path = tmp_path / "trace.json.gz"
    path.write_bytes(gzip.compress(json.dumps(TRACE["traceEvents"]).encode()))
    assert profile_of(path).seconds == pytest.approx(11e-6)


REPORTS = """Processing [report.sqlite] with [osrt_sum.py]...

Time (%),Total Time (ns),Num Calls,Avg (ns),Med (ns),Min (ns),Max (ns),StdDev (ns),Name
67.3,335987431,2,167993715.5,167993715.5,2971823,333015608,233376198.5,sem_wait

Processing [report.sqlite] with [cuda_gpu_kern_sum.py]...

Time (%),Total Time (ns),Instances,Avg (ns),Med (ns),Min (ns),Max (ns),StdDev (ns),Name
50.1,99385786,32,3105805.8,3041179.0,2987340,3777790,216832.4,flash_attention_prefill_f16

Processing [report.sqlite] with [cuda_api_sum.py]...

Time (%),Total Time (ns),Num Calls,Avg (ns),Med (ns),Min (ns),Max (ns),StdDev (ns),Name
65.1,1417580893,293,4838160.0,2514360.0,6311,125393723,9731274.4,cuMemcpyHtoD_v2
"""
"""What `nsys stats --format csv` prints of all its reports."""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (NSYS, [("void gemm<int, 2>(float)", 2.5e-6, 1, None)]),
        (NSYS_SUM, [("gemm", 4e-6, 2, None), ("softmax", 1e-6, 1, None)]),
        (NCU, [("gemm", 2.5e-6, 1, 4.5e6), ("copy", 1e-3, 1, 1e3)]),
        (NCU_DETAILS, [("gemm", 2.5e-6, 1, 5e6)]),
        (REPORTS, [("flash_attention_prefill_f16", 99385786e-9, 32, None)]),
    ],
    ids=["nsys", "nsys in sum", "ncu", "ncu in metrics", "nsys, all reports"],
)
def test_tables_of_nsight_are_read(tmp_path: Path, text: str, expected: Any) -> None:
    found = profile_of(written(tmp_path, text)).kernels
    assert [(each.name, each.runs) for each in found] == [(e[0], e[2]) for e in expected]
    assert [each.seconds for each in found] == pytest.approx([e[1] for e in expected])
    assert [each.dram_bytes for each in found] == pytest.approx([e[3] for e in expected])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "no valid JSON"),
        ('{"a": 1}', "a benchmark of vLLM or SGLang, found fields a"),
        ('{"traceEvents": []}', "expected kernels of a GPU, found none"),
        ("time,value\n1,2\n", "expected a trace of torch.profiler or a CSV of nsys or ncu"),
        ("Name,Grid\nx,1\n", "expected a column Duration, Total Time or gpu__time_duration.sum"),
        (REPORTS.partition("kern")[0], "expected kernels of a GPU, found calls of the host"),
        (REPORTS.replace("99385786", "n/a"), "expected a number: .*'n/a"),
        (NCU_DETAILS.replace("2.5", "n/a"), "expected a number: .*'n/a"),
    ],
)
def test_what_is_no_profile_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        profile_of(written(tmp_path, text))
    with pytest.raises(InputError, match="cannot be read"):
        profile_of(tmp_path / "absent.json")
