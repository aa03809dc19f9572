"""Images scale by scale: parameters, keys and pairs by hand, with a budget and without."""

from typing import Any

import pytest

from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.workloads.model import Model, model
from hwmodel.machines.driver import predict
from hwmodel.quantity.errors import InputError

SIDES = (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)
LARGEST: dict[str, Any] = {
    **{"model_type": "var", "depth": 30, "embed_dim": 1920, "num_heads": 30},
    "torch_dtype": "bfloat16",
}
SMALL = {**LARGEST, "depth": 2, "embed_dim": 64, "num_heads": 4}


def scales(read: Model, batch: int = 2) -> list[tuple[Stage, ...]]:
    """The stages of all scales' steps."""
    made: list[tuple[Stage, ...]] = []
    done = 0
    for side in SIDES:
        known = done + side**2
        made.append(read.prefill(batch, known, cached=done or None).stages)
        done = known
    return made


def pairs(read: Model) -> float:
    """Pairs of queries and keys of an image, all scales, layers and heads together."""
    found = (
        stage.times * cascade_counts(stage.cascade)["multiply", "bf16"]
        for step in scales(read, 1)
        for stage in step
        if stage.role == "attention.scores"
    )
    return float(sum(found)) / (2 * 16)


def test_parameters_of_the_largest_are_its_two_billion() -> None:
    """18 C^2 + 14 C a layer; tables; the head and its vectors; a number of each head left out."""
    size = 1920
    layer = 18 * size**2 + 14 * size
    tables = (1001 + 680 + 1 + 10) * size + 32 * size + size
    ends = 2 * size**2 + 2 * size + 4096 * size + 4096
    assert model(LARGEST).parameters == 30 * layer + tables + ends == 2_010_019_456


def test_a_token_sees_its_scale_and_all_before() -> None:
    done, seen = 0, 0
    for side in SIDES:
        done += side**2
        seen += side**2 * done
    assert pairs(model(SMALL)) == 2 * 4 * seen


def test_vectors_of_all_layers_are_made_once() -> None:
    own, shared = model(SMALL), model({**SMALL, "shared_aln": True})
    assert own.parameters - shared.parameters == 6 * 64 * 64 + 6 * 64
    names = [s.name for s in shared.prefill(1, 1).stages]
    assert names.count("vectors") == 1


def test_heads_do_not_divide_any_width() -> None:
    with pytest.raises(InputError, match="expected a multiple of num_heads"):
        model({**SMALL, "num_heads": 5})


def test_it_makes_no_tokens_one_by_one() -> None:
    with pytest.raises(InputError, match="its one step is prefill"):
        model(SMALL).decode(1, 10)


HACK = "hack:contextual=0.5,contextual_budget=20,structural_budget=60"


def test_two_classes_of_heads_keep_their_budgets() -> None:
    """Two of four heads keep 20 tokens, two 60; 16 elements, keys and values, bf16, two layers."""
    assert model(SMALL, cache_policy=HACK).kv_bytes(3, 680) == 3 * 2 * 2 * (20 + 60) * 2 * 16 * 2
    assert model(SMALL, cache_policy=HACK).kv_bytes(1, 14) == model(SMALL).kv_bytes(1, 14)


def test_a_scale_sees_no_more_than_the_budget() -> None:
    """O(B n^2): each query at most its class's budget, of what was kept and what is new."""
    seen = 0
    for budget in (20, 60):
        kept = 0
        for side in SIDES:
            kept = min(budget, kept + side**2)
            seen += 2 * side**2 * kept
    assert pairs(model(SMALL, cache_policy=HACK)) == 2 * seen


def test_what_is_kept_is_chosen_by_some_queries() -> None:
    step = scales(model(SMALL, cache_policy=HACK))[-1]
    chosen = [s for s in step if s.role == "attention.eviction"]
    assert [s.name for s in chosen][:3] == ["probe scores", "probe softmax", "probe mean"]
    assert {s.name for s in chosen} >= {"budget cut", "kept keys", "kept values"}
    few, many = (s for s in chosen if s.name == "probe scores")
    assert few.cascade.sizes()["q"] == 32
    assert [s.cascade.sizes()["m"] for s in (few, many)] == [20 + 256, 60 + 256]


def test_larger_images_gain_more() -> None:
    """Twice the side: four times the tokens, 16 times the pairs, with a budget four times."""

    def flop(read: Model, tokens: int) -> float:
        step = predict(read.prefill(1, 2 * tokens, cached=tokens), "h200")
        return sum(
            float(part.times * part.flop or 0)
            for part in step.parts
            if part.flop is not None and part.name.startswith("attention,")
        )

    sides = {**SMALL, "patch_nums": [64]}
    kept = model(sides, cache_policy="hack:contextual_budget=64,structural_budget=64")
    grown = flop(kept, 4096) / flop(kept, 1024)
    assert grown == pytest.approx(4, rel=0.01)


def test_what_it_assumes_is_told() -> None:
    told = model(SMALL, cache_policy=HACK).prefill(1, 5, cached=1).warnings
    assert any("prompts are cut too" in each for each in told)
