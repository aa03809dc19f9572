"""Planned arenas: the planner's own tests, no overlap in time and place, no less than is live."""

import importlib.util
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.einsum.workloads.cnn import network
from hwmodel.einsum.workloads.patches import patched
from hwmodel.machines.mcu.arena import arena
from hwmodel.machines.mcu.libraries import library
from hwmodel.machines.mcu.planner import Buffer, buffers, greedy, needed_bytes, plan, size

EXAMPLE = Path(__file__).resolve().parents[5] / "shared" / "data" / "edge" / "vww.tflite"
WORDS = network("mcunet-vww1", None, 1.0, None)


def test_the_offsets_of_the_planners_own_test() -> None:
    """TestGreedyMedium of greedy_memory_planner_test.cc, which plans to single bytes."""
    sizes = ((10, 0, 1), (20, 1, 2), (30, 2, 3), (40, 3, 4), (50, 0, 1))
    placed = greedy([Buffer("", *each) for each in sizes], alignment=1)
    assert [each.offset for each in placed] == [50, 70, 40, 0, 0]
    assert max(each.end for each in placed) == 90


def test_buffers_apart_in_time_share_bytes_and_sizes_are_rounded_up() -> None:
    """TestGreedyBasics and TestOverlapCase: 20 of 10 and 20 bytes, 120 of 100, 50 and 20."""
    apart = greedy([Buffer("", 10, 0, 1), Buffer("", 20, 2, 3)], alignment=1)
    assert [each.offset for each in apart] == [0, 0]
    meeting = [Buffer("", 100, 0, 1), Buffer("", 50, 2, 3), Buffer("", 20, 1, 2)]
    assert max(each.end for each in greedy(meeting, alignment=1)) == 120
    assert size(greedy(meeting)) == 112 + 32


@given(
    st.lists(
        st.tuples(st.integers(1, 99), st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=12
    )
)
def test_no_two_buffers_share_a_byte_at_once(drawn: list[tuple[int, int, int]]) -> None:
    made = [Buffer("", count, first, first + more) for count, first, more in drawn]
    placed = greedy(made)
    for at, one in enumerate(placed):
        assert one.offset % 16 == 0
        for other in placed[at + 1 :]:
            if one.buffer.meets(other.buffer):
                assert one.end <= other.offset or other.end <= one.offset
    for step in range(16):
        live = sum(each.bytes for each in made if each.first <= step <= each.last)
        assert live <= size(placed)


def test_a_network_is_planned_to_no_less_than_what_is_live() -> None:
    """Of mcunet-vww1 as much as is live; with patches, a tile beside the stage's whole output.

    Its layers with weights have 6,114 channels.
    """
    used = library("tflm")
    for schedule in (patched(WORDS), patched(WORDS, 2, 5)):
        held = arena(schedule, in_place=False)
        found = needed_bytes(schedule, held, used) - 8 * 6114
        assert found == size(plan(schedule)) >= max(each.bytes for each in held)
    assert size(plan(patched(WORDS))) == 96_000
    whole = next(b for b in buffers(patched(WORDS, 2, 5)) if b.name == WORDS.layers[4].name)
    assert (whole.bytes, whole.first) == (WORDS.layers[4].outputs_elements, 0)


@pytest.mark.skipif(importlib.util.find_spec("tflite") is None, reason="needs the extra mcu")
@pytest.mark.skipif(not EXAMPLE.is_file(), reason="needs ../shared/data/edge/vww.tflite")
def test_copies_that_a_file_makes_are_what_was_measured_beyond_its_maps() -> None:
    """TinyEngine's README: 220 kB by TFLM; four maps of this file are padded by operators.

    Of the largest, 40 x 40 x 48 become 42 x 42 x 48 beside it.
    """
    schedule = patched(network(str(EXAMPLE), None, 1.0, None))
    copies = [b for b in buffers(schedule) if b.name.startswith("copy") and b.bytes > 80_000]
    assert [copy.bytes for copy in copies] == [42 * 42 * 48]
    found = needed_bytes(schedule, arena(schedule, in_place=False), library("tflm"))
    assert found == pytest.approx(220e3, rel=0.06)
