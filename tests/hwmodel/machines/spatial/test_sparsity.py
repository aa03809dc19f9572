"""What zeros leave of a dense nest's counts: by hand, and against masks, tile by tile."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.notation import parse
from hwmodel.hardware.catalogue import device
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.spatial.rules import OVERLAP
from hwmodel.machines.spatial.sparsity import sparsities, sparsity
from hwmodel.mappers.nests.costs import Costs, cost
from hwmodel.quantity.errors import CapacityError, CoverageError, InputError, UnknownNameError
from hwmodel.spine.mapping import Compute, Keep, Loop, Mapping

PRODUCT = "Z[m, n] = A[m, k] * B[k, n]"
SIZES = {"m": 4, "n": 4, "k": 8}
TILED = (
    *(Keep("Z", "buffer"), Keep("Z", "register"), Loop("k", 2)),
    *(Keep(tensor, level) for level in ("buffer", "register") for tensor in "AB"),
    Compute("Z"),
)


def product(**densities: Any) -> Cascade:
    return parse(PRODUCT, sizes=SIZES, dtypes={"*": "int8"}).sparse(**densities)


def machine(name: str, **changes: Any) -> Hardware:
    return (
        device("peer-a3")
        .but(
            arrays={"elements": {"rows": 1, "columns": 1}},
            register={"capacity": "1 KiB"},
            **changes,
        )
        .but(sparsity=name)
    )


def counted(work: Cascade, on: Hardware, *nest: Any) -> Costs:
    return cost(work, on, Mapping(work.name, on.name, nest or TILED), OVERLAP)


def test_gating_saves_joules_and_no_time() -> None:
    """128 products, half of A and a quarter of B no zero: 16 are done, in 128 turns."""
    dense, gated = (
        counted(product(), machine("")),
        counted(product(A=0.5, B=0.25), machine("gating")),
    )
    assert (dense.counts.steps, gated.counts.steps) == (128, 128)
    assert sum(dense.work.operations.values()) == 256
    assert sum(gated.work.operations.values()) == 32
    assert dense.counts.traffic_bytes("dram") == 32 + 32 + 16
    # bitmasks: half of A's 32 bytes and a bit each, a quarter of B's and a bit each
    assert gated.counts.traffic_bytes("dram") == (16 + 4) + (8 + 4) + 16
    # sums: 128 written and 112 read, an eighth of each; operands are kept plain in the registers
    near = [(t.tensor, t.accesses * t.element_bytes) for t in gated.counts.touches]
    assert near == [("Z", (128 + 112) / 8), ("A", 128), ("B", 128)]


def test_skipping_saves_turns_and_tiles_that_meet_nothing() -> None:
    """An eighth of the turns; tiles of 8 elements, all zeros with a chance of 0.5^8 and 0.75^8."""
    found = counted(product(A=0.5, B=0.25), machine("skipping"))
    assert found.counts.steps == 16
    moves = {(t.tensor, t.inner): t for t in found.counts.transfers}
    assert moves["A", "register"].fills == pytest.approx(32 * (1 - 0.75**8))
    assert moves["B", "register"].fills == pytest.approx(32 * (1 - 0.5**8))
    assert moves["A", "buffer"].fills == 32
    # 3 bits for one of 8 places along k, 2 for one of 4 along n
    assert moves["A", "buffer"].element_bytes == pytest.approx(0.5 * (8 + 3) / 8)
    assert moves["B", "buffer"].element_bytes == pytest.approx(0.25 * (8 + 2) / 8)


def test_tiles_that_are_skipped_are_those_of_a_mask_walked_tile_by_tile() -> None:
    """Of two lanes over m and two over n, each takes the words of B that meet a value of A."""
    mask = np.zeros((4, 8), np.bool_)
    mask[0, 0] = mask[3, 1] = mask[2, 5] = True
    on = machine("skipping").but(arrays={"elements": {"rows": 2, "columns": 2}})
    nest = (
        *(Keep(tensor, "buffer") for tensor in "ABZ"),
        *(Loop("m", 2, "rows"), Loop("n", 2, "columns"), Loop("k", 2), Loop("m", 1)),
        *(Keep(tensor, "register") for tensor in "ABZ"),
        Compute("Z"),
    )
    found = counted(product(A=mask), on, *nest)
    (moved,) = (t for t in found.counts.transfers if (t.tensor, t.inner) == ("B", "register"))
    read = written = 0
    for k in range(0, 8, 2):  # B's tile of 2 x 2 stays while m goes on inside of the lanes
        lanes = [mask[2 * lane : 2 * lane + 2, k : k + 2].any() for lane in range(2)]
        written += 2 * sum(4 * lane for lane in lanes)
        read += 2 * 4 * any(lanes)
    assert moved.copies == pytest.approx(written)
    assert moved.fills == pytest.approx(read)
    assert (read, written) == (16, 24)


def test_structured_weights_take_half_the_turns_and_are_found_by_two_bits() -> None:
    found = counted(product(B="2 of 4 k"), machine("structured"))
    assert found.counts.steps == 64
    moved = next(t for t in found.counts.transfers if (t.tensor, t.inner) == ("B", "buffer"))
    assert moved.moved_bytes == 32 * 0.5 * (8 + 2) / 8


def test_room_is_what_nonzeros_take() -> None:
    """8 elements of A and 8 of B in a buffer, with Z's 16: 32 bytes dense, 16 + 5 + 3 as bits."""
    small = machine("gating", buffer={"capacity": "24 B"})
    assert counted(product(A=0.5, B=0.25), small).counts.footprint_bytes["buffer"] == 16 + 5 + 3
    with pytest.raises(CapacityError, match="buffer need"):
        counted(product(A=0.5, B=0.5), small)


