"""Pictures: each is written, has axes with units, and draws the numbers that it was given."""

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import polars
import pytest

import hwmodel as hw
from hwmodel.hardware.catalogue import device
from hwmodel.quantity.errors import InputError, UnknownNameError
from hwmodel.show.pictures import gallery
from hwmodel.show.pictures.roofline import joined
from hwmodel.show.pictures.style import label, with_unit
from tests.thorough import thorough

TOUCH = 2
"""Pixels by which the boxes of two texts may lie over each other."""

H200 = device("h200")
GEMM = hw.workloads.gemm(M=4096, N=4096, K=4096)


@cache
def decode() -> Any:
    return hw.predict(hw.model("llama-3.1-8b").decode(batch=32, context=2048), H200)


@cache
def step() -> Any:
    work = hw.model("llama-3.1-8b").training(2048, 16, pp=4, schedule="zb-h1")
    return hw.predict(work, hw.device("h100"))


SPREAD = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
POINTS = {
    "time_s": SPREAD * 1e-3,
    "energy_j": np.array([5.0, 3.0, 4.0, 2.0, 2.0]),
    "on": np.array(["a", "a", "b", "b", "b"]),
}
MAP = {
    "M": np.repeat([1.0, 10.0, 100.0], 4),
    "bandwidth_bytes_per_s": np.tile([1e12, 2e12, 3e12, 4e12], 3),
    "time_s": np.arange(1.0, 13.0) * 1e-6,
    "bottleneck": np.repeat(["dram", "dram", "matrix"], 4),
}
TIMES = {"gemm": ([1e-6, 1e-4], [1.1e-6, 0.9e-4]), "rows": ([1e-5], [1e-5])}

DRAWN: dict[str, tuple[Callable[..., Any], Callable[[], tuple[Any, ...]], list[str]]] = {
    "roofline": (
        gallery.roofline,
        lambda: (decode(), H200),
        ["operational intensity [operations/B]", "performance [operations/s]"],
    ),
    "breakdown": (gallery.breakdown, lambda: (decode(),), ["time [s]", "energy [J]"]),
    "tornado": (
        gallery.tornado,
        lambda: (hw.sensitivity(GEMM, H200),),
        ["change of time [%]", "change of energy [%]"],
    ),
    "pipeline": (gallery.pipeline, lambda: (step(),), ["time [s]", "rank", "held [B]"]),
    "steps": (
        gallery.steps,
        lambda: ([step()],),
        ["share of a step", "devices", "tokens a second"],
    ),
    "pareto": (
        gallery.pareto,
        lambda: (POINTS,),
        ["time [s], less is better", "energy [J], less is better"],
    ),
    "heatmap": (
        gallery.heatmap,
        lambda: (MAP, "M", "bandwidth_bytes_per_s"),
        ["M", "bandwidth [B/s]", "time [s]"],
    ),
    "parity": (
        gallery.parity,
        lambda: (TIMES,),
        ["measured time [s]", "predicted / measured - 1 [%]"],
    ),
}


def labels(figure: Any) -> set[str]:
    return {text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()) if text}


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_written_and_its_axes_bear_units(name: str, tmp_path: Path) -> None:
    draw, given, expected = DRAWN[name]
    figure = draw(*given(), path=tmp_path / f"{name}.png")
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert labels(figure) == set(expected)


def test_every_picture_has_a_call_in_the_gallery() -> None:
    assert set(DRAWN) == set(gallery.__all__)
    assert hw.plot is gallery


def test_the_roofline_has_every_kernel_with_operations_at_every_level() -> None:
    axes = gallery.roofline(decode(), H200).axes[0]
    working = [part for part in decode().parts if part.flop]
    for level, points in zip(("dram", "l2"), axes.collections, strict=False):
        expected: list[tuple[float, float]] = []
        for part in working:
            moved = part.counts.read.get(level, 0) + part.counts.written.get(level, 0)
            if moved:
                asked = float(part.flop or 0)
                expected.append((asked / float(moved), asked / float(part.time_s)))
        drawn = np.array(sorted(points.get_offsets().tolist()))
        np.testing.assert_allclose(drawn, sorted(expected))


def test_numbers_that_would_be_written_over_each_other_are_joined() -> None:
    marks = [(0.0, 0.0, 1), (5.0, 0.0, 3), (5.1, 0.01, 2), (5.0, 9.0, 4)]
    places = [numbers for _, _, numbers in joined(marks, letter=0.5, line=1.0)]
    assert sorted(places) == [[1], [2, 3], [4]]


def test_roofs_are_bandwidths_and_peaks() -> None:
    axes = gallery.roofline(hw.predict(GEMM, H200), H200).axes[0]
    sloped = [line.get_xydata() for line in axes.lines if len(line.get_xydata()) == 2]
    rising = [data for data in sloped if data[1, 1] > data[0, 1]]
    for level, ((x0, y0), (x1, y1)) in zip(("dram", "l2", "shared"), rising, strict=True):
        bandwidth = H200.memory(level).bandwidth_bytes_per_s
        assert (y0 / x0, y1 / x1) == pytest.approx((bandwidth, bandwidth))
        assert y1 == pytest.approx(989.4e12)


