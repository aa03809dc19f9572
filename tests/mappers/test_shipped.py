"""The table of mappers: machines, objectives and options that it refuses by name."""

import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import device, devices
from hwmodel.mappers.shipped import KINDS, mapped
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

PRODUCT = hw.workloads.gemm(M=64, N=64, K=64, dtype="int8")


def test_machines_without_a_mapper_say_which_kinds_have_one() -> None:
    kinds = {device(name).kind: name for name in devices()}
    assert set(kinds) - set(KINDS) == {"cpu", "npu"}
    with pytest.raises(CoverageError, match=r"spatial, gpu, fpga, mcu to map on, found kind 'cpu'"):
        hw.map(PRODUCT, on=kinds["cpu"])


def test_objectives_and_options_are_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match="objective 'sram'; known: edp, energy, latency"):
        hw.map(PRODUCT, on="peer-a2", objective="sram")
    with pytest.raises(InputError, match=r"kernel: mapper map_nests .* takes mapspace, rules, dou"):
        hw.map(PRODUCT, on="peer-a2", kernel="gemm")
    with pytest.raises(InputError, match=r"fused: mapper map_launches .* takes kernel"):
        hw.map(PRODUCT, on="h200", fused=False)
    with pytest.raises(InputError, match="mapper: expected a function, found 'tiles'"):
        mapped(PRODUCT, device("peer-a2"), mapper="tiles")  # pyright: ignore


def test_options_of_ours_are_not_for_a_users_mapper() -> None:
    def mine(*_: object, objective: str, capacities: object) -> None:
        raise AssertionError("asked, though the options are not its own")

    with pytest.raises(InputError, match=r"mapspace: mapper mine .* takes no options beside"):
        hw.map(PRODUCT, on="peer-a2", mapper=mine, mapspace="divisors")  # pyright: ignore


def test_whole_models_are_refused_where_one_nest_is_mapped() -> None:
    model = hw.workloads.cnn("mcunet-vww1")
    with pytest.raises(CoverageError, match="h200: expected a cascade to map, found all of"):
        hw.map(model, on="h200")
    exchange = hw.workloads.collective("all_reduce", 1e6, 4)  # moves bytes and computes nothing
    with pytest.raises(CoverageError, match="all_reduce; none of its stages can be mapped"):
        hw.map(exchange, on="peer-a2")


@pytest.mark.parametrize(
    ("on", "said"),
    [
        ("h200", r"i of 2 \(qkv\), 12 \(attention\), 13 \(attention output\), 16 \(gate-up\), 19"),
        ("peer-a2", r"i of 1 \(attention norm\), 2 \(qkv\), .* and \d+ more"),  # 0 gathers rows
    ],
)
def test_a_model_is_refused_with_its_stages_that_can_be_mapped(on: str, said: str) -> None:
    model = hw.model("llama-3.2-1b").prefill(1, 1024)
    with pytest.raises(CoverageError, match=rf"\.stages\[i\]\.cascade with {said}"):
        hw.map(model, on=on)
    assert hw.map(model.stages[2].cascade, on=on).certificate.value > 0
