"""What people read: every number of an answer, at most 100 columns wide, the same each time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import hwmodel
from hwmodel.bounds.bound import Bound, LevelBound
from hwmodel.einsum.workloads.gemm import gemm
from hwmodel.hardware.catalogue import device, devices
from hwmodel.show.datasheet import device_text
from hwmodel.show.text import (
    bound_text,
    by_word,
    comparison_text,
    devices_text,
    estimate_text,
    first,
)
from hwmodel.spine.activity import Work
from hwmodel.spine.estimate import Estimate, Part, Serving
from hwmodel.spine.memory import MemoryFit
from hwmodel.text.grid import WIDTH

PRODUCT = Part(
    name="gate-up",
    family="gemm:cublas",
    times=32,
    counts=Work(
        operations={("matrix", "flop", "bf16"): 3_000_000_000},
        read={"dram": 48_000_000},
        written={"dram": 2_000_000},
    ),
    time_s=25e-6,
    sustained_s=25e-6,
    busy_s={"dram": 20e-6, "matrix": 5e-6, "launch": 1e-6},
    energy_j=0.01,
    interval=(0.9, 1.2),
    work=gemm(M=1000, N=1000, K=1000),
)
NORM = replace(
    PRODUCT,
    name="norm",
    times=8,
    counts=Work(read={"dram": 1_000_000}),
    work=None,
    time_s=25e-6,
    sustained_s=25e-6,
    busy_s={"launch": 2e-6, "dram": 1e-6},
)
ESTIMATE = Estimate(
    name="toy decode",
    device="Toy GPU",
    parts=(PRODUCT, NORM),
    bound_bytes=804_000_000,
    bound_s=0.5e-3,
    assumptions=("cold L2",),
    everywhere=("the interval is a prior",),
)
"""1 ms = 32 x 25 us + 8 x 25 us; 1.608 GB = 32 x 50 MB + 8 x 1 MB."""

MEMORY = MemoryFit(
    weights_bytes=16_000_000_000,
    kv_cache_bytes=8_000_000_000,
    activations_bytes=1_000_000_000,
    reserve_bytes=14_000_000_000,
    total_bytes=39_000_000_000,
    capacity_bytes=141_000_000_000,
    short_by_bytes=0,
    largest_batch=412,
    fits=True,
)


def row(text: str, name: str) -> list[str]:
    """The cells of the first line that starts with a name; cells stand two blanks apart."""
    line = next(line for line in text.splitlines() if line.startswith(name + "  "))
    return [cell for cell in line.split("  ") if cell]


def test_the_first_line_is_the_answer() -> None:
    line = estimate_text(ESTIMATE).splitlines()[0]
    assert line == "toy decode on Toy GPU: 1 ms (900 us to 1.2 ms), dram binds"


def test_a_kernel_shows_counts_of_all_its_runs_and_the_time_of_one() -> None:
    cells = [cell.strip() for cell in row(estimate_text(ESTIMATE), "gate-up")]
    assert cells[1:7] == ["32", "25 us", "800 us", "80.0%", "64 G", "1.6 GB"]
    assert cells[7:] == ["640 us", "160 us", "dram"]


def test_the_total_is_the_sum_of_the_kernels() -> None:
    cells = [cell.strip() for cell in row(estimate_text(ESTIMATE), "total")]
    assert cells[1] == "40"
    assert [cell for cell in cells[2:] if cell] == [
        *("1 ms", "100.0%", "64 G", "1.61 GB"),
        *("648 us", "160 us", "dram"),
    ]


def test_a_lone_kernel_has_no_total() -> None:
    assert "\ntotal" not in estimate_text(replace(ESTIMATE, parts=(PRODUCT,)))


def test_the_distance_from_the_bound_and_the_roofline_is_stated() -> None:
    text = estimate_text(ESTIMATE)
    assert "roofline  500 us; the time is 2x it" in text
    assert "1.54 GB read, 64 MB written; 2x the bound, 804 MB" in text
    assert (
        "rates     64 T operations/s asked for, 96 T carried out with padding; DRAM 1.61 TB/s"
        in text
    )


def test_assumptions_and_warnings_are_listed() -> None:
    text = estimate_text(ESTIMATE)
    assert "assumptions\n  - cold L2" in text
    assert text.endswith("warnings\n  - the interval is a prior")


def test_a_decoder_step_shows_tokens_joules_and_memory() -> None:
    text = estimate_text(replace(ESTIMATE, serving=Serving(32, MEMORY)))
    assert text.splitlines()[0].endswith("dram binds, 32 k tokens/s, fits")
    assert "400 mJ; 12.5 mJ per token" in text
    cells = [cell.strip() for cell in text.split("─\n")[-1].splitlines()[0].split("  ") if cell]
    assert cells == [*("16 GB", "8 GB", "1 GB", "14 GB", "39 GB", "141 GB", "fits", "412")]


def test_a_model_that_does_not_fit_says_by_how_much() -> None:
    memory = replace(MEMORY, fits=False, short_by_bytes=5_000_000_000, largest_batch=0)
    text = estimate_text(replace(ESTIMATE, serving=Serving(32, memory)))
    assert text.split("\n\n")[0].endswith("short by 5 GB")


def test_a_call_that_the_power_limit_slows_shows_both_times() -> None:
    """32 runs of 50 us and 8 of 25 us, one after another without a rest."""
    hot = replace(PRODUCT, sustained_s=50e-6)
    text = estimate_text(replace(ESTIMATE, parts=(hot, NORM), window_s=1.0))
    assert "time      1 ms; " in text
    assert "; 1.8 ms in unbroken repetition, at the power limit" in text
    assert "unbroken" not in estimate_text(ESTIMATE)


def test_a_sweep_shows_its_first_point_and_says_so() -> None:
    swept = replace(PRODUCT, time_s=np.array([25e-6, 50e-6, 75e-6]))
    lines = estimate_text(replace(ESTIMATE, parts=(swept, NORM))).splitlines()
    assert lines[0].startswith("toy decode on Toy GPU: 1 ms")
    assert lines[0].endswith("(the first of 3 points)")


@pytest.mark.parametrize(
    ("value", "expected"), [(3, 3), (2.5, 2.5), ("dram", "dram"), (np.array([[7.0, 8.0]]), 7.0)]
)
def test_the_first_point_of_anything(value: Any, expected: Any) -> None:
    assert first(value) == expected


def test_resources_behind_one_word_count_by_the_busiest() -> None:
    """A processor's port leads to the L2."""
    assert by_word({"matrix": 1.0, "l2": 1.5, "port": 2.0}) == {"matrix": 1.0, "l2": 2.0}


