"""Formats of maps under torch.autocast: what is narrowed, what is widened, what is converted."""

import pytest

import hwmodel as hw
from hwmodel.einsum.counts import footprint_bytes
from hwmodel.quantity.errors import InputError


def formats(name: str) -> list[tuple[str, str]]:
    """(stage, format that it writes) of a network's stages."""
    work = hw.workloads.cnn(name, dtype="fp16", batch=2, autocast=True)
    return [
        (stage.cascade.name, stage.cascade.tensors[stage.cascade.einsums[-1].name].dtype)
        for stage in work.stages
    ]


def test_a_convolutional_network_narrows_its_image_alone() -> None:
    found = formats("resnet18")
    assert found[:3] == [("image", "fp32"), ("0.conv7 as fp16", "fp16"), ("0.conv7", "fp16")]
    assert {dtype for _, dtype in found[1:]} == {"fp16"}


def test_a_transformers_stream_and_norms_are_wide_and_its_products_narrow() -> None:
    found = dict(formats("vit_tiny_patch16_224"))
    kinds = {name.split(".")[1]: dtype for name, dtype in found.items() if "." in name}
    assert kinds["layernorm"] == kinds["add"] == kinds["tokens"] == "fp32"
    assert kinds["dense"] == kinds["attention"] == kinds["activation"] == "fp16"
    narrowed = [name for name in found if name.endswith("dense as fp16")]
    assert len(narrowed) == 2 * 12  # before the queries' product and before the MLP's


def test_a_batch_moves_as_many_images() -> None:
    one, eight = (hw.workloads.cnn("resnet18", dtype="fp16", batch=n) for n in (1, 8))
    for few, many in zip(one.stages, eight.stages, strict=True):
        out = few.cascade.einsums[-1].name
        assert footprint_bytes(out, many.cascade) == 8 * footprint_bytes(out, few.cascade)


def test_autocast_is_to_sixteen_bits() -> None:
    with pytest.raises(InputError, match="cnn: autocast: expected dtype bf16 or fp16"):
        hw.workloads.cnn("resnet18", autocast=True)
