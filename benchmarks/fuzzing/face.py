"""Public functions and the command line, as they are called in this process."""

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import numpy as np

FACE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("workloads.gemm", {"M": 64, "N": 64, "K": 64, "batch": 1, "dtype": "bf16", "bias": False}),
    ("workloads.attention", {"batch": 1, "heads": 8, "kv_heads": 2, "queries": 64, "keys": 64}
     | {"head_dim": 128, "causal": True, "window": None, "dtype": "bf16"}),
    ("workloads.moe", {"tokens": 64, "experts": 8, "top_k": 2, "hidden": 64, "intermediate": 64}
     | {"routing": "zipf", "exponent": 1.2}),
    ("workloads.softmax", {"rows": 64, "cols": 64, "dtype": "bf16"}),
    ("workloads.fft", {"batch": 1, "n": 64}),
    ("workloads.kmeans", {"points": 64, "clusters": 8, "features": 4}),
    ("workloads.conv2d", {"batch": 1, "channels": 8, "height": 14, "width": 14, "filters": 8}),
    ("workloads.mlp", {"tokens": 64, "hidden": 64, "intermediate": 64}),
    ("predict", {"workload": None, "on": "h200", "kernel": None, "parallel": None}),
    ("bound", {"workload": None, "on": "h200", "kernel": None}),
    ("compare", {"workload": None, "on": ["h200", "b200"], "kernel": None, "parallel": None}),
    ("map", {"cascade": None, "on": "peer-a2", "objective": "traffic", "mapspace": None}
     | {"rules": None, "double": False, "shares": None, "fused": True, "kernel": None}),
    ("collective", {"op": "all_reduce", "size_bytes": 1e6, "ranks": 8, "on": "h200"}
     | {"topology": None}),
    ("linspace", {"first": 1, "last": 8, "points": 4}),
    ("logspace", {"first": 1, "last": 8, "points": 4, "whole": True}),
    ("device", {"name_or_path": "h200"}),
    ("model", {"config": "llama-3.1-8b", "dtype": None, "weight_dtype": "fp8", "ignore_keys": []}),
    ("model.decode", {"batch": 1, "context": 64, "tp": 1, "routing": "uniform", "exponent": None}),
    ("but", {"hbm": {"bandwidth": "9.6 TB/s"}, "processors": {"count": 12}, "clock": "1 GHz"}),
    ("times", {"devices": 2}),
    ("sensitivity", {"workload": None, "on": "h200", "swing": 0.2}),
    ("sweep", {"M": [1, 2, 3], "N": [16, 32], "where": [], "samples": None, "seed": 0, "chunk": 9}),
    ("open_sweep", {"folder": "absent"}),
)  # fmt: skip
"""Public functions, with arguments that are right; `workload` and `cascade` None is a product."""


def called(name: str, given: dict[str, Any]) -> Any:
    """A public function's answer."""
    import hwmodel as hw
    from hwmodel.einsum.workloads.gemm import gemm

    for key in ("workload", "cascade"):
        if key in given and given[key] is None:
            given = {**given, key: gemm(M=64, N=64, K=64)}
    if name == "but":
        return hw.device("h200").but(**given)
    if name == "times":
        return hw.device("h200") * given.get("devices", 2)
    if name == "model.decode":
        return hw.predict(
            hw.model("llama-3.1-8b").decode(**{"batch": 1, "context": 4} | given), "h200"
        )
    if name == "sweep":
        given = {"M": [1], "N": [1]} | given
        samples = given.get("samples")
        if isinstance(samples, (int, float)) and 10**6 < samples <= 10**8:
            given["samples"] = 100  # honest, and long
        return hw.sweep(timed, **given, progress=False)
    if name.startswith("workloads."):
        from hwmodel.einsum.workloads.catalogue import workload

        return hw.predict(workload(name.partition(".")[2], **given), "h200")
    needed = {
        n: v for n, v in dict(FACE)[name].items() if v is not None or n in ("workload", "cascade")
    }
    for key, value in needed.items():
        given.setdefault(key, gemm(M=64, N=64, K=64) if value is None else value)
    return getattr(hw, name)(**given)


def timed(M: Any, N: Any) -> dict[str, Any]:
    """A function of a sweep that takes anything."""
    return {"t": np.ones(len(M) if isinstance(M, np.ndarray) else 1)}


def commanded(words: list[str]) -> tuple[int, str]:
    """Exit status and output of the command line, in this process."""
    from hwmodel.cli import main

    out, before = io.StringIO(), sys.argv
    sys.argv = ["hwmodel", *words]
    status = 0
    try:
        with redirect_stdout(out), redirect_stderr(out):
            main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.argv = before
    return status, out.getvalue()
