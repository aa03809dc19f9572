"""Convolutions and irregular kernels compute what their case says, by loops (torch on the CPU)."""

# pyright: basic, reportMissingImports=false

from itertools import product
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the measuring code needs torch")

from hwmodel.validation.measure.arena import Arena, Carver  # noqa: E402
from hwmodel.validation.measure.library import builder  # noqa: E402
from hwmodel.validation.measure.shapes import Case, work  # noqa: E402
from hwmodel.validation.windows import axes  # noqa: E402

SMALL: dict[str, int] = dict.fromkeys(("bf16", "fp16", "fp32", "fp8"), 1 << 20)


def carver() -> Carver:
    return Carver(Arena(device="cpu", capacity_bytes=dict(SMALL)))


def sides(*numbers: int) -> dict[str, int]:
    names = ("depth", "height", "width", "taps_d", "taps_h", "taps_w")
    return dict(zip(names, numbers, strict=True))


def shape(layout: str, op: str = "forward", **more: Any) -> dict[str, Any]:
    what = {"op": op, "layout": layout, "dims": 2, "batch": 2, "groups": 1, "channels": 4}
    return what | {"filters": 6, "stride": 1, "dilation": 1, "pad": 0} | more


WINDOWS = [
    shape("last", pad=1, stride=2) | sides(1, 6, 7, 1, 3, 3),
    shape("first", pad="0:1", dilation=2) | sides(1, 6, 5, 1, 2, 2),
    shape("last", groups=2, pad="1x0") | sides(1, 4, 4, 1, 3, 1),
    shape("first", groups=4, filters=4, pad=1) | sides(1, 4, 4, 1, 3, 3),
    shape("last", dims=1, stride=5, pad=1) | sides(1, 1, 12, 1, 1, 4),
    shape("first", dims=3, stride="2x1x1") | sides(4, 3, 3, 2, 2, 2),
    shape("last", "transposed", stride=2, pad="1:0") | sides(1, 3, 4, 1, 3, 3),
    shape("first", "transposed", dims=1, stride=3, pad=2) | sides(1, 1, 5, 1, 1, 7),
]


def taken(case: Case, filters: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Image and filters, channels first, as the pools of numbers hold them."""
    s, pools = case.shape, carver()
    each: Any = axes(s)

    def one(count: int, channels: int, spread: list[int], weight: bool) -> np.ndarray:
        inner = (channels, *spread) if s["layout"] == "first" else (*spread, channels)
        found = pools.take(count, *inner, dtype="fp32", weight=weight).double().numpy()
        return found if s["layout"] == "first" else np.moveaxis(found, -1, 1)

    image = one(s["batch"], s["channels"], [axis.side for axis in each], False)
    return image, one(*filters, [axis.taps for axis in each], True)


@pytest.mark.parametrize("given", WINDOWS, ids=lambda s: f"{s['op']}-{s['dims']}-{s['layout']}")
def test_a_convolution_is_the_sum_over_its_window(given: dict[str, Any]) -> None:
    torch.manual_seed(0)
    case, passed = Case("convolution", "torch", "fp32", given), carver()
    call = builder(case)(passed)
    got = call().double().numpy()
    s, groups = given, given["groups"]
    each: Any = axes(given)
    back = s["op"] == "transposed"
    into, out = s["channels"] // groups, s["filters"] // groups
    torch.manual_seed(0)
    image, weights = taken(case, (s["channels"], out) if back else (s["filters"], into))
    extent = [axis.spread if back else axis.outputs for axis in each]
    want = np.zeros((s["batch"], s["filters"], *extent))
    near = [range(axis.side if back else axis.outputs) for axis in each]
    for tap in product(*(range(axis.taps) for axis in each)):
        for at in product(*near):
            far = [a.stride * y + a.dilation * r - a.low
                   for a, y, r in zip(each, at, tap, strict=True)]  # fmt: skip
            if not all(0 <= f < (e if back else a.side)
                       for f, e, a in zip(far, extent, each, strict=True)):  # fmt: skip
                continue
            for g in range(groups):
                c, k = slice(g * into, (g + 1) * into), slice(g * out, (g + 1) * out)
                if back:
                    want[:, k, *far] += image[:, c, *at] @ weights[c, :, *tap]
                else:
                    want[:, k, *at] += image[:, c, *far] @ weights[k, :, *tap].T
    assert got.reshape(want.shape) == pytest.approx(want, abs=1e-5)
    assert passed.taken_bytes == work(case)[1]


def test_scatters_add_each_source_to_its_target_and_say_how_many_reach_the_hottest() -> None:
    given = {"op": "index_add", "sources": 50, "cols": 3, "targets": 7, "hot": 1.0}
    case = Case("scatter", "torch", "fp32", given)
    passed = carver()
    got = builder(case)(passed)()
    assert passed.facts["hottest"] == [50.0]
    total = passed.arena.pool("fp32", False)[:150].view(50, 3).sum(0)
    assert got[3].tolist() == pytest.approx(total.tolist(), abs=1e-4)
    assert int((got != 0).any(1).sum()) == 1
    assert passed.taken_bytes == work(case)[1]
    alone = {"op": "scatter_add", "sources": 50, "cols": 1, "targets": 7, "hot": 0.0}
    assert builder(Case("scatter", "torch", "fp32", alone))(carver())().shape == (7,)


@pytest.mark.parametrize(
    ("family", "given", "output"),
    [
        ("pool", shape("last", "max", stride=2, pad=1) | sides(1, 8, 8, 1, 3, 3), (2, 4, 4, 4)),
        ("pool", shape("first", "average", stride=2) | sides(1, 8, 6, 1, 2, 2), (2, 4, 4, 3)),
        ("cumsum", {"op": "cumsum", "axis": "last", "rows": 3, "cols": 5}, (3, 5)),
        ("cumsum", {"op": "cumsum", "axis": "first", "rows": 3, "cols": 5}, (5, 3)),
        ("cross_entropy", {"rows": 3, "cols": 50}, ()),
    ],
)
def test_inputs_have_the_bytes_that_the_case_counts(
    family: str, given: dict[str, Any], output: tuple[int, ...]
) -> None:
    case, passed = Case(family, "torch", "bf16", given), carver()
    assert tuple(builder(case)(passed)().shape) == output
    assert passed.taken_bytes == work(case)[1]


@pytest.mark.parametrize("op", ["index_select", "embedding", "embedding_bag"])
def test_gathers_take_rows_and_count_what_they_can_reach_of_a_table(op: str) -> None:
    bag = 5 if op == "embedding_bag" else 1
    given = {"op": op, "sources": 20, "cols": 8, "targets": 100, "bag": bag, "hot": 0.5}
    case, passed = Case("gather", "torch", "fp32", given), carver()
    assert builder(case)(passed)().shape == (20 // bag, 8)
    assert passed.taken_bytes == work(case)[2] - 20 // bag * 8 * 4


def test_sorts_answer_numbers_in_order_and_the_largest_first() -> None:
    given = {"op": "sort", "rows": 3, "cols": 40, "k": 40}
    values, at = builder(Case("sort", "torch", "fp32", given))(carver())()
    assert (values.diff(dim=1) >= 0).all()
    assert at.dtype == torch.int64
    top, _ = builder(Case("sort", "torch", "fp32", given | {"op": "topk", "k": 4}))(carver())()
    assert top.shape == (3, 4)
    assert (top.diff(dim=1) <= 0).all()
