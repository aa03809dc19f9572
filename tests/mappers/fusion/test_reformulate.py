"""Reformulations of a softmax: equal values, fewer passes, operations counted, traffic compared."""

import numpy as np
import pytest

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.evaluate import evaluate
from hwmodel.einsum.notation import parse
from hwmodel.einsum.passes import passes
from hwmodel.einsum.workloads.attention import attention
from hwmodel.hardware.catalogue import device
from hwmodel.mappers.fusion.compare import compare, verdict
from hwmodel.mappers.fusion.reformulate import reformulations, softmax_of
from hwmodel.quantity.errors import CoverageError

OTHER_NAMES = """
tensor Keys[x, t, c]: cache
Sim[x, t, s] = Query[x, s, c] * Keys[x, t, c]
Top[x, s] = max(t) Sim[x, t, s]
Num[x, t, s] = exp(Sim[x, t, s] - Top[x, s])
Den[x, s] = sum(t) Num[x, t, s]
Prob[x, t, s] = Num[x, t, s] / Den[x, s]
Out[x, s, d] = sum(t) Prob[x, t, s] * Vals[x, t, d]
Res[x, s, d] = relu(Out[x, s, d])
"""


def small() -> Cascade:
    sizes = {"x": 2, "t": 12, "s": 5, "c": 3, "d": 4}
    return parse(OTHER_NAMES, sizes=sizes, dtypes={"*": "bf16"})


def test_every_form_has_the_value_of_the_given_one() -> None:
    draw = np.random.default_rng(3)
    inputs = {
        "Query": draw.normal(size=(2, 5, 3)),
        "Keys": draw.normal(size=(2, 12, 3)),
        "Vals": draw.normal(size=(2, 12, 4)),
    }
    expected = evaluate(small(), inputs)["Res"]
    forms = reformulations(small(), (1, 3, 12, 5))
    assert len(forms) == 2 + 2 * 3  # 5 does not divide 12
    for form in forms:
        shaped = {
            name: array.reshape(
                [int(form.cascade.ranks[r].size) for r in form.cascade.tensors[name].ranks]
            )
            for name, array in inputs.items()
        }
        np.testing.assert_allclose(evaluate(form.cascade, shaped)["Res"], expected, rtol=1e-12)


def test_running_form_reads_every_input_in_one_pass() -> None:
    by_name = {form.name: form.cascade for form in reformulations(small(), (4,))}
    most = {name: max(passes(cascade).values()) for name, cascade in by_name.items()}
    assert most["as given"] == 3
    assert most["one-pass, tiles of 4"] == 1
    assert most["two-pass, tiles of 4"] == 2 + 1  # two over t; the maxima of tiles three over t1
    assert passes(by_name["two-pass, tiles of 4"])["t", "Keys"] == 2


def test_extra_operations_are_those_of_the_corrections() -> None:
    """Of tiles of 4: 3 tiles a row, 10 rows, 4 columns of the output."""
    forms = {form.name: form.extra_operations for form in reformulations(small(), (4,))}
    rows, tiles, wide, columns = 10, 3, 4, 12
    running = forms["one-pass, tiles of 4"]
    assert running["exp"] == rows * tiles  # PRM
    assert running["divide"] == rows * wide - rows * columns
    assert running["multiply"] == rows * tiles * (1 + wide)  # SPD, SPNV
    again = forms["recompute"]
    assert again["multiply"] == 2 * rows * columns * 3
    assert again["exp"] == rows * columns


def test_one_pass_wins_where_rows_do_not_fit() -> None:
    cascade = attention(1, 1, 128, 128, 16, passes=3)
    machine = device("peer-a2").but(buffer={"capacity_bytes": 4096})
    answers = compare(cascade, machine, tiles=(8,))
    assert answers[0].form.name == "one-pass, tiles of 8"
    best, given = answers[0].mapped, next(a for a in answers if a.form.name == "as given").mapped
    assert best is not None
    assert given is not None
    assert best.traffic_bytes < given.traffic_bytes
    words = verdict(answers)
    assert words.startswith("one-pass, tiles of 8: ")
    assert f"{given.traffic_bytes:,} bytes as given" in words


def test_given_form_wins_where_everything_fits() -> None:
    cascade = attention(1, 1, 32, 32, 8, passes=3)
    answers = compare(cascade, device("peer-a2"), tiles=(8,))
    assert answers[0].form.name == "as given"
    assert "no reformulation moves less" in verdict(answers)


def test_cascades_without_softmax_stand_alone() -> None:
    cascade = parse("Z[m, n] = A[m, k] * B[k, n]", sizes={"m": 2, "n": 2, "k": 2})
    assert softmax_of(cascade) is None
    assert [form.name for form in reformulations(cascade)] == ["as given"]


def test_names_that_are_taken_are_refused() -> None:
    text = OTHER_NAMES.replace("Sim[", "RM[")
    cascade = parse(text, sizes={"x": 2, "t": 12, "s": 5, "c": 3, "d": 4})
    with pytest.raises(CoverageError, match="RM"):
        reformulations(cascade, (4,))