def test_a_pipeline_shows_every_pass_and_what_one_f_one_b_keeps() -> None:
    above, below = gallery.pipeline(step()).axes
    bars = [box for each in above.collections for box in each.get_paths()]
    assert len(bars) == 3 * 4 * 16
    held = [line.get_ydata() for line in below.lines]
    for rank, (bytes_, states) in enumerate(zip(held, step().states_by_rank, strict=True)):
        assert max(bytes_) == pytest.approx(states + 4 * step().kept_by_stage[rank])
        assert bytes_[-1] == pytest.approx(states)


def test_bars_of_steps_stack_up_to_all_of_them_and_rates_stand_beside_a_line() -> None:
    some = [replace(step(), name=name) for name in ("a", "b")]
    left, right = gallery.steps(some).axes
    for place in range(len(some)):
        mine = [bar for bar in left.patches if abs(bar.get_x() + 0.375 - place) < 0.1]
        assert sum(bar.get_height() for bar in mine) == pytest.approx(1)
    assert right.lines[0].get_ydata() == pytest.approx([step().tokens_per_s] * 2)
    with pytest.raises(InputError, match="steps: expected a step of training"):
        gallery.steps([])


def test_the_first_bars_stack_up_to_time_and_energy() -> None:
    figure = gallery.breakdown(decode())
    for axes, total in zip(figure.axes, (decode().time_s, decode().energy_j), strict=True):
        first = [bar for bar in axes.patches if bar.get_x() < 0]
        assert sum(bar.get_height() for bar in first) == pytest.approx(float(total))


def test_bars_of_components_stack_up_to_the_energy() -> None:
    axes = gallery.breakdown(decode()).axes[1]
    rest = sum(bar.get_height() for bar in axes.patches if bar.get_x() > 0)
    assert rest == pytest.approx(float(decode().energy_j), rel=0.02)  # the smallest are left out


def test_a_front_holds_the_points_that_no_other_beats() -> None:
    (line,) = gallery.pareto(POINTS).axes[0].lines
    assert line.get_xydata().tolist() == [[1e-3, 5.0], [2e-3, 3.0], [4e-3, 2.0]]
    (line,) = gallery.pareto(POINTS, most=["energy_j"]).axes[0].lines
    assert line.get_xydata().tolist() == [[1e-3, 5.0]]


def test_groups_of_a_front_have_colours_of_their_own() -> None:
    axes = gallery.pareto(POINTS, colour="on").axes[0]
    colours = [tuple(points.get_facecolor()[0][:3]) for points in axes.collections]
    assert len(colours) == len(set(colours)) == 2


def test_a_map_names_its_regions_and_draws_the_line_between_them() -> None:
    axes = gallery.heatmap(MAP, "M", "bandwidth_bytes_per_s").axes[0]
    assert {text.get_text() for text in axes.texts} == {"dram", "matrix"}
    mesh, between = axes.collections
    assert mesh.get_array().shape == (4, 3)
    across = {x for segment in between.get_segments() for x in segment[:, 0]}
    assert sorted(across) == pytest.approx([1000**0.5])


def test_a_sweep_and_a_polars_table_are_drawn_as_a_mapping_is() -> None:
    def front(table: Any) -> Any:
        return gallery.pareto(table, colour="on").axes[0].lines[0].get_xydata().tolist()

    assert front(polars.DataFrame(POINTS)) == front(POINTS)

    def square(M: Any) -> Any:
        return hw.predict(hw.workloads.gemm(M=M, N=512, K=512), on=H200)

    sweep = hw.sweep(square, M=hw.logspace(1, 1024))
    assert labels(gallery.pareto(sweep, "time_s", "energy_j", most=["energy_j"]))


def test_each_family_has_a_panel_with_its_rows_and_the_band_of_nine_in_ten() -> None:
    measured = [1e-6 * 2**i for i in range(11)]
    off = [0.01 * i for i in range(11)]  # 0, 1, ... 10 %: nine in ten within 9 %
    many = {f"family {i}": ([1e-6, 1e-5], [1e-6, 1e-5]) for i in range(7)}
    figure = gallery.parity(
        {**many, "off": (measured, [m * (1 + e) for m, e in zip(measured, off, strict=True)])}
    )
    assert len(figure.axes) == 8
    last = figure.axes[-1]
    assert last.get_title(loc="left") == "off\n11 rows, mean 5.0%, p90 9.0%"
    (points,) = last.collections
    assert points.get_offsets()[:, 1].tolist() == pytest.approx([100 * e for e in off])
    (band,) = last.patches
    assert band.get_y() == pytest.approx(-9)
    assert band.get_height() == pytest.approx(18)


def test_an_axis_that_is_called_s_alone_is_no_time() -> None:
    moved = {"s" if name == "M" else name: values for name, values in MAP.items()}
    assert labels(gallery.heatmap(moved, "s", "bandwidth_bytes_per_s")) >= {"s", "time [s]"}


