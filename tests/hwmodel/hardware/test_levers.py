"""What-ifs on arrays, FPGAs, microcontrollers and CPUs: what follows, what is pinned or refused."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import hwmodel as hw
from hwmodel.bounds.limit import Limit
from hwmodel.hardware.catalogue import device, devices
from hwmodel.hardware.hardware import Hardware
from hwmodel.hardware.levers import unheard
from hwmodel.hardware.parameters import Number, changed, numbers
from hwmodel.quantity.errors import HwmodelError, InputError
from hwmodel.show.json import full_record, plain
from hwmodel.spine.estimate import Estimate
from hwmodel.systems.prefetch import SMALLTHINKER_4B, decode
from tests.thorough import but

FUSEMAX, PEER = device("fusemax"), device("peer-a3")
MACHINES = [name for name in devices() if device(name).kind != "gpu"]
WORK = hw.workloads
FACTORS = (2, 0.5, 1e-6, 1e6)
"""By which each number is changed: a capacity that is large enough matters when it no longer is."""
SUMS = "Z[m] = A[m]" + 63 * " + A[m]"
TITLES = ("device", "name", "solve_time_s", "machine", "warnings", "area_reason")


def spatial(machine: Hardware) -> Iterator[Callable[[], Any]]:
    """What shows every number of arrays: attention and products that each resource binds."""
    if machine.binding == "spatten":
        for queries in (1, 64):
            work = WORK.attention(1, 4, queries, 630, 64, kv_dtype="int8")
            for kernel in ("dense", "gpt-2-small"):
                yield lambda w=work, k=kernel: hw.predict(w, machine, kernel=k)
        return
    for dtype in next(iter(machine.units.values())).rate_per_s:
        small = WORK.gemm(M=1, N=2, K=4, dtype=dtype)
        if not machine.binding:
            yield lambda w=small: hw.map(w, on=machine, objective="energy")
            yield lambda w=small: hw.bound(w, machine)
            continue
        for work in (small, WORK.gemm(M=4096, N=4096, K=4096, dtype=dtype)):
            yield lambda w=work: hw.predict(w, machine)
        for queries, keys in ((256, 1024), (2048, 65536)):
            work = WORK.attention(1, 4, queries, keys, 64, dtype=dtype)
            yield lambda w=work: hw.predict(w, machine)
        yield lambda w=work: hw.bound(w, machine)
        sums = hw.parse(SUMS, sizes={"m": 4096}, dtypes={"*": dtype})
        yield lambda w=sums: hw.predict(w, machine)


def fpga(machine: Hardware) -> Iterator[Callable[[], Any]]:
    """The same of kind fpga."""
    for dtype in ("int8", "int16", "fp16", "bf16", "fp32"):
        for m, n, k in ((512, 300, 700), (4, 4096, 4096)):
            work = WORK.gemm(M=m, N=n, K=k, dtype=dtype)
            yield lambda w=work: hw.predict(w, machine)
    yield lambda: hw.predict(WORK.softmax(rows=512, cols=2048), machine)
    for dtype in ("int4", "int16"):
        work = WORK.gemm(M=1, N=512, K=512, dtype=dtype)
        yield lambda w=work: hw.predict(w, machine, kernel="hls4ml")
    yield lambda: hw.predict(hw.model("llama-3.2-1b").decode(1, 128), machine)


def mcu(machine: Hardware) -> Iterator[Callable[[], Any]]:
    """The same of kind mcu."""
    work = WORK.cnn("mobilenetv2", resolution=96, width=0.35)
    yield lambda: hw.predict(work, machine)


def cpu(machine: Hardware) -> Iterator[Callable[[], Any]]:
    """The same of kind cpu."""
    for dtype in ("fp32", "fp16", "bf16", "int8", "int4"):
        for m, n, k in ((512, 300, 700), (4, 1024, 1024)):
            work = WORK.gemm(M=m, N=n, K=k, dtype=dtype)
            yield lambda w=work: hw.predict(w, machine)
    for limit in (None, 1e9):
        yield lambda bytes_=limit: decode(SMALLTHINKER_4B, machine, memory_bytes=bytes_)
    yield lambda: hw.predict(hw.model("llama-3.2-1b").decode(1, 128), machine)


def npu(machine: Hardware) -> Iterator[Callable[[], Any]]:
    """The same of kind npu."""
    for unit in machine.units.values():
        for dtype in unit.rate_per_s:
            for m, n, k in ((512, 300, 700), (4, 1024, 1024), (4096, 4096, 4096)):
                work = WORK.gemm(M=m, N=n, K=k, dtype=dtype)
                yield lambda w=work: hw.predict(w, machine)
    yield lambda: hw.predict(WORK.softmax(rows=4096, cols=4096), machine)
    yield lambda: hw.predict(hw.model("llama-3.2-1b").decode(1, 128), machine)
    if machine.link is not None:
        yield lambda: hw.predict(WORK.collective("all_reduce", bytes=1 << 20, ranks=2), machine * 2)


QUESTIONS = {"spatial": spatial, "fpga": fpga, "mcu": mcu, "cpu": cpu, "npu": npu}


def answers(machine: Hardware) -> Iterator[str]:
    """Every number of every answer on a machine, or the refusal."""
    for ask in QUESTIONS[machine.kind](machine):
        try:
            found: Any = ask()
        except HwmodelError as error:
            yield str(error).replace(machine.name, "")
            continue
        record: dict[str, Any]
        if isinstance(found, Limit):
            record = plain(found.bound)
        else:
            record = full_record(found)
        yield json.dumps({k: v for k, v in record.items() if k not in TITLES}, default=str)


def changes(machine: Hardware, number: Number) -> Iterator[Hardware]:
    """The machine with one number twice, half, and hardly there; counts stay whole."""
    for factor in FACTORS:
        value = number.value * factor
        value = max(1, round(value)) if number.whole else value
        if value != number.value:
            yield changed(machine, {number.path: value})


KINDS = ("ethos-u55", "fusemax", "i9-14900", "peer-a2", "spatten", "stm32h743", "tpu-v4", "u280")
"""A machine of each kind, and of each kind of array."""


@pytest.mark.parametrize("name", but([m for m in MACHINES if m not in KINDS], MACHINES))
def test_every_number_changes_an_answer_or_the_answer_says_that_it_does_not(name: str) -> None:
    machine = device(name)
    before = list(answers(machine))
    inert: list[str] = []
    for path, number in numbers(machine).items():
        for other in changes(machine, number):
            if unheard(other) or any(a != b for a, b in zip(before, answers(other), strict=True)):
                break
        else:
            inert.append(path)
    assert inert == []


@pytest.mark.parametrize("name", MACHINES)
def test_what_means_nothing_on_a_machine_is_refused_by_name(name: str) -> None:
    machine = device(name)
    for field in ("max_threads", "max_blocks", "registers", "port_bytes_per_clock"):
        with pytest.raises(InputError, match=rf"{name}: processors.{field}: .* describes a GPU"):
            machine.but(processors={field: 64})
        assert f"processors.{field}" not in numbers(machine)


def test_rates_of_arrays_are_refused_since_arrays_and_clock_make_them() -> None:
    with pytest.raises(InputError, match=r"change arrays\.matrix\.rows, columns or cycles"):
        FUSEMAX.but(units={"matrix": {"rate": {"bf16": "200 TFLOP/s"}}})
    with pytest.raises(InputError, match=r"change functions\.NAME\.energy"):
        FUSEMAX.but(matrix={"energy": {"bf16": "1 pJ/OP"}})
    with pytest.raises(InputError, match="one chip is modelled, not several"):
        FUSEMAX.but(processors={"count": 2})
    wide = FUSEMAX.but(arrays={"matrix": {"rows": 512}}, clock="470 MHz")
    assert wide.rate("matrix", "bf16") == FUSEMAX.rate("matrix", "bf16")
    assert wide.memory("buffer").bandwidth_bytes_per_s == pytest.approx(1925.12e9 / 2)


@pytest.mark.parametrize(
    ("kib", "energy_pj", "area_mm2"),
    [(16 * 1024, 48.57, 94.17625597), (8, 1.25, 94.17625597 / 2048), (32, 2.43, 94.17625597 / 512)],
)
def test_a_buffer_follows_the_published_law_of_capacity(
    kib: int, energy_pj: float, area_mm2: float
) -> None:
    """Horowitz at 45 nm: 10 pJ for 8 bytes of 8 KiB, 20 of 32 KiB (by the law 19.5)."""
    buffer = FUSEMAX.but(buffer={"capacity": f"{kib} KiB"}).memory("buffer")
    assert buffer.energy_j_per_byte == pytest.approx(energy_pj * 1e-12, rel=2e-3)
    assert buffer.area_m2 == pytest.approx(area_mm2 * 1e-6, rel=1e-9)


def test_the_law_takes_one_shipped_array_to_the_other() -> None:
    """Buffers of FuseMax (16 MiB), FLAT (32 MiB) and its edge (512 KiB), each with its number."""
    for name in ("flat", "flat-edge"):
        other = device(name).memory("buffer")
        ours = FUSEMAX.but(buffer={"capacity_bytes": other.capacity_bytes}).memory("buffer")
        assert ours.energy_j_per_byte == pytest.approx(other.energy_j_per_byte, rel=2e-4)


def test_what_a_user_names_is_pinned_in_any_order() -> None:
    pinned = {"energy": "10 pJ/B"}
    size = {"capacity": "1 MiB"}
    for machine in (
        FUSEMAX.but(buffer=pinned).but(buffer=size),
        FUSEMAX.but(buffer=size).but(buffer=pinned),
        FUSEMAX.but(buffer=pinned | size),
    ):
        assert machine.memory("buffer").energy_j_per_byte == 10e-12
        assert machine.memory("buffer").area_m2 == pytest.approx(94.17625597e-6 / 16)


def test_a_buffer_without_a_law_says_that_its_joules_stay() -> None:
    assert unheard(PEER) == ()
    (said,) = unheard(PEER.but(buffer={"capacity": "1 MiB"}))
    assert said.startswith("what-if: memories.buffer.energy: its source has no law of capacity")
    assert unheard(PEER.but(buffer={"capacity": "1 MiB", "energy": "9 pJ/B"})) == ()
    told = hw.predict(WORK.softmax(8, 8), device("u280").but(resources={"ff": 10})).warnings
    assert any("resources.ff changes no prediction" in warning for warning in told)


def test_area_is_in_the_answer_and_follows_arrays_and_buffers() -> None:
    """Elements of 1545 + 49.28944 + 16849.2142 um2 on the 2D array; of other chips by law.

    A published whole goes as the law of its parts does.
    """
    work = WORK.gemm(M=256, N=256, K=256)
    base = hw.predict(work, on="fusemax")
    assert base.area_m2 == pytest.approx(1313.5e-6, rel=1e-3)
    assert "area      1,314 mm2" in str(base)
    small = hw.predict(work, on=FUSEMAX.but(buffer={"capacity": "8 MiB"}))
    wide = hw.predict(work, on=FUSEMAX.but(arrays={"matrix": {"rows": 512}}))
    element = 1545e-12 + 49.28944e-12 + 16849.2142e-12
    areas = [full_record(each)["area_m2"] for each in (base, small, wide)]
    assert areas[0] - areas[1] == pytest.approx(94.17625597e-6 / 2)
    assert areas[2] - areas[0] == pytest.approx(256 * 256 * element)
    flat: dict[str, Any] = full_record(hw.predict(work, on="flat"))
    low, high = flat["area_range_m2"]
    assert low < flat["area_m2"] < high
    head = WORK.attention(1, 4, 1, 64, 64, kv_dtype="int8")
    assert hw.predict(head, on="spatten").area_m2 == pytest.approx(18.71e-6)
    more = hw.predict(head, on=device("spatten").but(keys={"capacity": "1 MiB"}))
    assert 18.71e-6 < float(more.area_m2 or 0) < 3 * 18.71e-6


def test_cores_blocks_and_clocks_take_along_what_is_a_product_of_them() -> None:
    board = device("rk3588").but(processors={"count": 8})
    assert board.rate("vector", "int8") == 2 * 614.4e9
    assert board.memory("l3").bandwidth_bytes_per_s == 2 * 153.6e9
    assert board.memory("dram").bandwidth_bytes_per_s == pytest.approx(33.8e9)
    slow = device("u280").but(clock="150 MHz", resources={"bram": 1008})
    assert slow.rate("dsp", "int16") == pytest.approx(5414.4e9 / 2)
    assert slow.memory("bram").bandwidth_bytes_per_s == pytest.approx(5443.2e9 / 4)
    assert slow.memory("bram").capacity_bytes == 9289728 / 2
    assert slow.memory("dram").latency_s == pytest.approx(2 * 213.333e-9)
    core = device("stm32f746").but(clock="108 MHz")
    assert core.rate("vector", "int8") == 0.432e9
    assert core.power.run_w == pytest.approx(0.15)
    assert core.memory("flash").bandwidth_bytes_per_s == 864e6


def test_a_buffer_that_is_too_small_for_a_head_says_so() -> None:
    """1024 keys of 64 words of 12 bits are 96 KiB: twice that is all of SpAtten's buffer."""
    for keys, short in ((1024, 0), (2048, 192 * 1024)):
        found = hw.predict(WORK.attention(1, 4, 1, keys, 64, kv_dtype="int8"), on="spatten")
        assert [store.short_by_bytes for store in found.stores] == [short, short]
        assert found.fits == (short == 0)