def test_a_bound_shows_each_level_with_its_reason() -> None:
    levels = (
        LevelBound("dram", 132_000_000, 101_000_000, "inputs and outputs once"),
        LevelBound("l2", 69_000_000, 205_000_000, "2MNK/sqrt(S) - 2S"),
    )
    text = bound_text(Bound("gemm", levels, 101_000_000, {"QK over m": 2}))
    assert text.startswith("gemm: at least 101 MB cross the dram boundary")
    assert [cell.strip() for cell in row(text, "l2")] == [
        "l2",
        "205 MB",
        "69 MB",
        "2MNK/sqrt(S) - 2S",
    ]
    assert text.endswith("passes  QK over m: 2")


def test_a_comparison_is_relative_to_the_first_machine() -> None:
    fast = replace(
        ESTIMATE,
        device="Fast GPU",
        parts=(replace(PRODUCT, time_s=12.5e-6, sustained_s=12.5e-6), NORM),
    )
    text = comparison_text((ESTIMATE, fast))
    assert text.startswith("toy decode: number 2 (Fast GPU) is fastest, 1.67x of number 1")
    assert [cell.strip() for cell in row(text, "2")][1:5] == [
        *("Fast GPU", "600 us", "540 us to 720 us", "1.67x")
    ]
    assert text.count("the interval is a prior") == 1


def test_every_number_of_a_device_stands_beside_its_source() -> None:
    h200 = device("h200")
    text = device_text(h200)
    bandwidth = [cell.strip() for cell in row(text, "memories.dram.bandwidth")]
    assert bandwidth[1] == "4.8 TB/s"
    number = bandwidth[2]
    source = next(line for line in text.splitlines() if line.startswith(number))
    assert "NVIDIA H200 Tensor Core GPU datasheet" in source
    assert all(f"\n{path} " in text for path in h200.sources)


def test_sizes_that_are_round_in_binary_units_are_shown_in_them() -> None:
    text = device_text(device("h200"))
    assert row(text, "memories.register.capacity")[1].strip() == "256 KiB"
    assert row(text, "memories.dram.capacity")[1].strip() == "150 GB"
    assert row(text, "area")[1].strip() == "814 mm2"


def test_the_catalogue_is_listed_by_name() -> None:
    text = devices_text([device(name) for name in devices()])
    assert all(f"\n{name} " in text for name in devices())


def test_a_gpu_says_where_the_rates_of_its_kernels_come_from() -> None:
    told = {"h200": "measured", "b200": "published", "a100-40gb": "inherited", "mi300x": "prior"}
    text, _ = devices_text([device(name) for name in told]).split("what efficiencies rest on")
    lines = {line.split()[0]: line.split()[-1] for line in text.splitlines() if line.strip()}
    assert {name: lines[name] for name in told} == told
    families = device("b200").calibration
    assert families is not None
    assert families.family("decode:vllm:trtllm-gen").told == "published"
    assert families.family("rows:torch").told == "inherited"


def test_what_efficiencies_rest_on_is_listed_by_kind_of_kernel() -> None:
    lines = devices_text([device(name) for name in ("a100", "a30", "h200", "mi300x")]).splitlines()
    said = {line.split()[0]: line.split("  ") for line in lines[-4:]}
    products = {name: next(filter(None, words[1:])).strip() for name, words in said.items()}
    assert products == {
        "a100": "published",
        "a30": "inherited",
        "h200": "measured",
        "mi300x": "prior",
    }


@pytest.fixture(scope="module")
def texts() -> list[str]:
    llm = hwmodel.predict(hwmodel.model("qwen3-30b-a3b").prefill(4, 2048), on="h200")
    return [
        *(estimate_text(llm), comparison_text((llm, llm)), estimate_text(ESTIMATE)),
        *(device_text(device(name)) for name in devices()),
        devices_text([device(name) for name in devices()]),
    ]


def test_no_text_is_wider_than_its_limit_or_coloured(texts: list[str]) -> None:
    for text in texts:
        assert max(map(len, text.splitlines())) <= WIDTH, text
        assert "\x1b" not in text


def test_the_same_answer_gives_the_same_text() -> None:
    assert estimate_text(ESTIMATE) == estimate_text(replace(ESTIMATE))


def test_a_comparison_says_on_which_machines_a_model_does_not_fit() -> None:
    step = hwmodel.model("llama-3.1-70b").decode(1, 2048)
    text = str(hwmodel.compare(step, on=["a100", "mi300x"]))
    assert "does not fit on NVIDIA A100" in text
    assert "does not fit on AMD" not in text
