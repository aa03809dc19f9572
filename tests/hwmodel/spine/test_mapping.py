"""Mappings as data: they are read back as they were written, and what is amiss is named."""

import json
from typing import Any

import pytest

from hwmodel.quantity.errors import InputError
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping, Split

NEST = (
    Keep("A", "buffer", double=True),
    Loop("m", 342),
    Split(
        (
            (Keep("B", "buffer", rank="k", points=8), Loop("n", 1, array="rows"), Compute("Z")),
            (Compute("Y"),),
        )
    ),
)


def test_a_mapping_goes_through_json_unchanged() -> None:
    mapping = Mapping("product", "toy", NEST)
    assert Mapping.read(json.loads(json.dumps(mapping.record())), where="file") == mapping


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ({"keep": "A"}, r"missing: level"),
        ({"loop": "m"}, r"missing: tile"),
        ({"loop": "m", "tile": 4, "tiles": 2}, r"unknown: tiles"),
        ({"loop": "m", "tile": 0}, r"tile: expected a whole number of 1 or more, found 0"),
        ({"keep": "A", "level": "l1", "rank": "m"}, r"points: expected a whole number of 1"),
        ({"walk": "m"}, r"expected a node keyed keep, loop, compute, box, split"),
    ],
)
def test_what_a_node_lacks_or_has_beyond_is_named_with_its_place(
    node: dict[str, Any], said: str
) -> None:
    data = {"cascade": "product", "machine": "toy", "nest": [{"compute": "Z"}, node]}
    with pytest.raises(InputError, match=r"^file\.nest\[1\].*" + said):
        Mapping.read(data, where="file")


def test_a_file_without_a_nest_is_refused() -> None:
    with pytest.raises(InputError, match=r"^file: expected .*missing: nest"):
        Mapping.read({"cascade": "product", "machine": "toy"}, where="file")