def test_arrays_of_capacities_and_clocks_answer_as_each_alone() -> None:
    """Joules, area and time of a sweep of buffers, and of clocks, are those of single machines."""
    work = WORK.attention(1, 12, 16384, 16384, 64)
    sizes, clocks = np.array([2.0**18, 2.0**24, 2.0**26]), np.array([0.5e9, 0.94e9])
    for name, values in (("capacity", sizes), ("clock", clocks)):

        def machine(value: Any, name: str = name) -> Hardware:
            if name == "capacity":
                return FUSEMAX.but(buffer={"capacity_bytes": value})
            return FUSEMAX.but(clock_hz=value)

        many = hw.predict(work, machine(values))
        for at, value in enumerate(values.tolist()):
            one = hw.predict(work, machine(value))
            for field in ("time_s", "energy_j", "area_m2"):
                found = np.broadcast_to(np.asarray(getattr(many, field)), values.shape)[at]
                assert found == pytest.approx(getattr(one, field), rel=1e-12), (name, field)
    told = unheard(PEER.but(buffer={"capacity_bytes": sizes, "energy_j_per_byte": 1e-12 * sizes}))
    assert told == ()
    assert len(unheard(PEER.but(buffer={"capacity_bytes": sizes}))) == 1
    for board in ("u280", "rk3588"):
        swept = device(board).but(clock_hz=clocks)
        unit = next(iter(swept.units))
        dtype = next(iter(swept.units[unit].rate_per_s))
        base = device(board).rate(unit, dtype) / device(board).clock_hz
        np.testing.assert_allclose(swept.rate(unit, dtype), base * clocks)


def test_energy_and_area_of_buffers_make_a_front() -> None:
    """BERT's attention reads as little with 256 KiB: the smallest buffer wins both."""
    work = WORK.attention(1, 12, 16384, 16384, 64)

    def on(size: Any) -> Estimate:
        return hw.predict(work, FUSEMAX.but(buffer={"capacity": size}))

    swept = hw.sweep(
        on,
        size=hw.logspace("256 KiB", "64 MiB", 5),
        keep=["energy_j", "area_m2"],
    )
    energy, area = (swept.table[name].to_list() for name in ("energy_j", "area_m2"))
    assert energy == sorted(energy)
    assert area == sorted(area)
    assert len(swept.pareto("energy_j", "area_m2").table) == 1
