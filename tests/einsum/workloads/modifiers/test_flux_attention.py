"""Flux Attention: layers against heads, one device against several, both phases."""

from itertools import pairwise

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.quantity.errors import CoverageError

LLAMA = "llama-3.1-8b"


def changed(options: str) -> Model:
    return model(LLAMA, modifier=f"flux-attention:{options}")


def scores(read: Model, tp: int, prompt: int = 65536) -> float:
    step = read.prefill(1, prompt, tp=tp)
    names = {stage.name for stage in step.stages if stage.role == "attention.scores"}
    made = hw.predict(step, hw.device("h200") * tp)
    return sum(float(p.times * p.time_s) for p in made.parts if p.name in names)


def test_a_share_of_the_layers_attends_in_full() -> None:
    stages = changed("full=0.25").prefill(1, 8192).stages
    times = {s.name: s.times for s in stages if s.role == "attention.scores"}
    assert times == {"attention": 8, "attention, sparse": 24}


def test_of_a_window_that_holds_everything_only_routers_are_added() -> None:
    wide = changed("window=8192").prefill(1, 8192).stages
    plain = model(LLAMA).prefill(1, 8192).stages
    total = [
        sum(float(p.times * p.counts.operations.get(("matrix", "flop", "bf16"), 0)) for p in parts)
        for parts in (
            [p for p in hw.predict(step, "h200").parts if "router" not in p.name]
            for step in (changed("window=8192").prefill(1, 8192), model(LLAMA).prefill(1, 8192))
        )
    ]
    assert total[0] == pytest.approx(total[1])
    assert {s.name for s in wide} - {s.name for s in plain} == {
        *("router pooling", "router up", "router down", "attention, sparse"),
    }


def test_on_one_device_heads_cost_what_layers_cost_and_on_several_the_longest() -> None:
    layers, heads, plain = changed("full=0.5"), changed("full=0.5,by_head=1"), model(LLAMA)
    assert scores(heads, 1) == pytest.approx(scores(layers, 1), rel=0.05)
    assert scores(heads, 8) == pytest.approx(scores(plain, 8))
    assert scores(layers, 8) < 0.6 * scores(plain, 8)


def test_more_full_layers_take_longer() -> None:
    times = [
        float(hw.predict(changed(f"full={n / 32}").prefill(1, 32768), "a100").time_s)
        for n in (0, 8, 16, 32)
    ]
    assert all(shorter < longer for shorter, longer in pairwise(times))


def test_decode_is_sparse_where_it_is_said_and_keeps_all_keys() -> None:
    plain, sparse, dense = (
        model(LLAMA).decode(1, 65536),
        changed("full=0.5").decode(1, 65536),
        changed("full=0.5,decode=0").decode(1, 65536),
    )
    times = [float(hw.predict(step, "h200").time_s) for step in (sparse, dense, plain)]
    assert times[0] < times[1] == pytest.approx(times[2])
    assert changed("full=0.5").kv_bytes(1, 65536) == model(LLAMA).kv_bytes(1, 65536)


def test_a_router_weighs_two_matrices_in_each_layer() -> None:
    more = changed("inner=512").parameters - model(LLAMA).parameters
    assert more == 32 * (512 * 4096 + 2 * 512)


def test_an_engines_cache_holds_as_many_tokens_as_without_it() -> None:
    plain, sparse = (
        hw.predict(each.decode(1, 8192), "h200", engine="vllm").serving
        for each in (model(LLAMA), changed("window=1024"))
    )
    assert plain is not None
    assert sparse is not None
    held = plain.memory.kv_capacity_tokens
    # But for the routers' weights, 134 MB of them.
    assert sparse.memory.kv_capacity_tokens == pytest.approx(held, rel=0.003)


def test_windows_need_a_causal_mask() -> None:
    with pytest.raises(CoverageError, match="window=0 and a density"):
        model("bert-base", modifier="flux-attention")
    both = model("bert-base", modifier="flux-attention:window=0,density=0.5").prefill(1, 512)
    assert [s.times for s in both.stages if s.role == "attention.scores"] == [6, 6]
