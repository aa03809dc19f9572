"""Shapes of attention's backward pass, as training meets it: many tokens, queries equal to keys.

Drawn as those of `shapes.py` are: seeded, sequences log-uniform and a third odd, batches that keep
the tokens of a call between 4 Ki and 32 Ki, within the same limit of work. Heads are those of
models; a third of the cases is of full multi-head attention. Heads of 64 and 128 numbers alone.
"""

from collections.abc import Iterator

import numpy as np

from hwmodel.validation.measure.shapes import HEADS, Case, draws, round_robin, tokens

FAMILY = "attention_backward"
KERNELS = ("flash-attention-2", "cudnn")
SEQUENCE, TOKENS = (512, 16_384), (4_096, 32_768)
HEAD_DIMS, CAUSAL_SHARE = (64, 128), 0.6


def draw_backward(rng: np.random.Generator, kernel: str) -> Case:
    """One call: `batch` sequences of `queries` tokens each."""
    uneven = bool(rng.random() < 1 / 3)
    heads, kv_heads = HEADS[rng.integers(len(HEADS))]
    sequence = tokens(rng, *SEQUENCE, uneven)
    together = tokens(rng, *TOKENS, odd=False)
    shape = {
        "batch": -(-together // sequence),
        "heads": heads,
        "kv_heads": kv_heads,
        "queries": sequence,
        "keys": sequence,
        "head_dim": int(rng.choice(HEAD_DIMS)),
        "causal": bool(rng.random() < CAUSAL_SHARE),
    }
    return Case(FAMILY, kernel, "bf16", shape)


def backward_streams(seed: int) -> dict[str, Iterator[Case]]:
    """The stream of a sitting, by the name of its stage; the libraries take turns."""
    each = [
        draws(seed, f"backward-{kernel}", lambda rng, k=kernel: draw_backward(rng, k))
        for kernel in KERNELS
    ]
    return {"attention-backward": round_robin(each)}
