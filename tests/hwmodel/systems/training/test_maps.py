"""Steps of networks of maps: what they keep against torch's saved tensors, passes, refusals."""

import csv
from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.workloads.blocks.unit import Unit, of_maps
from hwmodel.einsum.workloads.cnn import network
from hwmodel.einsum.workloads.training import training
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError
from hwmodel.systems.training.maps import left
from tests.thorough import but_first

MEASURED = list(
    csv.DictReader((Path(__file__).parent / "steps_of_maps.csv").read_text().splitlines())
)
"""Steps of an H200 (2026-11-30, driver 580.159.04, torch 2.11.0+cu130, cuDNN 9.19): eager, autocast
to bf16, channels last, momentum; seconds of unbroken steps, bytes allocated after the forward pass
beyond those before it, and at the peak. The last ten were measured when the model was done."""

SAVED = {
    "resnet18": 23_804_672,
    "resnet50": 87_621_376,
    "vgg16": 85_432_320,
    "densenet121": 132_134_272,
    "efficientnet_b0": 88_272_928,
    "seresnet50": 109_823_424,
    "regnety_032": 99_862_760,
}
"""Bytes of distinct storages, parameters apart, that autograd saved in a forward pass of two images
in bf16 (torch 2.13, `saved_tensors_hooks`, activations in place); maxima's places among them."""


def kept_bytes(name: str, batch: int, way: str = "none") -> float:
    made = network(name, None, 1.0, None)
    units = [block for group in of_maps(made).layers for block in group.blocks]
    spans = tuple((each.start, each.end) for each in units if isinstance(each, Unit))
    given = 4 * batch * made.image_elements
    return sum(each.kept_bytes for each in left(made, spans, batch, way)) - given


@pytest.mark.parametrize("name", SAVED)
def test_what_is_kept_is_what_torch_saves(name: str) -> None:
    assert kept_bytes(name, 2) == pytest.approx(SAVED[name], rel=2e-3)


def step(config: str, batch: int, **how: Any) -> Any:
    given: dict[str, Any] = {"optimizer": "momentum", **how}
    return hw.predict(training(config, global_batch=batch, **given), on="h200")


def test_a_step_has_three_forward_passes_of_all_images_and_all_parameters() -> None:
    """11,689,512 parameters are torchvision's, 1.814 G multiply-accumulates an image."""
    found = step("resnet18", 64)
    assert found.weights_bytes == 2 * 11_689_512
    assert found.model_flops == pytest.approx(3 * 64 * 2 * 1.814e9, rel=1e-3)
    assert found.execution.micro_batch == 64
    assert found.tokens_per_s_per_device == pytest.approx(64 / found.step_time_s)
    assert "images/s" in str(found)
    half = step("resnet18", 64, micro_batch=32)
    assert half.activations_bytes == pytest.approx(found.activations_bytes / 2, rel=1e-3)
    larger = step("resnet18", 64, resolution=448)
    assert larger.model_flops == pytest.approx(4 * found.model_flops, rel=0.01)


def test_replicas_share_images_and_sum_gradients() -> None:
    found = step("resnet18", 2048, devices=8)
    assert (found.execution.dp, found.execution.micro_batch) == (8, 256)
    assert found.least_s["link"] == pytest.approx(4 * 11_689_512 * 7 / 8 / 450e9)
    wide = step("resnet18", 2048, devices=8, zero=3)
    assert wide.optimizer_bytes == pytest.approx(4 * 11_689_512 / 8)


def test_units_computed_again_keep_what_they_read_of_others() -> None:
    """Eight blocks and the stem: less than half of maps for another forward pass."""
    plain, again = (step("resnet18", 256, recompute=way) for way in ("none", "full"))
    assert again.activations_bytes < plain.activations_bytes / 2
    forward_s = again.again_s
    assert again.step_time_s == pytest.approx(plain.step_time_s + forward_s, rel=1e-6)
    assert 0.2 < forward_s / plain.step_time_s < 0.5


@pytest.mark.parametrize("row", but_first(1, MEASURED))
def test_measured_steps(row: dict[str, str]) -> None:
    """Memory is within 3 % (6 of one), seconds within a quarter."""
    name, images = row["network"], int(row["images"])
    found = step(name, images)
    near = 0.06 if name == "wide_resnet101_2" else 0.03
    assert found.memory_bytes == pytest.approx(float(row["peak_bytes"]), rel=near)
    given = 4 * images * network(name, None, 1.0, None).image_elements
    kept = found.activations_bytes - given
    assert kept == pytest.approx(float(row["kept_bytes"]), rel=0.06)
    assert 0.75 < found.step_time_s / float(row["step_s"]) < 1.25


