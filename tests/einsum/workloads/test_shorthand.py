"""Networks in shorthand: words by hand, published sizes, sides, refusals."""

import csv
from pathlib import Path

import pytest

from hwmodel.einsum.workloads.autocast import stages
from hwmodel.einsum.workloads.cnn import network
from hwmodel.einsum.workloads.layer import Layer
from hwmodel.einsum.workloads.shorthand import Words, names, unfolded
from hwmodel.quantity.errors import CoverageError, InputError

TABLE = Path(__file__).resolve().parents[4] / "shared/data/timm/rtx4090_infer_amp_nchw.csv"


def layers(text: str, side: int = 8) -> list[Layer]:
    return Words("made up", side, None).read(text)


def maps(text: str, side: int = 8) -> list[tuple[int, int, int]]:
    return [(each.out_height, each.out_width, each.filters) for each in layers(text, side)]


def test_repeats_unfold_inside_each_other() -> None:
    assert " ".join(unfolded("a (b (c d)*2 e)*2 f")) == "a b c d c d e b c d c d e f"
    assert " ".join(unfolded("((a)*2)*2 b")) == "a a a a b"


def test_windows_by_hand() -> None:
    assert maps("conv4k3s2p1") == [(4, 4, 4)]
    assert maps("conv4k1x7p0x3") == [(8, 8, 4)]
    assert maps("conv4k7x1p3x0") == [(8, 8, 4)]
    assert maps("maxk3s2") == [(3, 3, 3)]  # (8 - 3) / 2 = 2.5, down
    assert maps("maxk3s2c") == [(4, 4, 3)]  # up
    assert maps("conv4k3p2d2") == [(8, 8, 4)]
    assert layers("conv6k3p1 conv12k3p1g3")[1].weights == 12 * 9 * 2
    assert maps("pad1x2") == [(9, 10, 3)]
    assert maps("up2") == [(16, 16, 3)]


def test_maps_that_are_read_again() -> None:
    made = layers("conv4k1 relu conv8k1<2 cat<2<1 view:6 conv2k1 mean dense5b")
    assert [each.inputs for each in made] == [(-1,), (0,), (0,), (1, 2), (3,), (4,), (5,)]
    assert (made[3].filters, made[4].channels) == (12, 6)
    assert (made[-1].weights, made[-1].bias) == (10, True)


def test_attention_and_products_of_two_maps() -> None:
    _, whole, windows, product = layers("conv48k4s4 att2 att2:3x5x7x8x4<1 matmul:6x5x9x7<1<2")
    assert (whole.extents, whole.filters) == ((1, 4, 4, 8), 16)  # a third of 48, two heads
    assert (windows.out_height, windows.filters) == (15, 8)
    sizes = windows.cascade("fp16", batch=2).sizes()
    assert [sizes[rank] for rank in "bhpmef"] == [6, 2, 5, 7, 8, 4]
    assert (product.out_height, product.filters) == (30, 9)
    sizes = product.cascade("fp16", batch=2).sizes()
    assert [sizes[rank] for rank in "bmnk"] == [12, 5, 9, 7]


def test_autocast_leaves_norms_in_16_bits_where_a_network_does() -> None:
    def written(text: str) -> list[str]:
        made = [*stages(layers(text), "fp16", 1, autocast=True)]
        return [stage.cascade.name for stage in made if " as " in stage.cascade.name]

    assert written("conv8k1 ln conv8k1") == ["0.conv1 as fp16", "1.ln as fp32", "2.conv1 as fp16"]
    assert written("conv8k1 narrowln conv8k1") == ["0.conv1 as fp16"]
    assert written("conv8k1 power gain conv8k1")[1:] == ["1.power as fp32", "3.conv1 as fp16"]
    assert written("conv8k1 gn2 conv8k1")[1:] == ["1.gn as fp32", "2.conv1 as fp16"]


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        # Parameters of their papers: GhostNet, LeViT, MLP-Mixer, HRNet, Swin V2, MaxViT's tiny and
        # RepVGG-B1g4 in training form, EfficientNetV2-S, CaiT-XXS36, Twins-SVT-S.
        ("ghostnet_100", 5.2),
        ("levit_128", 9.2),
        ("mixer_b16_224", 59.9),
        ("hrnet_w18", 21.3),
        ("swinv2_tiny_window8_256", 28.3),
        ("efficientnetv2_s", 21.5),
        ("cait_xxs36_224", 17.3),
        ("twins_svt_small", 24.1),
    ],
)
def test_published_parameters(name: str, millions: float) -> None:
    assert network(name, None, 1.0, None).weights / 1e6 == pytest.approx(millions, rel=0.02)


def test_a_side_that_is_not_known_is_refused_by_those_that_are() -> None:
    with pytest.raises(CoverageError, match="mixer_b16_224 is known at 224, found 256"):
        network("mixer_b16_224", 256, 1.0, None)
    assert network("ghostnet_100", 256, 1.0, 7).layers[-1].filters == 7


def test_a_word_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(InputError, match="found konv4"):
        layers("konv4")


@pytest.mark.thorough
@pytest.mark.skipif(not TABLE.is_file(), reason="needs ../shared/data/timm")
def test_parameters_of_a_published_table() -> None:
    """All but positions, and weights that are used more than once or chosen by the image."""
    apart = ("coat_", "efficientnet_cc_", "tf_efficientnet_cc_")
    with open(TABLE, encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["model"] in names()]
    seen = 0
    for row in rows:
        try:
            made = network(row["model"], int(row["infer_img_size"]), 1.0, None)
        except CoverageError:
            continue
        seen += 1
        published = float(row["param_count"])
        if not row["model"].startswith(apart):
            assert made.weights / 1e6 == pytest.approx(published, rel=0.04, abs=0.01), row["model"]
    assert seen > 400
