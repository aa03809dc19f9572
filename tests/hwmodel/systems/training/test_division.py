"""How a step is divided where little is said: as those who publish steps divide them."""

import json
from typing import Any

import pytest

from hwmodel.einsum.workloads.training import training
from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import InputError
from hwmodel.systems.training.division import chosen, execution, taken
from hwmodel.verbs.cases import predict_lines


def degrees(global_batch: int | None, devices: int, **how: Any) -> tuple[int, int, int]:
    """cp, dp and micro-batches of a replica."""
    work = training("llama-3.1-8b", 8192, global_batch, devices=devices, **how)
    found = execution(work, device("h100"))
    assert found.devices == devices
    assert found.micro_batches is not None
    return found.cp, found.dp, found.micro_batches


@pytest.mark.parametrize(
    ("batch", "devices", "cp"), [(32, 64, 2), (64, 512, 8), (9, 72, 8), (16, 16, 1), (64, 16, 1)]
)
def test_devices_share_sequences_where_these_are_fewer(batch: int, devices: int, cp: int) -> None:
    """Of MLPerf's steps those of more devices than sequences say cp 2 or 8, and tp and pp of 1."""
    assert degrees(batch, devices)[:2] == (cp, devices // cp)


def test_what_is_said_is_not_chosen() -> None:
    assert degrees(64, 64, cp=4) == (4, 16, 4)
    with pytest.raises(InputError, match="global_batch: expected a multiple"):
        degrees(32, 64, cp=1)
    with pytest.raises(InputError, match="global_batch: expected a multiple"):
        degrees(100, 64)


def test_without_a_batch_each_stage_has_a_micro_batch_and_what_was_chosen_is_told() -> None:
    assert degrees(None, 32, pp=4, micro_batch=2) == (1, 8, 4)
    work = training("llama-3.1-8b", 8192, 4, devices=8)
    (told,) = chosen(work, execution(work, device("h100")))
    assert "cp=2" in told
    said = training("llama-3.1-8b", 8192, 8, devices=8)
    assert chosen(said, execution(said, device("h100"))) == ()


def test_a_line_of_a_table_answers_as_it_stands() -> None:
    """Signs, case and fields as MLPerf's, Megatron-Bridge's and torchtitan's tables have them."""
    line: dict[str, Any] = {"workload": "training", "config": "llama-3.1-8b", "sequence": 8192}
    for more in (
        {"on": "b200", "devices": 16, "global_batch": 32, "tp": 1, "sp": True, "dtype": "MXFP8"},
        {"on": "h200", "devices": 64, "global_batch": 32, "dtype": "fp8"},
        {"on": "mi350x", "devices": 8, "global_batch": 32, "tp": 1, "pp": 1, "micro_batch": 2},
        {"on": "h100", "devices": 64, "pp": 4, "schedule": "Interleaved 1F1B", "zero": 3},
    ):
        (answer,) = predict_lines([json.dumps({**line, **more})])
        assert answer["tokens_per_s_per_device"] > 0
        assert answer["mfu"] < 0.8


def test_a_table_of_numbers_has_whole_ones_with_a_point() -> None:
    """As tables with empty cells are read: 8.0 sequences on 8.0 devices, in any case."""
    line: dict[str, Any] = {"workload": "training", "config": "llama-3.1-8b", "on": "h100"}
    whole = {"sequence": 4096, "global_batch": 64, "devices": 8, "tp": 2, "zero": 1}
    points = {name: float(value) for name, value in whole.items()}
    said = {"optimizer": "AdamW", "recompute": "Full", "dtype": "BF16"}
    plain, other = predict_lines(
        [
            json.dumps({**line, **whole, "optimizer": "adamw", "recompute": "full"}),
            json.dumps({**line, **points, **said}),
        ]
    )
    assert other["step_time_s"] == plain["step_time_s"]
    (refused,) = predict_lines([json.dumps({**line, **whole, "devices": 8.5})])
    assert "devices: expected a whole number, found 8.5" in refused["error"]


def test_a_framework_takes_its_own_and_what_is_taken_is_told() -> None:
    titan = training("llama-3.1-8b", 8192, 64, devices=16, tp=8, framework="torchtitan")
    how = execution(titan, device("h100"))
    assert (how.zero, how.recompute, how.sp) == (3, "selective", True)
    (told,) = taken(titan, how)
    assert "zero" not in told
    assert "graphs=True, optimizer=adam;" in told
    (other,) = taken(titan.but(optimizer="sgd", adapters="bottleneck"), how)
    assert "optimizer" not in other
    assert "adapters width=48" in other
    plain = titan.but(recompute="none")
    assert execution(plain, device("h100")).recompute == "none"
    mixture = training("deepseek-v3", 4096, 64, devices=16, ep=8, pp=2, framework="Megatron-Core")
    found = execution(mixture, device("h100"))
    assert (found.dispatch, found.zero) == ("all-to-all", 1)
    (told,) = taken(mixture, found)
    assert all(word in told for word in ("recompute=none", "schedule=1f1b", "graphs=False"))
    with pytest.raises(InputError, match="megatron-bridge"):
        training("llama-3.1-8b", 8192, 64, framework="megatron-brigde")


@pytest.mark.parametrize("devices", [0, -64, 2.5])
def test_a_number_of_devices_that_is_none_is_refused(devices: float) -> None:
    """Not taken as one device, nor as what nobody said."""
    step = training("llama-3.1-8b", 8192, 64, devices=8).but(devices=devices)
    with pytest.raises(InputError, match="devices: expected a whole number of 1 or more"):
        execution(step, device("h100"))


def test_two_numbers_of_devices_that_differ_are_refused() -> None:
    work = training("llama-3.1-8b", 4096, 64, devices=8)
    with pytest.raises(InputError, match="expected the 16 that it is asked of"):
        execution(work, device("h100") * 16)
