"""Diffusion transformers: parameters by hand, multiplications as published, what is refused."""

from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.workloads.blocks.modulation import modulate
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import HwmodelError

DIT_XL = {
    "_class_name": "Transformer2DModel",
    "_diffusers_version": "0.12.0.dev0",
    **{"activation_fn": "gelu-approximate", "attention_bias": True, "attention_head_dim": 72},
    **{"cross_attention_dim": None, "dropout": 0.0, "in_channels": 4, "norm_num_groups": 32},
    **{"norm_elementwise_affine": False, "norm_type": "ada_norm_zero", "out_channels": 8},
    **{"num_attention_heads": 16, "num_embeds_ada_norm": 1000, "num_layers": 28},
    **{"num_vector_embeds": None, "only_cross_attention": False, "patch_size": 2},
    **{"sample_size": 32, "upcast_attention": False, "use_linear_projection": False},
}


def test_a_diffusion_transformer_has_its_parameters_counted_by_hand() -> None:
    """DiT-XL/2: depth 28, hidden 1152, patches of 2 x 2 x 4 of a latent of 32 x 32, 8 made."""
    wide = 1152
    attention = 4 * (wide * wide + wide)
    mlp = 2 * 4 * wide * wide + 5 * wide
    layers = 28 * (attention + mlp + 6 * (wide * wide + wide))
    patches = 16 * wide + wide + 256 * wide  # a product, and fixed positions of 16 x 16 patches
    row = (256 * wide + wide) + (wide * wide + wide) + 1001 * wide  # timestep, class or none
    final = 2 * (wide * wide + wide) + (32 * wide + 32)
    assert layers + patches + row + final == 675_129_632  # the paper: 675 M
    assert model(DIT_XL).parameters == 675_129_632


def test_a_pass_of_denoising_multiplies_as_often_as_published() -> None:
    """Peebles and Xie, arXiv 2212.09748: XL/2 at 256 x 256, 118.64 Gflops, which are products."""
    step = model(DIT_XL).prefill(batch=1, prompt=256)
    matrices = ("gemm", "attention")
    made = sum(
        stage.times * count
        for stage in step.stages
        if stage.cascade.origin is not None and stage.cascade.origin.workload in matrices
        for (kind, _), count in cascade_counts(stage.cascade).items()
        if kind == "multiply"
    )
    assert made / 1e9 == pytest.approx(118.64, rel=0.01)


def test_vectors_of_an_image_are_made_on_one_row_and_modulate_all_its_tokens() -> None:
    made = {stage.name: stage for stage in model(DIT_XL).prefill(batch=3, prompt=256).stages}
    assert made["vectors"].cascade.ranks["m"].size == 3
    assert made["vectors"].cascade.ranks["n"].size == 6 * 1152
    for name in ("attention norm scale", "attention norm shift", "mlp output gate"):
        counts = cascade_counts(made[name].cascade)
        assert made[name].times == 28
        assert sum(counts.values()) >= 3 * 256 * 1152
    read = [t for t in made["mlp output gate"].cascade.tensors.values() if len(t.ranks) == 2]
    assert len(read) == 1  # a vector of each image, not of each token
    assert hw.predict(model(DIT_XL).prefill(3, 256), on="h200").time_s > 0


@pytest.mark.parametrize(
    ("key", "value"), [("norm_type", "ada_norm_single"), ("sample_size", 33), ("norm_type", None)]
)
def test_transformers_of_diffusers_that_are_no_dit_are_refused(key: str, value: Any) -> None:
    config = {name: held for name, held in DIT_XL.items() if name != key}
    with pytest.raises(HwmodelError, match=key):
        model(config if value is None else {**config, key: value})


def test_a_vector_scales_shifts_or_gates_every_token_of_its_own_image() -> None:
    random = np.random.default_rng(0)
    x, z = random.standard_normal((2, 3, 5)), random.standard_normal((2, 5))
    rows = np.stack([np.tile(each, (3, 1)) for each in z])
    expected = {"scale": x + x * rows, "shift": x + rows, "gate": x * rows}
    for how in ("scale", "shift", "gate"):
        made = evaluate(modulate(how, 2, 3, 5, "fp32"), {"X": x, "Z": z})["Y"]
        np.testing.assert_allclose(made, expected[how], rtol=1e-6)


def test_two_devices_divide_heads_and_columns_and_both_hold_the_modulation() -> None:
    """Half of attention's and the MLP's matrices, and of the biases of their columns."""
    wide = 1152
    divided = 28 * (12 * wide * wide + 7 * wide)
    read = model(DIT_XL)
    assert read.shard(2).parameters == read.parameters - divided // 2


def test_modules_have_the_names_that_checkpoints_of_diffusers_give_them() -> None:
    """As the script that converts the published checkpoint names them; the embedders once."""
    names = list(model(DIT_XL).network.modules())
    for name in ("attn1.to_q", "attn1.to_out.0", "ff.net.0.proj", "ff.net.2", "norm1.linear"):
        assert f"transformer_blocks.27.{name}" in names
    first = "transformer_blocks.0.norm1.emb.timestep_embedder.linear_1"
    assert names.count(first) == 2  # a matrix and its bias
    assert first.replace("0", "1", 1) not in names
    assert {"pos_embed.proj", "proj_out_1", "proj_out_2"} <= set(names)
