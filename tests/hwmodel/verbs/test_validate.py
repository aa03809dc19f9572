"""The verb `validate` on the shipped rows: complete, and refused where nothing is known."""

import pytest

import hwmodel
from hwmodel.quantity.errors import InputError
from hwmodel.validation.fit import is_test
from hwmodel.validation.report import Traffic, families
from hwmodel.validation.rows import may_fit
from hwmodel.verbs.validate import HEADS, Validation


@pytest.fixture(scope="module")
def found() -> Validation:
    """The report of the H200."""
    return hwmodel.validate("h200")


def test_a_device_that_was_never_measured_is_refused() -> None:
    with pytest.raises(InputError, match="validate: a100 has no measured rows in validation/data"):
        hwmodel.validate("a100")


def test_the_text_has_every_line(found: Validation) -> None:
    text = str(found)
    words = set(text.split())
    assert {word for head in HEADS for word in head.split()} <= words
    for line in found.lines:
        assert set(line.family.split()) <= words
        assert {str(line.rows), f"{line.mean:.1%}", f"{line.worst:.1%}"} <= words
    assert f"joules: {len(found.energy_errors)} rows" in text
    assert "DRAM bytes" in text


def test_the_sustained_state_has_lines_of_its_own(found: Validation) -> None:
    families = {line.family for line in found.sustained}
    assert {"GEMM bf16", "prefill flash", "MoE layer"} <= families
    assert not [name for name in families if name.startswith("vllm")]
    assert "in unbroken repetition" in str(found)


def test_lines_come_in_the_order_of_the_families(found: Validation) -> None:
    order = [list(families()).index(line.family) for line in found.lines]
    assert order == sorted(order)
    assert set(found.judged) == {line.family for line in found.lines}


def test_a_family_is_judged_by_the_rows_that_it_is_counted_with(
    found: Validation,
) -> None:
    for family, rows in found.judged.items():
        assert len(rows) == sum(line.rows for line in found.lines if line.family == family)


def test_errors_are_in_their_order(found: Validation) -> None:
    for line in found.lines:
        assert 0 <= line.median <= line.p90 <= line.worst
        assert line.mean <= line.worst
        assert 0 <= line.coverage <= 1
        assert line.bias > -1


def test_rows_of_fitted_boards_are_of_the_test_half(found: Validation) -> None:
    """What the shipped calibration was fitted on is nowhere in its own report."""
    calibration = hwmodel.device("h200").calibration
    assert calibration is not None
    boards = set(calibration.versions["fitted_boards"].split())
    fitted = {"GEMM bf16", "decode flash", "memory-bound"}
    for family in fitted & set(found.judged):
        rows = [j.row for j in found.judged[family]]
        at_home = [row for row in rows if row.board in boards and may_fit(row)]
        assert at_home
        assert all(is_test(row) for row in at_home)


def test_sums_of_the_text_by_hand() -> None:
    """One row 10 % off and three 20 %: 17.5 % on average. Joules 10, 20 and 60 %: 30 and 20 %."""
    made = Validation(
        device="Toy",
        lines=(),
        traffic=(Traffic("a", 1, 0.0, 0.1, 0.1, 0.1), Traffic("b", 3, 0.0, 0.2, 0.2, 0.2)),
        energy_errors=(0.1, 0.2, 0.6),
        judged={},
        ranked_losses=(0.0, 0.02, 0.1),
    )
    lines = str(made).splitlines()
    every = next(line for line in lines if line.split()[:1] == ["all"])
    assert every.split()[:3] == ["all", "4", "17.5%"]
    joules = next(line for line in lines if line.startswith("joules"))
    assert "3 rows, mean error 30.0%, median 20.0%, p90 52.0%, worst 60.0%" in joules
    tiles = next(line for line in lines if line.startswith("tiles"))
    assert "3 measured menus" in tiles
    assert "4.0% slower than the best on average, at worst 10.0%" in tiles
