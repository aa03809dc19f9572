"""FuseMax: single energies, and what the shipped table of its buffer would leave of the saving."""

import pytest

import hwmodel as hw
from hwmodel.validation.papers import fusemax
from hwmodel.validation.papers.given import Given


@pytest.mark.parametrize(
    ("setting", "model", "length", "published_j"),
    [
        ("+Binding", "BERT", 4096, 30.897520074119223),
        ("+Binding", "XLM", 2**20, 5274894.234596324),
        ("FLAT", "BERT", 4096, 39.767686118770086),
        ("FLAT", "BERT", 2**20, 2752657.1725053706),
        ("FLAT", "XLM", 65536, 23935.15168878153),
        ("unfused", "BERT", 4096, 41.39661148687329),
        ("unfused", "XLM", 65536, 24290.20776144501),
    ],
)
def test_single_energies_come_within_nine_percent(
    setting: str, model: str, length: int, published_j: float
) -> None:
    found = fusemax.attended(Given(), setting, model, length)
    assert float(found.energy_j) == pytest.approx(published_j, rel=0.09)


@pytest.mark.parametrize(
    ("model", "length", "published_j"),
    [("BERT", 4096, 30.897520074119223), ("XLM", 2**20, 5274894.234596324)],
)
def test_with_the_registers_of_one_element_they_come_within_three_percent(
    model: str, length: int, published_j: float
) -> None:
    found = fusemax.attended(Given(), fusemax.ONE, model, length)
    assert float(found.energy_j) == pytest.approx(published_j, rel=0.03)


def test_with_the_shipped_buffer_table_the_saving_nearly_vanishes() -> None:
    """485 pJ per 256 words would leave FLAT's scores in the buffer next to free."""
    joules: list[float] = []
    for name in ("fusemax", "flat"):
        cheap = hw.device(name).but(buffer={"energy_j_per_byte": 484.97e-12 / 512})
        work = hw.workloads.attention(batch=64, heads=12, queries=4096, keys=4096, head_dim=64)
        joules.append(float(hw.predict(work, on=cheap).energy_j))
    assert joules[0] / joules[1] > 0.95
