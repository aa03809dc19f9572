"""Microcontrollers: latency, energy, SRAM and Flash of networks; laws; what does not fit."""

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.bounds.limit import Limit
from hwmodel.einsum.workloads.layer import Layer
from hwmodel.machines.driver import predict
from hwmodel.machines.mcu.arena import Held, arena
from hwmodel.machines.mcu.predict import leaf, scheduled, tree
from hwmodel.quantity.errors import CoverageError, UnknownNameError
from hwmodel.spine.activity import totals

H743 = hw.device("stm32h743")
MCUS = tuple(name for name in hw.devices() if hw.device(name).kind == "mcu")


def test_cores_and_accelerators_are_shipped() -> None:
    cores = {"nrf52840", "stm32f412", "stm32f746", "stm32f765", "stm32h743", "stm32u585"}
    assert cores | {"esp32-s3", "rp2040", "stm32n6", "ethos-u55", "ethos-u65"} == set(MCUS)


@pytest.mark.parametrize(
    ("network", "kernel", "measured_ms"),
    [
        *(("mcunet-in2", "tinyengine", 280), ("mcunet-in2", "cmsis-nn", 642)),
        *(("mcunet-in2", "x-cube-ai", 351), ("mcunet-in2", "tflm", 6463)),
        *(("mcunet-vww1", "tinyengine", 51), ("mcunet-vww1", "cmsis-nn", 97)),
    ],
)
def test_latency_lies_in_the_interval_of_what_was_measured(
    network: str, kernel: str, measured_ms: float
) -> None:
    """TinyEngine's README, STM32H743 at 480 MHz."""
    found = hw.predict(hw.workloads.cnn(network), on=H743, kernel=kernel)
    assert found.time_low_s <= measured_ms * 1e-3 <= found.time_high_s
    assert found.time_s == pytest.approx(measured_ms * 1e-3, rel=0.2)


@pytest.mark.parametrize(
    ("kernel", "large", "small", "proxyless", "within"),
    [
        *(("tinyengine", 280, 51, 176, 0.06), ("cmsis-nn", 642, 97, 380, 0.14)),
        *(("x-cube-ai", 351, 57, 205, 0.065), ("tflm", 6463, 1120, 3801, 0.035)),
    ],
)
def test_a_network_that_was_measured_says_what_others_take(
    kernel: str, large: float, small: float, proxyless: float, within: float
) -> None:
    """Milliseconds of mcunet-in2 alone predict the others, whatever the fitted share."""
    networks = (
        hw.workloads.cnn("mcunet-in2"),
        hw.workloads.cnn("mcunet-vww1"),
        hw.workloads.cnn("proxyless-mobile", resolution=176, width=0.3),
    )
    known, *others = (float(hw.predict(net, on=H743, kernel=kernel).time_s) for net in networks)
    for found, measured in zip(others, (small, proxyless), strict=True):
        assert found / known == pytest.approx(measured / large, rel=within)


def test_flash_is_that_of_tinyengine() -> None:
    """521 and 830 kB measured, of which the program's 50 kB are the mean of both: within 0.5 %."""
    for name, measured in (("mcunet-vww1", 521e3), ("mcunet-in2", 830e3)):
        flash = hw.predict(hw.workloads.cnn(name), on=H743).stores[1]
        assert flash.needed_bytes == pytest.approx(measured, rel=5e-3)


@pytest.mark.parametrize("name", MCUS)
def test_energy_is_the_running_power_for_the_time_and_sums_over_components(name: str) -> None:
    machine = hw.device(name)
    found = hw.predict(hw.workloads.cnn("mcunet-vww1"), on=machine)
    whole = machine.power.run_w * found.time_s
    if machine.architecture.startswith("cortex"):
        assert found.energy_j == pytest.approx(whole, rel=2e-3)
    assert found.energy_j < whole * 1.002  # an accelerator that waits for Flash draws less
    assert sum(found.energy_by_j.values()) == pytest.approx(found.energy_j, rel=1e-12)


def test_live_bytes_of_the_activity_fold_to_the_peak() -> None:
    for patches, split in ((1, 0), (4, 13)):
        made = hw.workloads.cnn("mobilenetv2", patches=patches, split=split)
        given, dtype = scheduled(made, H743)
        held = arena(given)
        live = totals(tree(given, held, dtype)).live["sram"]
        assert live == max(each.bytes for each in held)
        assert live == predict(made, H743, kernel=None).stores[0].needed_bytes


def test_a_network_too_large_says_by_how_much() -> None:
    found = hw.predict(hw.workloads.cnn("mobilenetv2"), on=H743)
    assert not found.fits
    assert found.stores[0].short_by_bytes == (1372 - 512) * 1024
    text = str(found)
    assert "sram 1,372.0 KiB, short by 860.0 KiB" in " ".join(text.split())


def test_a_network_that_fits_says_so() -> None:
    found = hw.predict(hw.workloads.cnn("mcunet-in2"), on=H743)
    assert found.fits
    assert found.bottleneck == "vector"


def test_patches_take_longer_and_move_no_less() -> None:
    whole = hw.predict(hw.workloads.cnn("mobilenetv2"), on=H743)
    tiled = hw.predict(hw.workloads.cnn("mobilenetv2", patches=4, split=13), on=H743)
    assert tiled.time_s > whole.time_s
    assert tiled.dram_bytes_read > whole.dram_bytes_read >= whole.bound_bytes
    assert tiled.bound_bytes == whole.bound_bytes
    assert whole.time_s > whole.bound_s