def beyond(figure: Any) -> set[Any]:
    """Texts of ticks that lie outside their axes, which are not drawn."""
    found: set[Any] = set()
    for axis in (each for axes in figure.axes for each in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
            if not low <= tick.get_loc() <= high:
                found |= {tick.label1, tick.label2}
    return found


@pytest.mark.parametrize("larger", [0.8, thorough(1.0), thorough(1.5)])
@pytest.mark.parametrize("name", DRAWN)
def test_no_text_is_written_over_another(name: str, larger: float) -> None:
    """For a column, as it is drawn, and as large as for a slide; slanted texts apart."""
    draw, given, _ = DRAWN[name]
    figure = draw(*given())
    figure.set_size_inches(*(larger * side for side in figure.get_size_inches()))
    texts: Any = importlib.import_module("matplotlib.text")
    figure.draw_without_rendering()
    outside = beyond(figure)
    held = [
        (each.get_text(), each.get_window_extent())
        for each in figure.findobj(texts.Text)
        if each.get_visible() and each.get_text().strip() and each.get_rotation() in (0, 90)
        if each not in outside
    ]
    assert len(held) > 5
    for (one, mine), (other, theirs) in combinations(held, 2):
        across = min(mine.x1, theirs.x1) - max(mine.x0, theirs.x0)
        up = min(mine.y1, theirs.y1) - max(mine.y0, theirs.y0)
        assert min(across, up) <= TOUCH, (one, other)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: gallery.pareto(POINTS, "time"), "unknown column 'time'"),
        (lambda: gallery.pareto(POINTS, "on"), "column on: expected numbers, found 'a'"),
        (lambda: gallery.pareto({"time_s": [], "energy_j": []}), "expected one row or more"),
        (lambda: gallery.pareto({"time_s": [np.nan], "energy_j": [1]}), "expected rows with num"),
        (lambda: gallery.heatmap(MAP, "M", "time_s", "time_s", path="a.foo"), "found 'foo'"),
        (
            lambda: gallery.heatmap({k: v[:4] for k, v in MAP.items()}, "M", "time_s"),
            "expected two values or more of M and of time_s, found 1 and 4",
        ),
        (
            lambda: gallery.heatmap(
                {k: np.concatenate((v, v)) for k, v in MAP.items()}, "M", "bandwidth_bytes_per_s"
            ),
            "expected one row for each pair of M and bandwidth_bytes_per_s, found several",
        ),
        (lambda: gallery.parity({}), "expected one family of measured times or more"),
        (lambda: gallery.parity({"a": ([1.0], [])}), "found 1 and 0"),
        (
            lambda: gallery.roofline(hw.predict(hw.workloads.copy(rows=64, cols=64), H200), H200),
            "expected kernels with operations, found none in copy",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        draw()


def test_an_unknown_column_is_answered_with_those_that_exist() -> None:
    with pytest.raises(UnknownNameError, match="known: energy_j, on, time_s"):
        gallery.pareto(POINTS, "joules")


def test_labels_are_words_and_units() -> None:
    assert label("dram_bytes_read") == "dram bytes read"
    assert with_unit(label("bandwidth_bytes_per_s"), "bytes_per_s") == "bandwidth [B/s]"


@pytest.mark.parametrize("kind", DRAWN)
def test_a_picture_is_drawn_into_axes_of_the_users(kind: str) -> None:
    figures: Any = importlib.import_module("matplotlib.figure")
    draw, asked, labels = DRAWN[kind]
    arguments = asked()
    count = {"breakdown": 2, "tornado": 2, "parity": 2, "pipeline": 2, "steps": 2}.get(kind, 1)
    own = figures.Figure(figsize=(12, 8))
    row = own.subplots(2, 2).ravel()
    given = row[0] if count == 1 else row[:count]
    assert draw(*arguments, ax=given) is given
    told = {text for axes in row[:count] for text in (axes.get_xlabel(), axes.get_ylabel())}
    assert set(labels) <= told | {axes.get_ylabel() for axes in own.axes}
    assert not row[3].has_data()
    assert not own.legends
    with pytest.raises(InputError, match="ax: expected"):
        draw(*arguments, ax=[*row[:count], row[3]])
    with pytest.raises(InputError, match="ax: expected"):
        draw(*arguments, ax="axes")


@pytest.mark.parametrize(
    ("picture", "more", "said"),
    [
        ("breakdown", (), "breakdown: expected an estimate, found 3"),
        ("tornado", (), "tornado: expected what hw.sensitivity answers, found 3"),
        ("pipeline", (), "pipeline: expected a step of training, found 3"),
        ("pareto", ("x", "y"), "expected a sweep or a table by column, found 3"),
    ],
)
def test_what_has_no_picture_is_refused(picture: str, more: tuple[str, ...], said: str) -> None:
    with pytest.raises(InputError, match=said):
        getattr(gallery, picture)(3, *more)
