"""transformers: caches made anew each step, kernels that Python launches, encoders too."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.quantity.errors import CoverageError

MODEL = hw.model("llama-3.1-8b")


def copies(step: Any) -> float:
    """Bytes that copies of the cache read in a step."""
    found: Any = hw.predict(step, "h100", engine="transformers")
    parts = [part for part in found.parts if part.name == "cache copy"]
    return sum(float(part.times * part.counts.read["dram"]) for part in parts)


def test_a_step_of_decode_copies_the_whole_cache() -> None:
    """131,072 bytes of a token in 32 layers of 8 heads of 128, none of a prompt."""
    assert copies(MODEL.decode(4, 2000)) == pytest.approx(4 * 1999 * 131_072)
    assert copies(MODEL.prefill(4, 2000)) == 0


def test_layers_that_write_alike_copy_what_each_attends_to() -> None:
    """Of a Block Transformer 528 blocks each fourth token, four tokens of a block in the others."""
    decoder = {"model_type": "gpt_neox", "hidden_size": 1024, "intermediate_size": 4096}
    decoder |= {"num_hidden_layers": 2, "num_attention_heads": 8}
    config = {"model_type": "block_transformer", "vocab_size": 1024, "torch_dtype": "bfloat16"}
    both = {"block_decoder": decoder, "token_decoder": decoder}
    step = hw.model({**config, **both}).decode(64, 2112)
    each = 2 * 2 * 2 * 1024 * 64  # keys and values, layers, bytes of a number, columns, sequences
    assert copies(step) == pytest.approx(each * 527 / 4, rel=0.05)


def test_a_small_step_waits_for_python_and_a_large_one_does_not() -> None:
    small, large = (
        hw.predict(MODEL.decode(batch, 1024), "h100", engine="transformers") for batch in (1, 256)
    )
    plain = hw.predict(MODEL.decode(1, 1024), "h100")
    assert small.time_s > 1.2 * plain.time_s
    waited = [next(float(p.time_s) for p in each.parts if p.host) for each in (small, large)]
    assert waited[0] > 10 * waited[1]


def test_encoders_run_and_streams_are_refused() -> None:
    one = hw.model("bert-base").prefill(1, 128)
    assert hw.predict(one, "h100", engine="transformers").time_s > hw.predict(one, "h100").time_s
    with pytest.raises(CoverageError):
        hw.predict(one, "h100", engine="vllm")
    stream = MODEL.serving(rate_per_s=1, input=100, output=10, requests=5)
    with pytest.raises(CoverageError, match="schedules no stream"):
        hw.predict(stream, "h100", engine="transformers")
