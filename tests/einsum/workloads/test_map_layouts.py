"""Maps that norms and products leave with channels last, as torch's strides say."""

import hwmodel as hw
from hwmodel.einsum.workloads.layer import Layer
from hwmodel.einsum.workloads.map_layouts import layouts


def chain(*kinds: str) -> list[tuple[bool, bool]]:
    """Layers one after the other on a map of 14 x 14."""
    sizes = (14, 14, 32, 14, 14, 32)
    return list(layouts([Layer(str(n), kind, (n - 1,), *sizes) for n, kind in enumerate(kinds)]))


def test_a_norm_over_channels_leaves_them_last_and_the_next_one_views() -> None:
    found = chain("conv", "move", "layernorm", "depthwise", "shift", "move", "layernorm")
    assert [last for last, _ in found] == [False, False, False, True, True, True, True]
    assert [viewed for _, viewed in found] == [False] * 5 + [True, False]


def test_what_is_moved_otherwise_is_a_copy_with_channels_first() -> None:
    assert chain("layernorm", "move", "conv") == [(False, False), (True, False), (False, False)]


def test_layers_after_patches_read_maps_of_those_before() -> None:
    rest = [Layer("a", "add", (11, 7), 14, 14, 32, 14, 14, 32)]
    assert list(layouts(rest, 12)) == [(False, False)]


def test_windows_of_convnext_are_cudnns_of_channels_last() -> None:
    """By torch's own kernel, which takes channels first, 7 x 7 windows take five times as long."""
    found = hw.predict(hw.workloads.cnn("convnext_tiny", batch=64, dtype="fp16"), on="h200")
    last = next(part for part in found.parts if "depthwise7" in part.name)
    alone = hw.workloads.conv2d(64, 96, 96, 56, 56, 7, padding=3, groups=96, dtype="fp16")
    assert hw.predict(alone, on="h200").time_s > 4 * last.time_s
