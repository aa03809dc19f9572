"""Flux and Stable Diffusion 3: parameters and multiplications as diffusers' modules have them."""

from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import CoverageError

FLUX: dict[str, Any] = {"_class_name": "FluxTransformer2DModel", "_diffusers_version": "0.30.0"}
SD3: dict[str, Any] = {"_class_name": "SD3Transformer2DModel"}
DUAL: dict[str, Any] = {
    **{"num_layers": 24, "dual_attention_layers": list(range(13)), "qk_norm": "rms_norm"},
    **{"pos_embed_max_size": 384, "caption_projection_dim": 1536, "num_attention_heads": 24},
}


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        (FLUX, 11_891_178_560),
        ({**FLUX, "guidance_embeds": True}, 11_901_408_320),
        (SD3, 856_159_552),
        ({**SD3, **DUAL}, 2_243_171_520),
    ],
)
def test_parameters_are_those_that_diffusers_builds(
    config: dict[str, Any], parameters: int
) -> None:
    """Counted on the meta device, diffusers 0.42.1."""
    assert model(config).parameters == parameters


@pytest.mark.parametrize(
    ("config", "multiplications"),
    [
        ({**FLUX, "num_layers": 2, "num_single_layers": 3}, 949_405_876_224),
        (
            {**SD3, "num_layers": 3, "dual_attention_layers": [0], "qk_norm": "rms_norm"},
            83_210_883_840,
        ),
    ],
)
def test_a_pass_multiplies_as_often_as_torch_counts(
    config: dict[str, Any], multiplications: int
) -> None:
    """1,024 tokens of an image beside 512 and 333 of a text; torch's count of diffusers'."""
    made = model(config).prefill(batch=1, prompt=1024).stages
    ours = sum(
        stage.times * cascade_counts(stage.cascade).get(("multiply", "bf16"), 0)
        for stage in made
        if stage.cascade.origin is not None
        and stage.cascade.origin.workload in ("gemm", "attention")
    )
    assert ours == multiplications


def test_tokens_of_a_text_are_a_size_of_the_model() -> None:
    flux = model(FLUX)
    assert "512 tokens of text" in flux.warnings[0]
    for read, both in ((flux, 4096 + 512), (flux.but(text_tokens=256), 4096 + 256)):
        scores = [s for s in read.prefill(2, 4096).stages if s.role == "attention.scores"]
        assert {int(each.cascade.sizes()["p"]) for each in scores} == {both}


def test_two_devices_halve_products_but_not_vectors_of_an_image() -> None:
    one, two = (model(FLUX).prefill(1, 4096, tp=tp).stages for tp in (1, 2))
    sizes = [{stage.name: stage.cascade.sizes() for stage in made} for made in (one, two)]
    assert sizes[1]["branches output"]["k"] * 2 == sizes[0]["branches output"]["k"] == 5 * 3072
    assert sizes[1]["image vectors"] == sizes[0]["image vectors"]
    assert {stage.name for stage in two if stage.collective} == {
        *("attention output", "down", "branches output"),
    }
    predicted = [hw.predict(model(FLUX).prefill(1, 4096), on="h200").time_s]
    predicted.append(
        hw.predict(model(FLUX).prefill(1, 4096, tp=2), on=hw.device("h200") * 2).time_s
    )
    assert predicted[0] / 2 < predicted[1] < predicted[0]


def test_a_norm_of_queries_that_is_not_modelled_is_refused() -> None:
    with pytest.raises(CoverageError, match="qk_norm: 'layer_norm' is not modelled"):
        model({**SD3, "qk_norm": "layer_norm"})