def test_run_lengths_write_a_zero_where_a_run_is_longer_than_its_bits_say(tmp_path: Path) -> None:
    """Values drawn: what 2 bits of zeros before each value take of a long row, entry by entry."""
    mine = tmp_path / "mine.yaml"
    said = "title: t\nsource: s\nformats: {{dram: {{input: {}}}}}\n"
    mine.write_text(said.format("run-length 2"), encoding="utf-8")
    found = counted(product(A=0.3), machine(str(mine)))
    row = np.random.default_rng(1).random(200_000) < 0.3
    entries, run = 0, 0
    for value in row:
        run = 0 if value or run == 3 else run + 1
        entries += value or run == 0
    moved = next(t for t in found.counts.transfers if (t.tensor, t.inner) == ("A", "buffer"))
    assert moved.element_bytes == pytest.approx(entries * (8 + 2) / 8 / len(row), rel=0.01)
    mine.write_text(said.format("[zip]"), encoding="utf-8")
    with pytest.raises(InputError, match="formats"):
        counted(product(A=0.3), machine(str(mine)))
    mine.write_text(said.format("zip"), encoding="utf-8")
    with pytest.raises(UnknownNameError, match="zip"):
        counted(product(A=0.3), machine(str(mine)))


def test_dense_work_costs_the_same_on_a_machine_that_knows_zeros() -> None:
    plain, knowing = counted(product(), machine("")), counted(product(), machine("skipping"))
    assert plain.energy_j == knowing.energy_j
    half = counted(product(A=0.5, B=0.5), machine(""))
    assert (half.energy_j, half.time_s) == (plain.energy_j, plain.time_s)


def test_where_zeros_are_not_modelled_they_are_refused_by_name() -> None:
    for on in ("h200", "fusemax"):
        for verb in (hw.predict, hw.map):
            with pytest.raises(CoverageError, match=r"tensors with a density \(A\)"):
                verb(product(A=0.5), on=on)
    with pytest.raises(CoverageError, match=r"tensors with a density \(A\)"):
        hw.bound(product(A=0.5), on="peer-a3")
    with pytest.raises(CoverageError, match="array"):
        hw.map(product(A=0.5), on="peer-a2")
    with pytest.raises(UnknownNameError, match="skipping"):
        sparsity("skip")
    assert set(sparsities()) == {"gating", "skipping", "structured"}


def test_predict_is_what_map_finds_for_latency() -> None:
    on = device("peer-a3").but(sparsity="skipping")
    work = product(A=0.5, B=0.25)
    predicted = hw.predict(work, on=on)
    mapped: Any = hw.map(work, on=on, objective="latency")
    assert predicted.time_s == pytest.approx(mapped.value)
    assert predicted.energy_j == pytest.approx(mapped.costs.energy_j)
    assert mapped.value < hw.map(product(), on=on, objective="latency").value


ROWS = {
    "name": "rows",
    "title": "rows of the second operand that are dropped are neither brought nor multiplied",
    "source": "SpAtten, section III: tokens are pruned before they are fetched",
    "skips": [
        {"of": ["weight"], "where": ["weight"], "out_of": "dram"},
        {"of": ["output"], "where": ["weight"]},
    ],
}


@pytest.mark.parametrize("kept", [0.25, 0.5])
def test_pruned_tokens_are_fetched_as_by_the_chip_that_prunes_them(kept: float) -> None:
    """Rows of K, a tile each, and operations of Q K: SpAtten's own model is another one."""
    heads, tokens = 12, 1024
    text = f"tensor K[h, m, e]: int8 ~ {kept} along m\nS[h, m] = Q[h, e] * K[h, m, e]"
    work = parse(text, sizes={"h": heads, "m": tokens, "e": 64}, dtypes={"*": "int8"})
    machine = device("peer-a3").but(sparsity=json.dumps(ROWS))
    loops = (Loop("h", 1), Loop("m", 1), Keep("K", "buffer"), Keep("Q", "buffer"))
    inner = tuple(Keep(tensor, "register") for tensor in ("Q", "K", "S"))
    nest = (*loops, Keep("S", "buffer"), Loop("e", 1), *inner, Compute("S"))
    counts = cost(work, machine, Mapping("case", "machine", nest), OVERLAP).counts
    brought = sum(t.fills for t in counts.transfers if (t.tensor, t.outer) == ("K", "dram"))
    assert brought == pytest.approx(kept * heads * tokens * 64)
    sizes: Any = {"batch": 1, "heads": heads, "head_dim": 64, "queries": 1, "dtype": "int8"}
    some, every = (
        hw.predict(hw.workloads.attention(keys=keys, **sizes), on="spatten")
        for keys in (int(kept * tokens), tokens)
    )
    streamed = heads * 64 * 2
    chip = (float(some.dram_bytes_read) - streamed) / (float(every.dram_bytes_read) - streamed)
    assert brought / (heads * tokens * 64) == pytest.approx(chip, rel=0.02)
    assert counts.operations["multiply", "int8"] == pytest.approx(kept * heads * tokens * 64)
