"""Layers of a file one after another: names, sizes, windows, and what has no weights."""

import pytest

from hwmodel.einsum.importers.chain import Chain
from hwmodel.quantity.errors import CoverageError, InputError


def test_layers_read_the_maps_that_tensors_stand_for() -> None:
    chain = Chain("file", "image", (8, 6, 3))
    chain.add("a", "conv", chain.sources(["image", "weight"], "here"), (4, 6, 5), (3, 1), (2, 1))
    chain.fold("b", chain.sources(["a"], "here")[0])
    chain.add("c", "linear", chain.sources(["b"], "here"), (1, 1, 2))
    made = chain.network("net")
    first, second = made.layers
    assert (first.name, first.inputs, first.window, first.steps) == (
        "0.conv",
        (-1,),
        (3, 1),
        (2, 1),
    )
    assert (second.inputs, second.inputs_elements) == ((0,), 4 * 6 * 5)
    assert made.weights == 5 * 3 * 3 + 2 * 120
    assert made.macs == 45 * 4 * 6 + 240
    (image, conv) = chain.sources(["image", "a"], "here")
    assert (chain.kind(conv), chain.kind(image)) == ("conv", "")


def test_what_reads_no_map_or_has_no_weights_is_refused() -> None:
    chain = Chain("file", "image", (8, 6, 3))
    with pytest.raises(CoverageError, match="here: ADD reads no map"):
        chain.sources(["weight"], "here: ADD")
    with pytest.raises(InputError, match="file: expected a network with weights"):
        chain.network("net")