def test_a_host_paces_small_batches_and_runs_ahead_of_large_ones() -> None:
    few, many = (
        [step("resnet18", images, graphs=graphs).step_time_s for graphs in (False, True)]
        for images in (8, 512)
    )
    assert few[0] > 3 * few[1]
    assert many[0] == many[1]


def test_group_norms_keep_what_they_read_and_made_in_32_bits(tmp_path: Path) -> None:
    """As autocast has it: a map of 8 channels before, after, and for the next convolution."""
    path = tmp_path / "norms.yaml"
    layers = [
        "- {kind: conv, filters: 8, kernel: 3}",
        "- {kind: groupnorm, groups: 2}",
        "- {kind: activation, function: relu}",
        "- {kind: conv, filters: 8}",
    ]
    path.write_text("resolution: 16\nlayers:\n  " + "\n  ".join(layers) + "\n")
    places = 4 * 16**2
    image = places * 3 * (4 + 2)
    statistics = 2 * 4 * 4 * 2
    found = step(str(path), 4)
    assert found.activations_bytes == image + places * 8 * (4 + 4 + 2) + statistics


def reversible(folder: Path, blocks: int) -> str:
    """Blocks on halves of 16 channels, y1 = x1 + F(x2) and y2 = x2 + G(y1), as a file."""
    lines = ["- {kind: conv, filters: 16, kernel: 3, name: x0, block: stem}"]
    for number in range(blocks):
        own = f"block: {number}, reversible: true"
        lines += [f"- {{kind: half, reads: x{number}, name: {at}{number}, {own}}}" for at in "ab"]
        for one, other in ("ab", "ba"):
            lines += [
                f"- {{kind: conv, filters: 8, kernel: 3, reads: {other}{number}, {own}}}",
                f"- {{kind: norm, {own}}}",
                f"- {{kind: add, with: {one}{number}, name: {one}{number}, {own}}}",
            ]
        name = f"name: x{number + 1}, {own}"
        lines.append(f"- {{kind: concat, reads: a{number}, with: b{number}, {name}}}")
    lines.append("- {kind: conv, filters: 2, block: head}")
    path = folder / f"reversible-{blocks}.yaml"
    path.write_text("resolution: [32, 32, 32]\nlayers:\n  " + "\n  ".join(lines) + "\n")
    return str(path)


def test_reversible_blocks_keep_nothing_however_many(tmp_path: Path) -> None:
    """The image, in both formats, and the last block's map of 16 channels."""
    few, many = (reversible(tmp_path, blocks) for blocks in (2, 6))
    places = 2 * 32**3
    for path in (few, many):
        kept = step(path, 2, recompute="reversible").activations_bytes
        assert kept == places * (3 * (4 + 2) + 16 * 2)
    plain = step(many, 2)
    assert plain.activations_bytes > 2.5 * step(few, 2).activations_bytes
    found = step(many, 2, recompute="reversible")
    assert found.memory_bytes < plain.memory_bytes / 2
    assert 0 < found.again_s < found.step_time_s / 2


def test_a_network_without_reversible_blocks_keeps_all() -> None:
    assert kept_bytes("resnet18", 2, "reversible") == kept_bytes("resnet18", 2)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"tp": 2}, "replicas"),
        ({"pp": 2}, "replicas"),
        ({"dtype": "fp8"}, "16-bit products"),
        ({"optimizer": "muon"}, "one without products"),
        ({"adapters": 8}, "adapters"),
        ({"recompute": "selective"}, "none or full or reversible"),
        ({"sequence": 128}, "reads images"),
    ],
)
def test_what_is_not_modelled_is_refused(how: dict[str, Any], said: str) -> None:
    with pytest.raises((CoverageError, InputError), match=said):
        step("resnet18", 64, **how)


def test_tokens_and_images_are_told_apart() -> None:
    with pytest.raises(InputError, match="sequence: expected tokens"):
        training("llama-3.1-8b", global_batch=8)
    with pytest.raises(InputError, match="reads tokens"):
        training("llama-3.1-8b", 128, 8, resolution=224)
    with pytest.raises(UnknownNameError, match=r"unknown model or network 'resnet51'.*'resnet50'"):
        training("resnet51", global_batch=8)


def test_what_a_host_launches_is_not_told_as_without_a_host() -> None:
    eager, graphed = (step("resnet18", 64, graphs=graphs).assumptions for graphs in (False, True))
    assert any("a host launches each in 45 us" in text for text in eager)
    assert not any("host time excluded" in text for text in eager)
    assert any("host time excluded" in text for text in graphed)
