"""What specifications say of zeros: formats and rules by name, densities, and counts by hand."""

import json
import math
from typing import Any

import pytest
import yaml

import hwmodel as hw
from hwmodel.einsum.importers.timeloop_problem import problem
from hwmodel.hardware.timeloop import architecture
from hwmodel.machines.spatial.rules import OVERLAP
from hwmodel.machines.spatial.sparsity import sparsity
from hwmodel.machines.spatial.timeloop import mapping
from hwmodel.machines.spatial.timeloop_sparsity import sparsity_of
from hwmodel.mappers.nests.costs import cost
from hwmodel.quantity.errors import CoverageError, InputError
from hwmodel.verbs.specification import thinned
from tests.hwmodel.hardware.test_timeloop import component, timeloop

WIDE = {"width": 8, "datawidth": 8}
STORED = {
    "representation_format": {
        "data_spaces": [
            {"name": "A", "ranks": [{"format": "UOP"}, {"format": "CP"}]},
            {"name": "B", "ranks": [{"format": "RLE", "metadata_word_bits": 4}]},
        ]
    }
}
SKIPS = {
    "action_optimization": [
        {"type": "skipping", "options": [{"target": "B", "condition_on": ["A"]}]},
        {"type": "gating", "options": [{"target": "Z", "condition_on": ["A", "B"]}]},
    ]
}


