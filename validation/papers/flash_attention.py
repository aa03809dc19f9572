"""FlashAttention and FlashAttention-2 on an A100, beside attention whose scores lie in memory.

FlashAttention (arXiv 2205.14135): attention of GPT-2 medium, both passes, as its figures are told
second-hand: HBM bytes and milliseconds of a framework's kernels and of its own. Unfused, scores
are made, masked, normalised and dropped by a kernel each, and so are their gradients; the batch of
64 is not said where this was read. FlashAttention-2 (arXiv 2307.08691): rates of both passes,
16 Ki tokens in all and a width of 2,048, from its table as told second-hand; operations are
4 N^2 d a head (half of it with a mask), 2.5 times as many backward. Its abstract: 225 TFLOP/s a
GPU in training, 72 % of the peak, for GPT-3's 2.7B at 8 Ki tokens.
"""

from typing import Any

from hwmodel.einsum.cascade import Cascade, Stage
from hwmodel.einsum.network import Stack
from hwmodel.einsum.workloads.attention import attention
from hwmodel.einsum.workloads.attention_backward import attention_backward
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.einsum.workloads.rows import copy, multiply, softmax
from hwmodel.einsum.workloads.training import training
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.driver import predict
from hwmodel.validation.papers.claim import Claim
from hwmodel.validation.papers.given import Given

FIRST, SECOND = "FlashAttention", "FlashAttention-2"
BATCH, HEADS, TOKENS, WIDTH = 64, 16, 1024, 64
TOTAL, HIDDEN = 16_384, 2048
"""Tokens in all, and the width of all heads."""
TABLE = (
    (64, False, (162, 176)),
    (128, False, (173, 203)),
    (64, True, (140, 171)),
    (128, True, (133, 189)),
)
"""Width of a head, masked; TFLOP/s of both passes at 2 Ki and at 16 Ki tokens."""
GPT = {
    **{"model_type": "gpt2", "n_layer": 32, "n_embd": 2560, "n_head": 20, "n_positions": 8192},
    **{"vocab_size": 50_304, "torch_dtype": "bfloat16"},
}


def unfused(batch: int, tokens: int) -> Stack:
    """Both passes with scores in memory: products, and a kernel for each thing done to scores."""
    pairs, rows = batch * HEADS, batch * HEADS * tokens

    def scores(name: str) -> Cascade:
        return gemm(M=tokens, N=tokens, K=WIDTH, batch=pairs, dtype="fp16", name=name)

    def vectors(name: str) -> Cascade:
        return gemm(M=tokens, N=WIDTH, K=tokens, batch=pairs, dtype="fp16", name=name)

    kernels = (
        scores("scores"),
        copy(rows, tokens, dtype="fp16", name="mask"),
        softmax(rows, tokens, dtype="fp16"),
        multiply(rows, tokens, dtype="fp16", name="dropout"),
        vectors("outputs"),
        vectors("gradient of values"),
        scores("gradient of dropped scores"),
        multiply(rows, tokens, dtype="fp16", name="gradient of dropout"),
        multiply(rows, tokens, dtype="fp16", name="gradient of softmax"),
        vectors("gradient of queries"),
        vectors("gradient of keys"),
    )
    return Stack("unfused attention", tuple(map(Stage, kernels)))


def both_passes(sizes: dict[str, Any]) -> Stack:
    """Fused, forward and backward."""
    return Stack("attention", (Stage(attention(**sizes)), Stage(attention_backward(**sizes))))


def first(given: Given) -> tuple[Claim, ...]:
    """HBM bytes and milliseconds of GPT-2 medium's attention, unfused and fused."""
    gpu, tokens = given.device("a100-40gb"), given("tokens", TOKENS)
    sizes = {"heads": HEADS, "queries": tokens, "keys": tokens, "head_dim": WIDTH}
    fused = both_passes({**sizes, "batch": BATCH, "dtype": "fp16"})
    told = "a figure of the paper, told second-hand"
    batch = "the batch was not read: 64"
    found: list[Claim] = []
    for name, work, bytes_, seconds in (
        ("unfused", unfused(BATCH, tokens), 40.3e9, 41.7e-3),
        ("fused", fused, 4.4e9, 7.3e-3),
    ):
        step = predict(work, gpu)
        moved = float(step.dram_bytes_read + step.dram_bytes_written)
        found += [
            Claim(
                *(FIRST, f"GPT-2 medium, {name}: HBM bytes", bytes_, moved, 0.1, told),
                within=batch,
                cause=FUSED if name == "fused" else "",
            ),
            Claim(
                *(FIRST, f"GPT-2 medium, {name}: seconds", seconds, float(step.time_s), 0.2, told),
                within=batch,
            ),
        ]
    return tuple(found)


FUSED = "its blocks walk 256 keys at a time: outputs and gradients cross once a tile, 45 times the"
FUSED += " bytes of Q in all, less what the L2 keeps (told: 33); ours is FlashAttention-2's, 15"


def rate(given: Given, gpu: Hardware, width: int, masked: bool, tokens: int) -> float:
    """TFLOP/s of both passes."""
    heads, batch = given("width of all heads", HIDDEN) // width, TOTAL // tokens
    sizes = {"batch": batch, "heads": heads, "queries": tokens, "keys": tokens, "head_dim": width}
    step = predict(both_passes({**sizes, "causal": masked, "dtype": "fp16"}), gpu)
    done = 3.5 * 4 * tokens**2 * width * heads * batch / (2 if masked else 1)
    return done / float(step.time_s) / 1e12


def second(given: Given) -> tuple[Claim, ...]:
    """Rates of both passes, of the forward pass and of training."""
    gpu = given.device("a100")
    kernels = "a table told second-hand; kernels are an A100's inherited from an H200"
    found = [
        Claim(
            *(SECOND, f"TFLOP/s, head of {width}{', masked' * masked}, {tokens // 1024} Ki tokens"),
            *(published, rate(given, gpu, width, masked, tokens), 0.1, "table, both passes"),
            within=kernels,
            cause=SHORT if masked and width == 64 and tokens == 2048 else "",
        )
        for width, masked, ends in TABLE
        for tokens, published in zip((2048, 16_384), ends, strict=True)
    ]
    forward = attention(batch=1, heads=16, queries=TOTAL, keys=TOTAL, head_dim=128, dtype="fp16")
    reached = 4 * TOTAL**2 * HIDDEN / float(predict(forward, gpu).time_s) / 1e12
    work: Any = training(
        GPT, given("tokens of a sequence", 8192), 64, devices=8, micro_batch=1, zero=1
    )
    step: Any = predict(work, gpu)
    each = float(step.model_flops / step.step_time_s / 8 / 1e12)
    return (
        *found,
        Claim(
            *(SECOND, "TFLOP/s forward, head of 128, 16 Ki tokens", 224, reached, 0.1, "table"),
            within=kernels,
            cause="its share of the matrix rate is an H200's, whose warps' instructions are not the"
            " fast ones; vLLM's build of this kernel, measured on an A100, comes to 183 here",
        ),
        Claim(
            *(SECOND, "TFLOP/s a GPU in training, GPT-3 2.7B, 8 Ki tokens", 225, each, 0.15),
            "abstract: 72 % of the peak",
            within="batches and software are not said there",
        ),
    )


SHORT = (
    "gradients have 34 % of the DRAM's rate, an H200's share: at twice of it 136, but heads of 128"
)
SHORT += " at 2 Ki tokens then 8 and 18 % too fast"

PROGRAMS = (first, second)
