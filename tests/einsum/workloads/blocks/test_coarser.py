"""Pyramids of images: stages on a fourth of the patches, counted by hand."""

import numpy as np
import pytest

from hwmodel.einsum.counts import cascade_counts
from hwmodel.einsum.workloads.model import model


def test_a_stage_of_swin_has_a_fourth_of_the_patches_in_windows_of_49() -> None:
    swin = model({"model_type": "swin"})
    made = [s for s in swin.prefill(2, 56 * 56).stages if s.role == "attention.scores"]
    sizes = [(s.cascade.sizes()["b"], s.cascade.sizes()["p"], s.times) for s in made]
    assert sizes == [(2 * 64, 49, 2), (2 * 16, 49, 2), (2 * 4, 49, 6), (2 * 1, 49, 2)]


COUNTED = {
    **{"swin": (3136, 4_489_798_656), "resnet": (3136, 4_087_136_256)},
    **{"regnet": (112 * 112, 3_972_200_448), "convnext": (3136, 4_454_763_264)},
}
"""Tokens of an image of 224 x 224, and multiplications of products and convolutions that torch's
counter finds in transformers' module of the default config (5.24.0, torch 2.13)."""


@pytest.mark.parametrize("name", COUNTED)
def test_an_image_takes_as_many_multiplications_as_torch_counts(name: str) -> None:
    tokens, counted = COUNTED[name]
    stages = model({"model_type": name}).prefill(1, tokens).stages
    ours = sum(
        stage.times * cascade_counts(stage.cascade).get(("multiply", "bf16"), 0)
        for stage in stages
        if stage.role.startswith(("convolution", "attention", "mlp.", "embedding", "projection"))
        and "activation" not in stage.role
    )
    assert ours == pytest.approx(counted, rel=0.01)


def test_patches_may_be_arrays() -> None:
    swin = model({"model_type": "swin"})
    made = swin.prefill(1, np.array([56 * 56, 112 * 112])).stages
    squares = [stage.cascade.sizes()["m"] for stage in made if stage.name == "squares"]
    assert [list(np.asarray(each)) for each in squares] == [[784, 3136], [196, 784], [49, 196]]


def test_of_a_config_with_vision_alone_that_is_read() -> None:
    """SAM: 4,096 patches, in windows of 196 but for four layers; what makes masks is left out."""
    sam = model({"model_type": "sam", "vision_config": {"model_type": "sam_vision_model"}})
    assert sam.parameters == 89_670_912
    assert "vision_config alone is read" in sam.warnings[0]
    scores = {s.name: s for s in sam.prefill(1, 4096).stages if s.role == "attention.scores"}
    assert scores["attention"].times == 4
    assert scores["attention, windows of 196"].times == 8
    assert scores["attention, windows of 196"].cascade.sizes()["p"] == 196
