"""SparseD: one pass of each kind, and the mean over a schedule by hand."""

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.model import Model, model

SMALL = {
    **{"model_type": "Dream", "hidden_size": 512, "intermediate_size": 1024, "vocab_size": 1000},
    **{"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2},
    "torch_dtype": "bfloat16",
}


def matrix_flop(read: Model, name: str) -> float:
    made = hw.predict(read.prefill(1, 4096), "h200")
    (part,) = (part for part in made.parts if part.name == name)
    return float(part.counts.operations[("matrix", "flop", "bf16")])


def test_of_a_later_pass_the_density_is_of_all_pairs() -> None:
    # No mask: 4 N^2 head_dim for each of 4 heads of 128, and 0.3 of it.
    full, later = model(SMALL), model(SMALL, modifier="sparsed")
    assert matrix_flop(full, "attention") == 4 * 4096**2 * 128 * 4
    assert matrix_flop(later, "attention, pattern") == pytest.approx(0.3 * 4 * 4096**2 * 128 * 4)


def test_the_pass_of_patterns_attends_in_full_and_scores_blocks() -> None:
    stages = model(SMALL, modifier="sparsed:pattern=1,block=32").prefill(1, 4096).stages
    names = [stage.name for stage in stages if stage.role.startswith("attention.s")]
    assert names[-2:] == ["block choice", "attention"]
    scores = next(stage for stage in stages if stage.name == "block scores")
    assert (scores.cascade.ranks["i"].size, scores.cascade.ranks["j"].size) == (128, 128)


def test_layers_may_have_densities_of_their_own() -> None:
    stages = model(SMALL, modifier="sparsed:density=0.5/0.25").prefill(1, 4096).stages
    scores = [stage.cascade for stage in stages if stage.role == "attention.scores"]
    assert [cascade.einsums[0].density for cascade in scores] == [0.5, 0.25]