@pytest.mark.parametrize("level", ["flash", "sram"])
def test_more_bandwidth_is_never_slower(level: str) -> None:
    made = hw.workloads.cnn("mcunet-in2")
    rates = [f"{mb} MB/s" for mb in (1, 10, 100, 1000)]
    times = [
        float(hw.predict(made, on=H743.but(**{level: {"bandwidth": rate}})).time_s)
        for rate in rates
    ]
    assert times == sorted(times, reverse=True)
    assert times[0] > times[-1]


def test_bound_and_compare_work_on_every_device() -> None:
    made = hw.workloads.cnn("mcunet-vww1")
    for name in MCUS:
        limit = hw.bound(made, on=name)
        assert isinstance(limit, Limit)
        assert 0 <= limit.gap_to_bound < 0.2
        assert limit.time_over_limit > 1
        assert "flash" in str(limit)
    assert "STM32H743" in str(hw.compare(made, on=list(MCUS)))


def test_devices_without_measurements_inherit_and_say_so() -> None:
    made = hw.workloads.cnn("mcunet-vww1")
    ours = hw.predict(made, on=H743)
    for name in ("stm32f746", "stm32f412"):
        found = hw.predict(made, on=name)
        assert any("uncalibrated" in words for words in found.warnings)
        spread = found.time_high_s / found.time_low_s
        assert spread > ours.time_high_s / ours.time_low_s
    assert not ours.warnings


@pytest.mark.parametrize(
    ("workload", "kernel", "words"),
    [
        (hw.workloads.gemm(4, 4, 4, dtype="int8"), None, r"run convolutional networks"),
        (hw.workloads.cnn("mcunet-vww1", dtype="fp32"), None, r"is modelled for int8; found fp32"),
        (hw.workloads.cnn("mcunet-vww1"), "cudnn", r"kernel library .*known: cmsis-nn"),
    ],
)
def test_what_is_not_modelled_is_refused(workload: object, kernel: str | None, words: str) -> None:
    with pytest.raises((CoverageError, UnknownNameError), match=words):
        hw.predict(workload, on=H743, kernel=kernel)  # pyright: ignore[reportArgumentType]


def test_no_number_is_missing() -> None:
    found = hw.predict(hw.workloads.cnn("mcunet-vww1"), on=H743)
    assert all(np.isfinite(float(part.time_s)) for part in found.parts)
    assert len(found.parts) == len(hw.workloads.cnn("mcunet-vww1").stages)


def test_layers_read_and_write_the_maps_worked_out_by_hand() -> None:
    """4 x 4 x 8: a sum reads both maps; a 1 x 1 convolution to 6 channels one, and its weights."""
    shape = (4, 4, 8, 4, 4)
    added = leaf(Held(Layer("add", "add", (0, 1), *shape, 8), 256, 0, False, 256), "int8")
    assert (added.read["sram"], added.written["sram"], added.read["flash"]) == (256, 128, 0)
    assert sum(added.operations.values()) == 256
    made = leaf(Held(Layer("conv", "conv", (0,), *shape, 6), 224, 0, False, 128), "int8")
    assert (made.read["sram"], made.written["sram"]) == (128, 96)
    assert made.read["flash"] == 8 * 6 + 8 * 6
    assert sum(made.operations.values()) == 2 * 128 * 6


def test_rows_by_layer_are_what_the_stores_sum_up() -> None:
    """Flash: weights, channels and the program; SRAM: the most of any layer, planned or live."""
    for kernel in ("tinyengine", "tflm"):
        found = hw.predict(hw.workloads.cnn("mcunet-vww1"), on=H743, kernel=kernel)
        rows, (sram, flash) = found.by_layer, found.stores
        assert sum(row["flash_bytes"] for row in rows) + 50_000 == flash.needed_bytes
        planned = "arena_bytes" in rows[0]
        assert planned == (kernel == "tflm")
        most = max(row["arena_bytes" if planned else "sram_bytes"] for row in rows)
        assert sram.needed_bytes - most == (8 * 6114 if planned else 0)  # its channels'
    tiled = hw.predict(hw.workloads.cnn("mcunet-vww1", patches=2, split=5), on=H743)
    assert [row["runs_on"] for row in tiled.by_layer[:6]] == ["a tile"] * 5 + ["whole maps"]


def test_a_core_on_which_nothing_was_measured_has_a_priors_interval_at_least() -> None:
    """TFLM's was within 5 % on the Cortex-M7, which says nothing of an Xtensa core."""
    for name in ("esp32-s3", "rp2040", "stm32u585", "ethos-u55"):
        found = hw.predict(hw.workloads.cnn("mcunet-vww1"), on=name, kernel="tflm")
        assert found.time_high_s >= 1.9 * found.time_s
    near = hw.predict(hw.workloads.cnn("mcunet-vww1"), on="stm32f746", kernel="tflm")
    assert near.time_high_s < 1.2 * near.time_s


def test_an_esp32_takes_the_cycles_that_its_kernels_were_published_with() -> None:
    """ESP-NN at 0798b58: 10 x 10 x 64 x 64 products in 461,398 ticks, 8 x 8 x 16 x 16 in 43,578.

    Depthwise ones take 5.2 cycles each; a whole network lies between, and in C at ten times that.
    """
    board = hw.device("esp32-s3")
    found = hw.predict(hw.workloads.cnn("mcunet-vww1"), on=board)
    macs = float(found.flop) / 2
    fast, slow = 461_398 / (10 * 10 * 64 * 64), 191_931 / (16 * 16 * 9 * 16)
    assert fast < found.time_s * float(board.clock_hz) / macs < slow
    plain = hw.predict(hw.workloads.cnn("mcunet-vww1"), on=board, kernel="tflm")
    assert 4 < plain.time_s / found.time_s < 12
    assert "esp-nn" in " ".join(found.warnings)
    assert "ESP-NN" in " ".join(found.assumptions)
