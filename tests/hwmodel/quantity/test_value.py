"""Frozen records: units at the edge, and `but` as the one word for a changed copy."""

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pydantic import Field, ValidationError

from hwmodel.hardware.hardware import Size, SizeOrZero
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.quantity.value import Value


class Port(Value):
    bandwidth_bytes_per_s: Size
    latency_s: SizeOrZero = 0.0


class Box(Value):
    name: str
    clock_hz: Size
    port: Port
    ports: dict[str, Port] = Field(default={})
    rate_per_s: dict[str, Size] = Field(default={})
    count: Size = 1

    aliases = {"pins": "port"}  # noqa: RUF012


def box(**more: Any) -> Box:
    data: dict[str, Any] = {
        "name": "b",
        "clock": "2 GHz",
        "port": {"bandwidth": "1 GB/s"},
        "ports": {"a": {"bandwidth": "3 GB/s"}},
        "rate": {"fp32": "5 TFLOP/s"},
    }
    return Box.build(data | more, where="test")


def test_strings_with_units_become_si_under_the_full_name() -> None:
    assert box().clock_hz == 2e9
    assert box().port.bandwidth_bytes_per_s == 1e9
    assert box().rate_per_s == {"fp32": 5e12}


def test_values_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        box().clock_hz = 3


@pytest.mark.parametrize(
    "change",
    [
        {"clock": "3 GHz"},
        {"clock_hz": 3e9},
        {"clock_hz": "3 GHz"},
    ],
)
def test_but_takes_a_string_with_a_unit_or_the_full_name(change: dict[str, Any]) -> None:
    old = box()
    assert old.but(**change).clock_hz == 3e9
    assert old.clock_hz == 2e9


def test_but_reaches_into_nested_records_and_tables() -> None:
    old = box()
    assert old.but(port={"latency": "1 us"}).port == Port(bandwidth_bytes_per_s=1e9, latency_s=1e-6)
    assert old.but(pins={"latency": "1 us"}).port.latency_s == 1e-6
    assert old.but(ports={"a": {"bandwidth": "9 GB/s"}}).ports["a"].bandwidth_bytes_per_s == 9e9
    assert old.but(rate={"fp32": 7e12}).rate_per_s == {"fp32": 7e12}
    assert old.but(rate={"fp32": "7 TFLOP/s"}).rate_per_s == {"fp32": 7e12}


def test_any_number_may_be_an_array() -> None:
    swept = box().but(port={"bandwidth_bytes_per_s": np.linspace(1e9, 2e9, 3)})
    assert_array_equal(swept.port.bandwidth_bytes_per_s, [1e9, 1.5e9, 2e9])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"clok": "3 GHz"}, "did you mean 'clock'"),
        ({"port": {"bandwith": "1 GB/s"}}, "did you mean 'bandwidth'"),
        ({"ports": {"b": {"bandwidth": "1 GB/s"}}}, "unknown entry of Box 'b'.ports 'b'"),
        ({"rate": {"fp64": 1e12}}, "unknown entry of Box 'b'.rate_per_s 'fp64'"),
        ({"clock": 3e9}, "has no unit"),
        ({"clock": "3 GB"}, "expected a frequency"),
        ({"clock_hz": -1}, "above 0"),
        ({"clock_hz": float("nan")}, "finite"),
        ({"port": {"latency_s": -1e-9}}, "0 or more"),
        ({"clock": {"fast": 1}}, "holds no named parts"),
        ({"count": "3"}, "expected a plain number"),
    ],
)
def test_what_cannot_be_is_refused_by_name(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        box().but(**change)


def test_unknown_fields_of_outside_data_are_refused() -> None:
    with pytest.raises(InputError, match=r"^test: speed: Extra inputs are not permitted"):
        box(speed=3)


def test_missing_fields_are_named() -> None:
    with pytest.raises(InputError, match=r"^here: expected the field 'name', .* \(and 2 more\)$"):
        Box.build({}, where="here")


def test_an_error_is_one_line_and_names_the_place() -> None:
    with pytest.raises(InputError) as caught:
        box(port={"bandwidth": "1 GHz"})
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("test: port: Port.bandwidth: expected a bandwidth")


def test_unknown_names_say_which_exist() -> None:
    with pytest.raises(UnknownNameError) as caught:
        box().but(colour="red")
    assert {"clock", "clock_hz", "pins"} <= set(caught.value.known)
