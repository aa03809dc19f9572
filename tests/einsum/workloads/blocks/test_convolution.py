"""Convolutions as products of windows: wav2vec 2.0's frames, counted by hand."""

import pytest

from hwmodel.einsum.workloads.model import model
from hwmodel.quantity.errors import InputError


def test_convolutions_of_a_waveform_have_the_rows_that_later_ones_join() -> None:
    """A frame is 320 samples: 64 rows of the first convolution, halved at each of the others."""
    read = model({"model_type": "wav2vec2"})
    made = {s.name: s.cascade.sizes() for s in read.prefill(2, 50).stages}
    rows = [made[f"conv {n}"]["m"] for n in range(1, 8)]
    assert rows == [2 * 50 * n for n in (64, 32, 16, 8, 4, 2, 1)]
    assert [made[f"conv {n}"]["k"] for n in (1, 2, 7)] == [10, 3 * 512, 2 * 512]
    assert made["positions"]["k"] == 128 * 768 // 16


def test_a_batch_norm_is_folded_and_a_filter_is_no_product() -> None:
    resnet = model({"model_type": "resnet"})
    assert not any(stage.name.endswith("norm") for stage in resnet.prefill(1, 49).stages)
    assert resnet.parameters_by_part["norms"] == 2 * (64 + 3840 + 22656)
    convnext = model({"model_type": "convnext"})
    filters = [s for s in convnext.prefill(1, 49).stages if s.name == "filters"]
    assert [(each.times, each.cascade.sizes()["d"]) for each in filters] == [
        (3, 96),
        (3, 192),
        (9, 384),
        (3, 768),
    ]


def test_as_many_strides_as_convolutions_are_asked_for() -> None:
    with pytest.raises(InputError, match="conv_dim, conv_kernel, conv_stride: expected as many"):
        model({"model_type": "wav2vec2", "conv_stride": [5, 2]})