def machine(
    outer: dict[str, Any], inner: dict[str, Any], compute: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Storage, a buffer of 128 bytes and a multiplier, each with what it does about zeros."""
    nodes = [
        {**component("Storage", "DRAM", **WIDE), "sparse_optimizations": outer},
        {**component("Buffer", "regfile", depth=128, **WIDE), "sparse_optimizations": inner},
        {**component("MAC", "intmac", width=8), "sparse_optimizations": compute or {}},
    ]
    return timeloop(*nodes)


def work(**densities: Any) -> dict[str, Any]:
    spaces = [
        {"name": "A", "projection": [[["M"]], [["K"]]]},
        {"name": "B", "projection": [[["K"]], [["N"]]]},
        {"name": "Z", "projection": [[["M"]], [["N"]]], "read_write": True},
    ]
    shape = {"dimensions": list("MKN"), "data_spaces": spaces}
    return {"shape": shape, "instance": {"M": 8, "K": 8, "N": 8, "densities": densities}}


def test_formats_and_rules_have_their_counterparts() -> None:
    read = architecture(machine(STORED, SKIPS, {"compute_optimization": [{"type": "skipping"}]}))
    text, notes = sparsity_of(read, problem({"problem": work()}, 8))
    found = sparsity(text)
    assert found.formats == {"dram": {"input": "csr", "weight": "run-length 4"}}
    assert [(rule.of, rule.where) for rule in found.gates] == [(("output",), ("input", "weight"))]
    assert [(rule.of, rule.where, rule.out_of) for rule in found.skips] == [
        (("weight",), ("input",), ""),
        (("output",), ("input", "weight"), ""),
    ]
    assert not notes


def test_skipping_outside_is_of_tiles_and_other_things_are_passed_over_by_name() -> None:
    action = [
        {"type": "spatial-skipping", "options": [{"target": "B", "condition-on": ["A"]}]},
        *SKIPS["action_optimization"],
    ]
    said = {"action-optimization": action, "tile-partition": 3}
    said |= {"representation-format": {"data-spaces": [{"name": "B", "ranks": [{"format": "X"}]}]}}
    read = architecture(machine(said, {}))
    text, notes = sparsity_of(read, problem({"problem": work()}, 8))
    assert json.loads(text)["skips"] == [{"of": ["weight"], "where": ["input"], "out_of": "dram"}]
    for each in ("spatial-skipping of B", "gating of Z", "tile-partition", "B: X is passed over"):
        assert any(each in note for note in notes), each


def test_targets_beside_the_architecture_are_heard() -> None:
    targets = {"targets": [{"name": "Buffer", **SKIPS}]}
    read = architecture({**machine({}, {}), "sparse_optimizations": targets})
    assert list(read.sparse) == ["buffer"]


def test_no_such_data_space_is_refused() -> None:
    wrong = {"action_optimization": [{"type": "gating", "options": [{"target": "X"}]}]}
    with pytest.raises(InputError, match=r"expected a data space .* found 'X'"):
        sparsity_of(architecture(machine({}, wrong)), problem({"problem": work()}, 8))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (0.25, "0.25"),
        ({"distribution": "hypergeometric", "density": 0.25}, "0.25 exact"),
        ({"distribution": "fixed-structured", "density": 0.5}, "1 of 2 k"),
        ({"distribution": "banded", "density": 1, "band_width": 2}, "band 2 m k"),
    ],
)
def test_densities_are_those_of_the_tensors(said: Any, words: str) -> None:
    found = problem({"problem": work(A=said)}, 8)
    assert str(found.tensors["A"].density) == words
    assert problem({"problem": work(A=1)}, 8).tensors["A"].density is None


@pytest.mark.parametrize("said", [0, 2, {"distribution": "actual_data"}, "many"])
def test_other_densities_are_refused(said: Any) -> None:
    given: Any = dict(said, density=0.5) if isinstance(said, dict) else said  # pyright: ignore
    with pytest.raises((CoverageError, InputError), match="densities: A"):
        problem({"problem": work(A=given)}, 8)


NEST = [
    {"target": "Storage", "type": "temporal", "factors": "M8 K1 N1", "permutation": "NKM"},
    {"target": "Buffer", "type": "temporal", "factors": "M1 K8 N8", "permutation": "NKM"},
]


def test_a_mapping_with_zeros_is_counted_as_its_shares_say(tmp_path: Any) -> None:
    """A quarter of A is no zero: of 512 turns and operand reads 128 are left; B is read so too.

    From outside come 64 places of A with their values, 8 + 3 bits and a pointer of 5 bits a row,
    of a quarter of them; B comes whole.
    """
    paths: list[str] = []
    parts = {
        "arch": machine({"representation_format": STORED["representation_format"]}, SKIPS),
        "problem": {"problem": work(A={"distribution": "hypergeometric", "density": 0.25})},
        "mapping": {"mapping": NEST},
    }
    for name, part in parts.items():
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(part))
        paths.append(str(path))
    found = hw.ask("map", timeloop=paths, objective="energy")
    counts = found.costs.counts
    assert counts.steps == 512 / 4
    assert sum(counts.operations.values()) == pytest.approx(2 * 512 / 4)
    bits = 64 * 0.25 * (8 + 3) + 8 * 5
    moved = {t.tensor: t.fills * t.element_bytes for t in counts.transfers if t.outer == "dram"}
    assert moved["A"] == pytest.approx(bits / 8)
    assert moved["B"] == 64
    searched = hw.ask("map", timeloop=paths[:2], objective="energy")
    assert searched.certificate.optimal_in_mapspace
    assert searched.value <= found.value * (1 + 1e-9)


CONV_SPACES = [
    {"name": "Weights", "projection": [[["M"]], [["S"]]]},
    {"name": "Inputs", "projection": [[["S"], ["Q"]]]},
    {"name": "Outputs", "projection": [[["M"]], [["Q"]]], "read_write": True},
]


def test_a_convolution_over_elements_takes_the_turns_of_the_reference_output() -> None:
    """Sparseloop's tutorial, 03.2.3 (timeloop-accelergy-exercises): 47 cycles, 188 computes.

    Of 16 x 3 x 9 points 0.4333 of the weights leave 187.2, over 4 elements 46.8.
    """
    rule = [{"type": "skipping", "options": [{"target": "Inputs", "condition_on": ["Weights"]}]}]
    sparse = {
        "representation_format": {
            "data_spaces": [{"name": "Weights", "ranks": [{"format": "RLE"}]}]
        },
        "action_optimization": rule,
    }
    own = component("Buffer", "regfile", depth=128, metadata_datawidth=4, **WIDE)
    nodes = [
        component("Storage", "smartbuffer", depth=512, **WIDE),
        {"!": "Container", "name": "PE", "spatial": {"meshX": 4}},
        {**own, "sparse_optimizations": sparse},
        component("MAC", "intmac", width=8),
    ]
    density = {"distribution": "fixed_structured", "density": 0.4333}
    shape = {"dimensions": list("MSQ"), "data_spaces": CONV_SPACES}
    instance = {"M": 16, "S": 3, "Q": 9, "densities": {"Weights": density}}
    nest = [
        {"target": "Storage", "type": "temporal", "factors": "M4", "permutation": "SQM"},
        {"target": "PE", "type": "spatial", "factors": "M4", "permutation": "SQM"},
        {"target": "Buffer", "type": "temporal", "factors": "S3 Q9 M1", "permutation": "SQM"},
    ]
    given = {**timeloop(*nodes), "problem": {"shape": shape, "instance": instance}}
    read = architecture(given)
    cascade = problem(given, 8)
    read = thinned(read, cascade)
    found = cost(cascade, read.hardware, mapping(nest, read, cascade), OVERLAP).counts
    assert math.ceil(found.steps) == 47
    assert math.ceil(found.operations["multiply", "int8"]) == 188
    assert sparsity(read.hardware.sparsity).formats["buffer"] == {"input": "run-length 4"}


def test_the_only_memory_is_fed_from_outside() -> None:
    """A dot product of 16 in one buffer, a quarter of A no zero: 4 turns of 16, as published."""
    skips = {
        "action_optimization": [
            {"type": "skipping", "options": [{"target": "B", "condition_on": ["A"]}]}
        ]
    }
    buffer = component("Buffer", "regfile", depth=64, **WIDE)
    nodes = [{**buffer, "sparse_optimizations": skips}, component("MAC", "intmac", width=8)]
    spaces = [
        {"name": "A", "projection": [[["K"]]]},
        {"name": "B", "projection": [[["K"]]]},
        {"name": "Z", "projection": [[["M"]]], "read_write": True},
    ]
    instance = {"K": 16, "M": 1, "densities": {"A": 0.25}}
    shape = {"dimensions": list("KM"), "data_spaces": spaces}
    given = {**timeloop(*nodes), "problem": {"shape": shape, "instance": instance}}
    cascade = problem(given, 8)
    read = thinned(architecture(given), cascade)
    assert "Buffer is the only memory" in read.notes[0]
    nest = [{"target": "Buffer", "type": "temporal", "factors": "K16 M1", "permutation": "KM"}]
    found = cost(cascade, read.hardware, mapping(nest, read, cascade), OVERLAP)
    assert found.counts.steps == 4
