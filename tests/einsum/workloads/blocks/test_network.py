"""A network as layers of blocks, and what follows from it."""

import pytest

from hwmodel.einsum.workloads.model import model

NAMES = ["qwen3-30b-a3b", "mixtral-8x7b", "llama-3.1-8b", "qwen2.5-7b"]


def test_equal_layers_are_one_entry() -> None:
    (layers,) = model("llama-3.1-8b").network.layers
    assert layers.numbers == tuple(range(32))


def test_the_repr_is_a_line_of_sizes_and_kinds() -> None:
    said = repr(model("llama-3.1-8b").network)
    assert said == (
        "<Network hidden=4096, 32 layers of Norm, Attention, Residual, Norm, Mlp, Residual>"
    )
    assert "61 layers in 2 ways, most of " in repr(model("deepseek-v3").network)


def test_modules_have_the_names_of_the_checkpoint() -> None:
    modules = set(model("mixtral-8x7b").network.modules())
    assert "model.layers.31.block_sparse_moe.experts.0.w2" in modules
    assert "model.layers.0.self_attn.q_proj" in modules
    assert {"model.embed_tokens", "model.norm", "lm_head"} < modules
    assert "model.layers.32.self_attn.q_proj" not in modules


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_says_what_it_does_and_in_which_layers(name: str) -> None:
    read = model(name)
    stages = read.decode(2, 64).stages
    assert all(stage.role for stage in stages)
    assert all(stage.times % len(stage.layers) == 0 for stage in stages)
    inner = [stage for stage in stages if stage.layers != (None,)]
    assert {len(stage.layers) for stage in inner} == {read.network.depth}
    assert [s.name for s in stages if s.layers == (None,)] == ["embedding", "final norm", "head"]


def test_roles_are_the_same_whatever_a_stage_is_called() -> None:
    step = model("mistral-7b-v0.1").decode(1, 64)
    (scores,) = (stage for stage in step.stages if stage.role == "attention.scores")
    assert scores.name == "attention, window 4096"
