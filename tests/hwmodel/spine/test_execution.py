"""Executions: what goes together, who stands with whom, and the table that says it."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwmodel.einsum.division import DENSE, SPARSE
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.spine.execution import CHUNKS, Execution


def test_nothing_said_is_one_device_by_itself() -> None:
    alone = Execution.of(None)
    assert alone.devices == 1
    assert alone.given == {}
    assert alone == Execution.of({}) == Execution()
    assert alone.pipeline == "1f1b"
    assert alone.micro_batches is None


def test_a_published_run_says_its_devices_and_micro_batches() -> None:
    """Megatron's trillion: 3,072 devices of 8 x 64 x 6, 3,072 sequences, one at a time: 512."""
    run = Execution.of({"tp": 8, "pp": 64, "dp": 6, "global_batch": 3072})
    assert run.devices == 3072
    assert run.micro_batches == 512


@pytest.mark.parametrize(
    "table",
    [
        {"tp": 8},
        {"tp": 8, "pp": 4, "vp": 2, "dp": 2, "sp": True, "global_batch": 64, "zero": 2},
        {"dp": 64, "pp": 2, "ep": 32, "schedule": "dualpipe", "recompute": "full"},
        {"tp": 2, "dp": 4, "ep": 8, "etp": 1},
    ],
)
def test_an_execution_says_the_table_that_it_was_made_from(table: dict[str, Any]) -> None:
    assert Execution.of(table).given == table
    assert Execution.of(Execution.of(table).given) == Execution.of(table)


def test_a_changed_copy_is_checked_again() -> None:
    run = Execution.of({"tp": 4, "pp": 2})
    assert run.but(tp=8).devices == 16
    assert run.but(vp=2).pipeline == "interleaved"
    with pytest.raises(InputError, match="vp: expected pp of 2 or more"):
        run.but(pp=1, vp=2)
    with pytest.raises(UnknownNameError, match="did you mean 'tp'"):
        run.but(tpp=2)


def test_sequence_parallel_may_be_told_as_devices() -> None:
    assert Execution.of({"tp": 4, "sp": 4}).sp is True
    assert Execution.of({"tp": 4, "sp": 1}).sp is False
    with pytest.raises(InputError, match=r"sp: expected true, false, 1 or tp \(4\), found 2"):
        Execution.of({"tp": 4, "sp": 2})
    with pytest.raises(InputError, match=r"1 or tp \(1\), found 2"):
        Execution.of({"sp": 2})


def test_sequence_parallelism_of_one_device_is_off() -> None:
    """As Megatron-LM has it; a number of devices and a flag say the same."""
    assert Execution.of({"sp": True}) == Execution.of({"sp": 1}) == Execution()
    assert Execution.of({"tp": 2, "sp": True}).but(tp=1).sp is False


@pytest.mark.parametrize(
    ("said", "name", "chunks"),
    [
        ("1F1B", "1f1b", 1),
        ("Interleaved1F1B", "interleaved", 2),
        ("Interleaved 1F1B", "interleaved", 2),
        ("GPipe", "gpipe", 1),
        ("ZBVZeroBubble", "zb-v", 2),
        ("zb_h1", "zb-h1", 1),
        ("DualPipeV", "dualpipe-v", 2),
    ],
)
def test_schedules_go_by_the_names_of_torch_too_with_the_chunks_that_they_have(
    said: str, name: str, chunks: int
) -> None:
    """Tables of torchtitan say the schedule and no chunks, of which its default is two a stage."""
    found = Execution.of({"pp": 4, "schedule": said})
    assert (found.schedule, found.vp) == (name, chunks)
    assert Execution.of({"schedule": said}).vp == 1


