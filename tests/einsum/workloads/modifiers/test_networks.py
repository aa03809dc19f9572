"""Modifiers of whole layers: recursions, MLPs by token, workers on one cache; by hand."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.spine.estimate import Estimate

LLAMA = "llama-3.2-1b"  # 16 layers of 2,048 by 8,192; 32 heads in 8 groups of 64 elements


def step(modifier: str | None, batch: int = 4, context: int = 4096, name: str = LLAMA) -> Estimate:
    """A step of decode on an H200."""
    return hw.predict(model(name, modifier=modifier).decode(batch, context), on="h200")


def read(estimate: Estimate, name: str) -> float:
    """DRAM bytes that the kernels of this name read."""
    parts = (p for p in estimate.parts if p.name == name)
    return float(sum(p.times * p.counts.read["dram"] for p in parts))


@pytest.mark.parametrize(("keys", "kept"), [("own", 5 / 8), ("all", 1 / 4)])
def test_recursions_of_any_model_hold_a_part_of_it(keys: str, kept: float) -> None:
    """Four of 16 layers: a quarter of the weights, (4 + 1) / 8 of the keys or a quarter."""
    plain, made = (
        model(LLAMA),
        model(LLAMA, modifier=f"mixture-of-recursions:recursions=4,keys={keys}"),
    )
    assert made.parameters_by_part["mlp"] == plain.parameters_by_part["mlp"] / 4
    assert made.kv_bytes(1, 4096) == plain.kv_bytes(1, 4096) * kept
    assert made.network.depth == plain.network.depth


def test_recursions_are_those_of_a_layered_config() -> None:
    sizes: dict[str, Any] = {
        **{"vocab_size": 1000, "hidden_size": 128, "intermediate_size": 256},
        **{"num_attention_heads": 4, "torch_dtype": "bfloat16"},
    }
    said = model({**sizes, "model_type": "layered", "num_hidden_layers": 2, "recursions": 3})
    plain = {**sizes, "model_type": "llama", "num_hidden_layers": 6}
    made = model(plain, modifier="mixture-of-recursions:recursions=3")
    assert made.decode(4, 96).stages == said.decode(4, 96).stages


@pytest.mark.parametrize(("recursions", "keys"), [(5, "own"), (0, "own"), (4, "few")])
def test_layers_that_do_not_divide_are_refused(recursions: int, keys: str) -> None:
    with pytest.raises(InputError, match="modifier: mixture-of-recursions: "):
        model(LLAMA, modifier=f"mixture-of-recursions:recursions={recursions},keys={keys}")


@pytest.mark.parametrize(
    ("name", "policy"), [("mamba-2.8b", None), (LLAMA, "keyformer")], ids=["states", "policy"]
)
def test_what_is_kept_otherwise_cannot_be_taken(name: str, policy: str | None) -> None:
    with pytest.raises(CoverageError, match="keys 'all' takes keys and values"):
        model(name, cache_policy=policy, modifier="mixture-of-recursions:recursions=4,keys=all")


def test_a_small_mlp_is_beside_the_big_one_and_less_is_computed() -> None:
    """A quarter of the columns; a router of three ways a layer."""
    plain, duo = model(LLAMA), model(LLAMA, modifier="duo-llm:width=0.25,small=0.4,big=0.4")
    assert duo.parameters_by_part["mlp"] == plain.parameters_by_part["mlp"] * 1.25
    assert duo.parameters_by_part["router"] == 16 * 3 * 2048
    mlp = 16 * 4 * 6 * 2048 * 8192  # FLOP of four tokens
    one, other = step("duo-llm:width=0.25,small=0.4,big=0.4"), step(None)
    saved = float(other.flop - one.flop)
    assert saved == pytest.approx(mlp * (1 - 0.4 - 0.4 * 0.25), rel=0.01)


def test_slices_and_loops_of_any_model_have_its_weights() -> None:
    plain, made = model(LLAMA), model(LLAMA, modifier="versatile-ffn:slices=8,loops=3")
    assert made.parameters_by_part["mlp"] == plain.parameters_by_part["mlp"]
    assert made.parameters_by_part["router"] == 16 * (8 + 2) * 2048


@pytest.mark.parametrize(
    "said", ["duo-llm:small=0.6,big=0.6", "versatile-ffn:slices=7", "versatile-ffn:active=9"]
)
def test_shares_and_slices_that_make_no_mlp_are_refused(said: str) -> None:
    with pytest.raises(InputError, match=f"modifier: {said.partition(':')[0]}: expected"):
        model(LLAMA, modifier=said)


def test_models_without_a_gated_mlp_have_none_to_choose() -> None:
    with pytest.raises(CoverageError, match="expected layers with a gated MLP"):
        model("gpt2", modifier="duo-llm")


@pytest.mark.parametrize("workers", [2, 4, 8])
def test_workers_read_keys_once_and_compute_each_for_itself(workers: int) -> None:
    one, several = step(None), step(f"hogwild:workers={workers}")
    assert read(several, "attention") == pytest.approx(read(one, "attention"), rel=0.02)
    assert read(several, "gate-up") == pytest.approx(read(one, "gate-up"), rel=0.02)
    assert several.serving is not None
    assert several.serving.tokens == workers * 4
    asked = float(several.flop / one.flop)
    assert asked == pytest.approx(workers, rel=0.01)


def test_a_single_worker_is_the_model_itself() -> None:
    plain, alone = step(None), step("hogwild:workers=1,common=0")
    assert float(alone.time_s) == pytest.approx(float(plain.time_s))
    assert float(alone.flop) == float(plain.flop)


def test_queries_are_turned_for_each_block_of_keys_and_keys_never() -> None:
    """Three workers, each turned for four blocks, in as many launches."""
    shared = model(LLAMA, modifier="hogwild:workers=3")
    stages = {s.name: s for s in shared.decode(2, 1024).stages}
    rows = {n: stages[f"rotary {n} add"].cascade.sizes()["p"] for n in "qk"}
    assert rows == {"q": 3 * 4, "k": 3}
    assert stages["rotary q add"].times == 16
    assert shared.kv_bytes(2, 1024) == model(LLAMA).kv_bytes(2, 1024)


def test_a_step_of_more_workers_takes_little_longer_until_operations_bind() -> None:
    times = np.array([float(step(f"hogwild:workers={n}", 1).time_s) for n in (1, 2, 4, 512)])
    assert times[2] < 1.3 * times[0]
    assert times[3] > 2 * times[0]


def test_prompts_are_read_as_ever() -> None:
    plain, shared = model(LLAMA), model(LLAMA, modifier="hogwild:workers=4")
    assert plain.prefill(2, 512).stages == shared.prefill(2, 512).stages


def test_states_cannot_be_shared() -> None:
    with pytest.raises(CoverageError, match="whose cache workers cannot share"):
        model("mamba-2.8b", modifier="hogwild")


@pytest.mark.parametrize("said", ["hogwild", "mixture-of-recursions:recursions=4", "duo-llm"])
def test_a_mixed_step_of_each_has_an_answer(said: str) -> None:
    read_too = model(LLAMA, modifier=said).mixed(8, 1024, prompt=256)
    alone = model(LLAMA, modifier=said).decode(8, 1024)
    assert hw.predict(read_too, on="h200").time_s > hw.predict(alone, on="h200").time_s


@pytest.mark.parametrize("every", [8, 32, 128])
def test_a_processor_reads_and_writes_entries_of_all_layers_once_in_so_many_steps(
    every: int,
) -> None:
    """Keys and values of 8 heads of 64 in 16 layers, bf16; four sequences."""
    said = f"bottlenecked:every={every},recalled=32,layers=2,width=512"
    made = step(said)
    entry = 16 * 2 * 8 * 64 * 2
    for name in ("entries read", "entries write"):
        (part,) = (p for p in made.parts if p.name == name)
        assert part.times == 1 / every
        assert float(part.counts.read["dram"]) == 4 * (every + 32) * entry
    more = float(made.flop - step(None).flop)
    products = 2 * 4 * (every + 32) / every * (2 * 12 * 512**2)
    assert more == pytest.approx(products, rel=0.2)  # attention and norms of the processor too
    held = model(LLAMA, modifier=said).parameters - model(LLAMA).parameters
    assert held == 2 * (12 * 512**2 + 2 * 512)


def test_a_processor_costs_less_the_longer_it_waits_and_nothing_without_layers() -> None:
    plain = float(step(None).time_s)
    shares = [float(step(f"bottlenecked:every={n}").time_s) / plain - 1 for n in (4, 16, 64, 256)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] > 0
    assert step("bottlenecked:layers=0").time_s == plain


def test_a_processor_needs_keys_to_rewrite() -> None:
    with pytest.raises(CoverageError, match="keep something of each token"):
        model("mamba-2.8b", modifier="bottlenecked")
    with pytest.raises(InputError, match="width: expected a multiple of 64"):
        model(LLAMA, modifier="bottlenecked:width=100")
