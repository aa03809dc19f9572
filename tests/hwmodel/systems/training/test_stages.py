"""Two passes at once, held to a trace of DeepSeek-V3's training."""

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from hwmodel.einsum.division import spread
from hwmodel.systems.training.stages import Stage, beside_modules, parted_s, together

TRACE = Path(__file__).resolve().parents[5] / "shared/data/systems/deepseek_profile_train"
COMPUTE, WEIGHTS, EXCHANGES = "7", "23", "27"
"""Streams of the trace (its SOURCE.md)."""


def covered_us(spans: Iterable[tuple[float, float]]) -> float:
    """Microseconds during which any of the spans (start, length) lasts."""
    total, end = 0.0, 0.0
    for start, length in sorted(spans):
        total += max(0.0, start + length - max(start, end))
        end = max(end, start + length)
    return total


def stage(kernels_s: float, routed_s: float) -> Stage:
    """Passes whose kernels and exchanges take so long."""
    empty = dict.fromkeys(
        (*("forward_s", "inputs_s", "weights_s", "exposed_s", "kept_bytes", "ends_bytes"),
         *("again_bytes", "dense", "experts", "largest", "joules", "again_s", "sent_bytes")),
        0.0,
    )  # fmt: skip
    made = Stage(**empty, routed_s=routed_s, busy_s={})
    return replace(
        made, forward_s=(kernels_s + routed_s) / 3, inputs_s=(kernels_s + routed_s) / 1.5
    )


@pytest.mark.skipif(not TRACE.is_dir(), reason="needs ../shared/data/systems")
def test_a_pair_takes_as_long_as_in_deepseeks_trace() -> None:
    """Four layers forward and backward on H800, 64 devices share the experts: 129.0 ms."""
    with (TRACE / "kernels.csv").open(encoding="utf-8", newline="") as stream:
        rows = [
            (row["stream"], (float(row["ts_us"]), float(row["dur_us"])))
            for row in csv.DictReader(stream)
        ]
    kernels = covered_us(span for name, span in rows if name in (COMPUTE, WEIGHTS))
    exchanges = covered_us(span for name, span in rows if name == EXCHANGES)
    took = max(s + n for _, (s, n) in rows) - min(s for _, (s, _) in rows)
    share, spared = together([stage(kernels, exchanges)])
    assert share * (kernels + exchanges) == pytest.approx(took, rel=0.02)
    assert spared == pytest.approx(kernels + exchanges - took, rel=0.02)


def test_a_pair_without_exchanges_spares_nothing() -> None:
    assert together([stage(2.0, 0.0)]) == (1.0, 0.0)
    assert together([stage(1.0, 0.5)]) == (pytest.approx(2 / 3), 0.5)


def test_the_last_stage_has_fewer_layers_where_it_has_a_module_that_predicts_further_tokens() -> (
    None
):
    """Layouts of Megatron-Bridge's recipes of DeepSeek-V3: Et*4|(t*4|)*14tmL, Et|(tt|)*30mL."""
    assert beside_modules(spread(61, 16), 1) == (4,) * 15 + (1,)
    long = beside_modules(spread(61, 32), 1)
    assert (long[-1], max(long), sum(long)) == (0, 2, 61)
    assert beside_modules((20, 20), 0) == (20, 20)
    assert beside_modules((61,), 1) == (61,)


@pytest.mark.parametrize(("exchange_s", "product_s", "parts"), [(8.0, 3.0, 4), (3.0, 8.0, 8)])
def test_of_an_exchange_in_parts_shows_what_a_walk_over_them_leaves(
    exchange_s: float, product_s: float, parts: int
) -> None:
    """A part's product starts when it has come and the one before it is done."""
    came_s = done_s = 0.0
    for _ in range(parts):
        came_s += exchange_s / parts
        done_s = max(came_s, done_s) + product_s / parts
    assert parted_s(exchange_s, product_s, parts) == pytest.approx(done_s - product_s)
