"""ZipVL: tokens of the prompt on both sides, bytes of a cache in two formats."""

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import model

QWEN = "qwen2.5-7b"  # 28 layers, 28 heads in 4 groups of 128, bf16


def matrix_flop(step: hw.Stack, name: str) -> float:
    (part,) = (part for part in hw.predict(step, "h200").parts if part.name == name)
    return float(part.counts.operations[("matrix", "flop", "bf16")])


def test_of_half_of_the_tokens_attention_costs_that_of_a_prompt_half_as_long() -> None:
    half = model(QWEN, modifier="zipvl:important=0.5").prefill(1, 8192)
    short = matrix_flop(model(QWEN).prefill(1, 4096), "attention")
    assert matrix_flop(half, "attention, important tokens") == short


def test_a_cache_holds_both_formats() -> None:
    # 4 heads of 256 elements, 28 layers; 6,000 tokens of 4 bits and 4,000 of 2.
    read = model(QWEN, modifier="zipvl:important=0.6")
    assert read.kv_bytes(1, 10000) == 28 * 4 * 256 * (6000 * 4 + 4000 * 2) / 8
    policy = model(QWEN, cache_policy="mixed-precision:important=0.6")
    assert policy.kv_bytes(1, 10000) == read.kv_bytes(1, 10000)


def test_decode_reads_what_the_cache_holds() -> None:
    plain, mixed = model(QWEN), model(QWEN, modifier="zipvl:important=0.5")
    read = [hw.predict(each.decode(4, 32768), "h200").dram_bytes_read for each in (plain, mixed)]
    saved = plain.kv_bytes(4, 32768) - mixed.kv_bytes(4, 32768)
    assert read[0] - read[1] == pytest.approx(saved, rel=0.02)


def test_rows_of_the_chosen_tokens_are_gathered_and_put_back() -> None:
    stages = model(QWEN, modifier="zipvl:important=0.25").prefill(1, 4096).stages
    taken = {
        stage.name: stage.cascade.ranks["t"].size
        for stage in stages
        if stage.name.endswith("gather")
    }
    assert taken == {
        **{"query gather": 28 * 1024, "result gather": 28 * 1024},
        **{"key gather": 4 * 1024, "value gather": 4 * 1024},
    }


def test_layers_may_keep_shares_of_their_own() -> None:
    shares = "/".join(["0.5"] * 14 + ["0.25"] * 14)
    stages = model(QWEN, modifier=f"zipvl:important={shares}").prefill(1, 4096).stages
    sizes = [(s.times, s.cascade.ranks["p"].size) for s in stages if s.role == "attention.scores"]
    assert sizes == [(14, 2048), (14, 1024)]


def test_a_share_is_needed_for_each_layer() -> None:
    with pytest.raises(hw.InputError, match="expected a share for each layer, found 2"):
        model(QWEN, modifier="zipvl:important=0.5/0.4")
