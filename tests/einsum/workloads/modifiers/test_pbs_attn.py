"""PBS-Attn: which kernels choose, and how their cost grows."""

import numpy as np

import hwmodel as hw
from hwmodel.einsum.workloads.model import model

LLAMA = "llama-3.1-8b"
SELECTED = "attention.selection"


def test_a_prompt_is_permuted_and_selected_before_attention() -> None:
    stages = model(LLAMA, modifier="pbs-attn").prefill(1, 8192).stages
    names = [stage.name for stage in stages if stage.role == SELECTED]
    assert names == [
        *("probe scores", "probe softmax", "probe mean", "segment order"),
        *("key permutation", "value permutation", "query blocks", "key blocks"),
        *("block scores", "block softmax", "block cut", "block choice"),
    ]
    assert all(stage.times == 32 for stage in stages if stage.role == SELECTED)


def test_without_segments_blocks_are_selected_alone() -> None:
    stages = model(LLAMA, modifier="pbs-attn:segment=1").prefill(1, 8192).stages
    names = [stage.name for stage in stages if stage.role == SELECTED]
    assert names[0] == "query blocks"
    assert len(names) == 6


def test_decode_is_as_it_was() -> None:
    changed, plain = model(LLAMA, modifier="pbs-attn").decode(2, 4096), model(LLAMA).decode(2, 4096)
    assert changed.stages == plain.stages
    assert "pbs-attn changes nothing of this step" in changed.warnings[-1]


def test_prompts_of_a_sweep_are_changed_without_a_word_of_none_being() -> None:
    changed = model(LLAMA, modifier="pbs-attn")
    sizes = np.array([1024, 8192])
    assert "changes nothing" not in changed.prefill(1, sizes).warnings[-1]
    assert "changes nothing" in changed.decode(1, sizes).warnings[-1]


def test_a_denser_pattern_takes_longer_and_choosing_costs_the_same() -> None:
    def times(density: float) -> tuple[float, float]:
        step = model(LLAMA, modifier=f"pbs-attn:density={density}").prefill(1, 16384)
        made = hw.predict(step, "h100")
        chosen = {stage.name for stage in step.stages if stage.role == SELECTED}
        cost = sum(float(p.times * p.time_s) for p in made.parts if p.name in chosen)
        return float(made.time_s), cost

    (sparse, first), (dense, second) = times(0.1), times(0.4)
    assert sparse < dense
    assert first == second