REFUSED: dict[str, Mapping[str, Any]] = {
    "parallel: tp: expected a number above 0, found 0": {"tp": 0},
    "pp: expected a whole number": {"pp": 1.5},
    "dp: expected a plain number, found '2'": {"dp": "2"},
    "cp: expected one number, found an array": {"cp": [1, 2]},
    "zero: expected a stage of 0 to 3, found 4": {"zero": 4},
    "vp: expected pp of 2 or more": {"vp": 2},
    r"ep x etp \(8 x 2\) to divide tp x cp x dp \(8\).*etp=1 would do": {
        "tp": 2,
        "dp": 4,
        "ep": 8,
        "etp": 2,
    },
    r"ep x etp \(3 x 1\) to divide tp x cp x dp \(8\), on whose devices the experts are$": {
        **{"dp": 8, "ep": 3}
    },
    r"etp: expected tp \(4\) where ep is 1, found 2": {"tp": 4, "etp": 2},
    r"global_batch: expected a multiple of micro_batch x dp \(2 x 4\), found 20": {
        **{"dp": 4, "micro_batch": 2, "global_batch": 20}
    },
    "interleaved expects vp of 2 or more, found 1": {"pp": 2, "vp": 1, "schedule": "interleaved"},
    "zb-v expects vp=2, found 1": {"pp": 2, "vp": 1, "schedule": "zb-v"},
    "1f1b expects vp=1, found 2": {"pp": 2, "vp": 2, "schedule": "1f1b"},
    r"a multiple of pp \(4\) micro-batches, found 6": {"pp": 4, "vp": 2, "global_batch": 6},
    r"dualpipe expects 2 pp \(8\) micro-batches or more, found 6": {
        **{"pp": 4, "schedule": "dualpipe", "global_batch": 6}
    },
    "even numbers of stages and micro-batches, found 3 and 6": {
        **{"pp": 3, "schedule": "dualpipe", "global_batch": 6}
    },
    "unknown schedule '1f1c'.*did you mean '1f1b'": {"pp": 2, "schedule": "1f1c"},
    "recompute: expected 'none', 'selective', 'full' or 'reversible'": {"recompute": "some"},
    "ends: expected divided, as steps of training": {"tp": 2, "ends": "whole"},
    "recompute_layers: expected recompute=selective or full": {"recompute_layers": 2},
    "unknown kind of parallelism 'tpp'.*did you mean 'tp'": {"tpp": 2},
    "devices: expected 1048576 or fewer, found 2097152": {"tp": 2**11, "dp": 2**10},
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_does_not_go_together_is_refused_with_the_reason(message: str) -> None:
    with pytest.raises(InputError, match=message):
        Execution.of(REFUSED[message])


def test_what_is_no_table_is_refused() -> None:
    with pytest.raises(InputError, match=r'expected a table such as \{"tp": 8\}, found 8'):
        Execution.of(8)  # pyright: ignore[reportArgumentType]


PAPERS = {
    **dict.fromkeys(("gpipe", "1f1b", "zb-h1", "zb-h2", "dualpipe"), (1,)),
    **dict.fromkeys(("zb-v", "v-half", "v-min", "dualpipe-v"), (2,)),
    "interleaved": (2, 3, 4),
}
"""Schedule -> chunks of a stage that its paper draws."""


@pytest.mark.parametrize("schedule", CHUNKS)
def test_a_schedule_has_its_paper_s_chunks(schedule: str) -> None:
    for chunks in (1, 2, 3, 4):
        table = {"pp": 4, "vp": chunks, "global_batch": 16, "schedule": schedule}
        if chunks in PAPERS[schedule]:
            assert Execution.of(table).pipeline == schedule
        else:
            with pytest.raises(InputError, match=f"{schedule} expects vp"):
                Execution.of(table)
    assert Execution(pp=1, schedule=schedule).devices == 1  # no pipeline, nothing to order


def test_groups_are_megatron_s() -> None:
    """The example in the docstring of its `initialize_model_parallel`: 16 devices, tp 2, pp 4."""
    run = Execution(tp=2, pp=4, dp=2)
    assert run.groups("tp") == tuple((rank, rank + 1) for rank in range(0, 16, 2))
    assert run.groups("pp") == ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
    assert run.groups("dp") == (
        *((0, 2), (1, 3), (4, 6), (5, 7), (8, 10), (9, 11), (12, 14), (13, 15)),
    )
    assert run.groups("tp", "pp") == ((0, 1, 4, 5, 8, 9, 12, 13), (2, 3, 6, 7, 10, 11, 14, 15))


def test_experts_fold_the_axes_of_a_stage_anew() -> None:
    """Tp 2, dp 4: experts over 4 pairs, or each alone on one of 8 devices."""
    pairs = Execution(tp=2, dp=4, ep=4)
    assert pairs.groups("etp") == ((0, 1), (2, 3), (4, 5), (6, 7))
    assert pairs.groups("ep") == ((0, 2, 4, 6), (1, 3, 5, 7))
    single = Execution(tp=2, dp=4, ep=4, etp=1)
    assert single.groups("ep") == ((0, 1, 2, 3), (4, 5, 6, 7))
    assert single.groups("edp") == ((0, 4), (1, 5), (2, 6), (3, 7))


@given(
    st.tuples(*(st.integers(1, 3) for _ in DENSE)),
    st.sampled_from([("tp",), ("cp", "dp"), ("pp", "tp"), DENSE, ("ep",), ("edp", "etp"), SPARSE]),
)
def test_groups_hold_each_rank_once_and_differ_along_their_axes_alone(
    degrees: tuple[int, ...], axes: tuple[str, ...]
) -> None:
    table = dict(zip(DENSE, degrees, strict=True))
    run = Execution(**table, ep=table["dp"])
    groups = run.groups(*axes)
    assert sorted(rank for group in groups for rank in group) == list(range(run.devices))
    others = [axis for axis in (DENSE if axes[0] in DENSE else SPARSE) if axis not in axes]
    for group in groups:
        places = [run.coordinates(rank) for rank in group]
        assert len({tuple(place[axis] for axis in axes) for place in places}) == len(group)
        assert len({tuple(place[axis] for axis in others) for place in places}) == 1


def test_axes_that_are_none_or_mixed_are_refused() -> None:
    run = Execution(tp=2, dp=2, ep=2)
    with pytest.raises(UnknownNameError, match="unknown axis of devices 'vp'"):
        run.groups("vp")
    with pytest.raises(InputError, match="found tp, ep"):
        run.groups("tp", "ep")
    with pytest.raises(InputError, match="found none"):
        run.groups()
    with pytest.raises(InputError, match="rank: expected 0 to 3, found 4"):
        run.coordinates(4)
