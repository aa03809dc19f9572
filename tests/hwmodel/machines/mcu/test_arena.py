"""Arena: published bytes of MobileNetV2 block by block, and of the example in patches."""

import pytest

from hwmodel.einsum.workloads.cnn import network
from hwmodel.einsum.workloads.patches import patched
from hwmodel.machines.mcu.arena import Held, arena, peak

MOBILE = network("mobilenetv2", 224, 1.0, None)
# KiB by block; MCUNetV2's figure, computed by hand from the shapes (in, expanded, out) of each.
BLOCKS = [
    *(539.0, 588.0, 1372.0, 514.5, 514.5, 171.5, 171.5, 171.5, 85.75, 85.75, 85.75, 91.875),
    *(128.625, 128.625, 128.625, 53.59375, 53.59375, 61.25),
]


def by_block(held: tuple[Held, ...], *, fused: bool) -> dict[int, float]:
    found: dict[int, float] = {}
    for each in held:
        if each.fused == fused:
            size = (each.own if fused else each.bytes) / 1024
            found[each.layer.block] = max(found.get(each.layer.block, 0), size)
    return found


def test_the_eighteen_blocks_of_mobilenetv2() -> None:
    found = by_block(arena(patched(MOBILE)), fused=False)
    assert [found[block] for block in range(18)] == BLOCKS


def test_mobilenetv2_needs_1372_kib_layer_by_layer_and_171_5_in_patches() -> None:
    assert peak(patched(MOBILE)).bytes == 1372 * 1024
    assert peak(patched(MOBILE, 4, 13)).bytes == 171.5 * 1024


def test_tiles_of_mobilenetv2_block_by_block() -> None:
    held = arena(patched(MOBILE, 4, 13))
    tiles = by_block(held, fused=True)
    assert {b: round(size, 1) for b, size in tiles.items()} == {
        **{0: 59.3, 1: 57.4, 2: 134.0, 3: 47.4, 4: 36.9}
    }
    assert {each.beside for each in held if each.fused} == {28 * 28 * 32}


@pytest.mark.parametrize(
    ("resolution", "width", "kib"),
    [(160, 1.0, 700), (144, 1.0, 567), (160, 0.35, 350), (144, 0.35, 283.5), (64, 0.3, 56)],
)
def test_other_widths_and_resolutions(resolution: int, width: float, kib: float) -> None:
    """Largest input and expanded map together, by hand: (R/2)^2 (c + 6 c), c = 16 or 8."""
    assert peak(patched(network("mobilenetv2", resolution, width, None))).bytes == kib * 1024


def test_the_visual_wake_words_example() -> None:
    words = network("mcunet-vww1", None, 1.0, None)
    held = arena(patched(words, 2, 5))
    assert max(each.own for each in held if each.fused) == 24_696
    assert held[0].beside == 19_200
    assert peak(patched(words)).bytes == 87.5 * 1024


@pytest.mark.parametrize(
    ("name", "measured_kb"),
    [("mcunet-vww1", 92), ("mcunet-in2", 215)],
)
def test_measured_sram_is_a_little_more(name: str, measured_kb: float) -> None:
    """TinyEngine on an STM32H743: its README; im2col and kernel buffers come on top."""
    ours = peak(patched(network(name, None, 1.0, None))).bytes / 1e3
    assert 1.02 < measured_kb / ours < 1.07


def test_without_working_in_place_a_depthwise_layer_holds_both_maps() -> None:
    held = {each.layer.name: each for each in arena(patched(MOBILE), in_place=False)}
    assert held["2.depthwise3"].bytes == (112 * 112 + 56 * 56) * 96
    assert held["2.depthwise3"].bytes == 1470 * 1024  # published for in-place off
    assert peak(patched(MOBILE), in_place=False).bytes > peak(patched(MOBILE)).bytes


def test_finer_patches_never_hold_larger_tiles() -> None:
    own = [max(h.own for h in arena(patched(MOBILE, n, 13)) if h.fused) for n in range(2, 29)]
    assert own == sorted(own, reverse=True)
