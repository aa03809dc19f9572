"""Configs of hls4ml: whose entry counts, which layers are meant, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

import hwmodel as hw
from hwmodel.einsum.cascade import Stage
from hwmodel.einsum.network import Stack
from hwmodel.machines.fpga.fabric import Dense
from hwmodel.machines.fpga.hls_config import configured, read
from hwmodel.quantity.errors import CoverageError, InputError, UnknownNameError

LAYERS = (Dense("fc1", 16, 64), Dense("fc2", 64, 32))
MODEL: dict[str, Any] = {"Precision": "fixed<16,6>", "ReuseFactor": 64, "Strategy": "Resource"}


def net() -> Stack:
    stages = [
        Stage(hw.workloads.gemm(M=1, N=n, K=k, dtype="int16")) for k, n in ((16, 64), (64, 32))
    ]
    return Stack("net", tuple(stages))


def test_the_narrowest_entry_counts() -> None:
    """fc1 has formats and reuse of its own, its strategy is its type's; fc2 is as the type says."""
    config = {
        "Model": MODEL,
        "LayerType": {"Dense": {"ReuseFactor": 32, "Strategy": "Latency"}},
        "LayerName": {
            "fc1": {
                "Precision": {"weight": "ap_fixed<8,3,AP_RND>", "accum": "auto"},
                "ReuseFactor": 4,
            },
            "relu1": {"Precision": "ufixed<9,0>"},
        },
    }
    made = configured(read(config), LAYERS)
    first, second = made.layers
    assert (first.bits, first.result_bits, first.sum_bits, first.strategy) == (
        8,
        16,
        None,
        "latency",
    )
    assert (second.bits, second.sum_bits, second.strategy) == (16, 16, "latency")
    assert made.reuse == (4, 32)


def test_a_factor_that_is_no_legal_one_is_told_where_it_moves() -> None:
    """48 is none of 16 x 64 (16, 32, 64 ...): nearest are 32 and 64; latency takes any as it is."""
    resource = {"Model": {**MODEL, "ReuseFactor": 48}}
    found = hw.predict(net(), on="u250", kernel=resource)
    (told,) = (text for text in found.warnings if "reuse moved" in text)
    assert all(f"{layer.name} 48 to 32" in told for layer in found.parts[0].tile.layers)
    assert not any(
        "moved" in text for text in hw.predict(net(), on="u250", kernel={"Model": MODEL}).warnings
    )
    latency = {"Model": {**resource["Model"], "Strategy": "Latency"}}
    piped = hw.predict(net(), on="u250", kernel=latency)
    assert piped.parts[0].tile.reuse == (48, 48)
    assert not any("moved" in text for text in piped.warnings)
    slower = hw.predict(net(), on="u250", kernel={"Model": {**latency["Model"], "ReuseFactor": 49}})
    assert slower.time_s - piped.time_s == pytest.approx(2 / 300e6)


def test_weights_of_a_layer_that_there_is_none_of_are_told() -> None:
    named = {"fc1": {"ReuseFactor": 4}, "fc3": {"Precision": {"weight": "fixed<6,2>"}}}
    with pytest.raises(UnknownNameError, match=r"LayerName 'fc3'.*fc1, fc2"):
        configured(read({"Model": MODEL, "LayerName": named}), LAYERS)


def test_layers_of_other_names_are_met_in_order() -> None:
    named = {
        "input": {"Precision": {"result": "fixed<10,5>"}},
        "dense": {"Precision": {"weight": "fixed<6,2>", "result": "auto"}, "ReuseFactor": 16},
        "dense_1": {"Precision": {"weight": "int<3>"}, "ReuseFactor": 2},
    }
    made = configured(read({"Model": MODEL, "LayerName": named}), LAYERS)
    assert [layer.bits for layer in made.layers] == [6, 3]
    assert made.reuse == (16, 2)
    with pytest.raises(InputError, match=r"entries for 1 layers .*, found 2 with a weight"):
        configured(read({"Model": MODEL, "LayerName": named}), LAYERS[:1])


def test_a_file_sets_clock_and_joins_and_streams_start_the_next_sooner(tmp_path: Path) -> None:
    """Reuse 64 and 64 at 10 ns: 131 cycles; the next one may start after 64 where streams join."""
    path = tmp_path / "config.yml"
    path.write_text(
        "ClockPeriod: 10\nIOType: io_stream\nHLSConfig:\n"
        "  Model: {Precision: 'fixed<16,6>', ReuseFactor: 64, Strategy: Resource}\n"
    )
    found = hw.predict(net(), on="u250", kernel=f"hls4ml:{path}")
    assert found.time_s == pytest.approx(131 * 10e-9, rel=1e-12)
    assert any("next inference after 64" in text for text in found.assumptions)
    table = {"IOType": "io_parallel", "ClockPeriod": 10, "HLSConfig": {"Model": MODEL}}
    again = hw.predict(net(), on="u250", kernel=table)
    assert again.time_s == found.time_s
    assert any("next inference after 131" in text for text in again.assumptions)


def test_the_latency_strategy_is_as_deep_as_its_tree() -> None:
    """Latency is the default: intervals of 1, trees of 4 and 6 levels and 2 each, and 3 of all."""
    found = hw.predict(net(), on="u250", kernel={"HLSConfig": {"Model": {"ReuseFactor": 1}}})
    rows = found.by_layer
    assert [row["depth_cycles"] for row in rows] == [1 + 4 + 2, 1 + 6 + 2]
    assert found.time_s == pytest.approx((7 + 9 + 3) / 300e6, rel=1e-12)
    assert found.time_low_s < found.time_s


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"IOType": "io_serial", "Model": MODEL}, "IOType: expected io_parallel or io_stream"),
        ({"ClockPeriod": 0, "Model": MODEL}, "ClockPeriod: expected nanoseconds"),
        ({"Layers": {}}, "expected a table with Model"),
        ({"Model": 3}, "Model: expected a table"),
        ({"Model": {**MODEL, "ReuseFactor": 0}}, "fc1: ReuseFactor: expected a whole number"),
        ({"Model": {**MODEL, "Precision": "half"}}, "fc1: Precision of weight: expected such as"),
    ],
)
def test_what_is_wrong_is_named(config: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        configured(read(config), LAYERS)


def test_what_is_not_modelled_is_refused() -> None:
    with pytest.raises(CoverageError, match="Strategy distributed_arithmetic"):
        configured(read({"Model": {"Strategy": "distributed_arithmetic"}}), LAYERS)
    with pytest.raises(CoverageError, match="convolutions are modelled as streams"):
        configured(
            read({"IOType": "io_parallel", "Model": MODEL}), [Dense("c", 27, 16, positions=100)]
        )
    with pytest.raises(UnknownNameError, match="HLSConfig"):
        read({"HLSConfig": {"Model": MODEL, "LayerNames": {}}})
