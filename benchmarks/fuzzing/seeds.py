"""What is right at each entrance, before it is changed: cases, texts, files, commands."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

CASES: tuple[Mapping[str, Any], ...] = (
    {"workload": "gemm", "M": 64, "N": 4096, "K": 128, "dtype": "bf16", "bias": True, "on": "h200"},
    {"workload": "gemm", "M": 64, "N": 4096, "K": 128, "dtype": "fp8", "on": "b200", "batch": 2},
    {"workload": "attention", "batch": 1, "heads": 32, "kv_heads": 8, "queries": 64, "keys": 128}
    | {"head_dim": 128, "causal": True, "on": "h200", "kernel": "flash-attention-2"},
    {"workload": "softmax", "rows": 64, "cols": 4096, "on": "h200", "kernel": "triton"},
    {"workload": "moe", "tokens": 64, "experts": 8, "top_k": 2, "hidden": 512, "intermediate": 1024}
    | {"routing": "zipf", "exponent": 1.1, "on": "h100"},
    {"workload": "collective", "op": "all_reduce", "bytes": "1 GiB", "ranks": 8, "on": "h200"},
    {"workload": "llm", "config": "llama-3.1-8b", "phase": "decode", "batch": 1, "context": 64}
    | {"on": "h200", "tp": 2, "weight_dtype": "fp8", "ignore_keys": ["x"]},
    {
        "workload": "cnn",
        "network": "mobilenetv2",
        "resolution": 96,
        "width": 0.35,
        "on": "stm32h743",
    },
    {"workload": "conv2d", "batch": 1, "channels": 8, "height": 14, "width": 14, "filters": 8}
    | {"kernel": 3, "on": "h200"},
)
EINSUMS = (
    ("Z[m, n] = A[m, k] * B[k, n]", {"m": 64, "n": 32, "k": 16}),
    ("rank m = m1 x m0\nQK[h, m1, m0, p] = Q[h, p] * K[h, m1, m0] / sqrt(H) | m <= p + M - P\n"
     "LM[h, m1, p] = max(m0) QK[h, m1, m0, p]", {"h": 2, "m1": 4, "m0": 16, "p": 64}),
    ("rank p = 1024, e = 2 * HALF\nrank t(x) ~ uniform(tokens, top_k)\ntensor K[e, p]: fp8 cache\n"
     "S[p, t, x] = exp(K[e, p] * W[x, e]) | 0 <= p - e < 128 ~ 0.25 ? 0.1",
     {"half": 8, "x": 8, "tokens": 64, "top_k": 2}),
    ("RM[h, m1+1, p] = max(RM[h, m1, p], L[h, m1, p]) ; RM[h, 0, p] = -inf",
     {"h": 2, "m1": 4, "p": 8}),
    ("O[c, y] = sum(r) I[c, 2*y+r] * F[r]\ntensor I[c, i]", {"c": 2, "y": 8, "r": 3, "i": 17}),
)  # fmt: skip
STUDY: Mapping[str, Any] = {
    "case": {"workload": "gemm", "K": 4096, "on": "h200"},
    "axes": {
        "M": {"log": [1, 64], "points": 3},
        "N": [16, 32],
        "dtype": ["bf16", "fp8"],
        "on.hbm.bandwidth": {"linear": ["2 TB/s", "4 TB/s"], "points": 2},
    },
    "where": ["M * N < 1e6", "time_s > 0"],
    "keep": ["time_s", "energy_j"],
    "seed": 1,
    "chunk": 1000,
}
STUDY_TEXT = """case: {workload: gemm, K: 4096, on: h200}
axes:
  M: {log: [1, 64], points: 3}
  N: [16, 32]
  dtype: [bf16, fp8]
  on.hbm.bandwidth: {linear: [2 TB/s, 4 TB/s], points: 2}
where: [M * N < 1e6, time_s > 0]
keep: [time_s, energy_j]
seed: 1
chunk: 1000
"""
TOPOLOGY = """name: two-boxes
generate: cluster
with: {nodes: 2, devices_per_node: 2, link: {bandwidth: 450 GB/s, message: 1.9 us},
       nic: {bandwidth: 400 Gb/s, latency: 5 us}}
"""
COMMANDS = (
    "predict gemm M=64 N=64 K=64 --on h200 --json",
    "predict llama-3.1-8b --on h200 --context 64 --batch 2 --tp 2",
    "predict cnn network=mobilenetv2 resolution=96 width=0.35 --on stm32h743",
    "bound gemm M=64 N=64 K=64 --on h200",
    "bound --einsum Z[m,n]=A[m,k]*B[k,n] --ranks m=8,n=8,k=8 --memory buffer=1KiB",
    "map --einsum Z[m,n]=A[m,k]*B[k,n] --ranks m=8,n=8,k=8 --memory buffer=1KiB --dtype int8",
    "compare gemm M=64 N=64 K=64 --on h200 --on b200",
    "explain gemm M=64 N=64 K=64 --on h200",
    "devices h200",
    "energy --node 7",
    "split mobilenetv2 --on raspberry-pi-4 --server h200 --rate 2MB/s",
    "patches mobilenetv2 resolution=96 width=0.35 --on stm32h743",
)


def routing_seeds() -> list[tuple[str, bytes]]:
    """Small files of each kind that a routing is read from."""
    import polars

    rng = np.random.default_rng(0)
    experts = rng.integers(0, 8, (16, 3, 2))
    packed, plain, table = io.BytesIO(), io.BytesIO(), io.BytesIO()
    np.savez_compressed(packed, experts=experts)
    np.savez(plain, experts=experts[:, :, 0])
    token, layer = np.repeat(np.arange(16), 3), np.tile(np.arange(3), 16)
    frame = polars.DataFrame({"token": token, "layer": layer, "expert": experts[:, :, 0].ravel()})
    counts = polars.DataFrame(
        {"layer_from": [0, 0, 1], "layer_to": [1, 1, 2], "expert_from": [0, 1, 2]}
        | {"expert_to": [1, 2, 3], "count": [5, 6, 7], "domain": ["a", "a", "b"]}
    )
    frame.write_parquet(table)
    return [
        *((".npz", packed.getvalue()), (".npz", plain.getvalue()), (".parquet", table.getvalue())),
        *((".csv", frame.write_csv().encode()), (".csv", counts.write_csv().encode())),
    ]
