"""Families of image networks: published parameters and operations, maps, refusals."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from hwmodel.einsum.workloads.cnn import network
from hwmodel.einsum.workloads.families import expanded, variants
from hwmodel.quantity.errors import InputError, UnknownNameError


@pytest.mark.parametrize(
    ("name", "millions", "gmacs"),
    [
        # Parameters and multiply-accumulates that torchvision 0.29.1 says of its weights
        # (`num_params` and `_ops` of their metadata, 224 x 224).
        ("resnet50", 25.56, 4.09),
        ("resnext101_32x8d", 88.79, 16.41),
        ("wide_resnet50_2", 68.88, 11.40),
        ("regnetx_032", 15.30, 3.18),
        ("regnety_032", 19.44, 3.18),
        ("mobilenetv2_100", 3.50, 0.30),
        ("densenet121", 7.98, 2.83),
        ("vgg16", 138.36, 15.47),
        ("convnext_tiny", 28.59, 4.46),
    ],
)
def test_published_parameters_and_operations(name: str, millions: float, gmacs: float) -> None:
    """Weights alone: biases and norms are up to 1.5 % more."""
    made = network(name, 224, 1.0, None)
    assert made.weights / 1e6 == pytest.approx(millions, rel=0.02)
    assert made.macs / 1e9 == pytest.approx(gmacs, rel=0.03)


def test_every_variant_can_be_made() -> None:
    for name in variants():
        last = network(name, None, 1.0, 7).layers[-1]
        if not name.startswith("unet"):  # which have a class for each place
            assert (last.kind, last.filters) == ("linear", 7), name


def test_a_vision_transformer_attends_over_all_places_and_a_token() -> None:
    layers = network("vit_base_patch16_224", None, 1.0, None).layers
    attention = [layer for layer in layers if layer.kind == "attention"]
    assert len(attention) == 12
    assert {(each.height * each.width, each.filters, each.heads) for each in attention} == {
        (197, 768, 12)
    }


TOY: dict[str, Any] = {
    "defaults": {"resolution": 8, "wide": 4},
    "variants": {"small": None, "large": {"wide": "wide * 2"}},
    "blocks": {
        "block": [
            {"mark": "start"},
            {"kind": "conv", "filters": "channels", "kernel": 3, "norm": True, "act": "relu"},
            {"kind": "add", "with": "start"},
        ]
    },
    "layers": [
        {"kind": "conv", "filters": "wide", "stride": 2},
        {"do": "block", "each": "range(2)", "as": "number"},
    ],
}


def written(folder: Path, **changes: Any) -> str:
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump({**TOY, **changes}), encoding="utf-8")
    return str(path)


def test_a_block_is_repeated_and_followed_by_norm_and_activation(tmp_path: Path) -> None:
    made = expanded(written(tmp_path), "large", None, None)
    kinds = [layer.kind for layer in made.layers]
    assert kinds == ["conv", *(["conv", "norm", "activation", "add"] * 2)]
    assert made.layers[-1].inputs == (7, 4)
    assert {layer.filters for layer in made.layers} == {8}


@pytest.mark.parametrize(
    ("entry", "error", "said"),
    [
        ({"kind": "cnov"}, UnknownNameError, "kind of layer of small.*cnov"),
        ({"kind": "conv", "filtres": 3}, InputError, "small: expected .*filters.*found filtres"),
        ({"kind": "add", "with": "begin"}, UnknownNameError, "mark of small.*begin"),
        ({"do": "blok"}, UnknownNameError, "block of small.*blok"),
        ({"do": "block", "each": "range(20000)"}, InputError, "10000 at most"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(
    tmp_path: Path, entry: dict[str, Any], error: type[Exception], said: str
) -> None:
    path = written(tmp_path, layers=[entry])
    with pytest.raises(error, match=said):
        expanded(path, "small", None, None)
