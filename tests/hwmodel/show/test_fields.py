"""One list of fields: what every door shows of one answer has the same names and values."""

import json

import hwmodel as hw
from hwmodel.quantity.units import DIMENSIONS
from hwmodel.show.columns import KINDS
from hwmodel.show.fields import ALL, COLUMNS, ESTIMATE, POINT, POINTS
from hwmodel.show.json import full_record
from hwmodel.verbs.cases import predict_lines

CASE = {
    "workload": "llm",
    **{"config": "llama-3.2-1b", "phase": "decode", "batch": 4, "context": 1000, "on": "h200"},
}
STEP = hw.predict(hw.model("llama-3.2-1b").decode(4, 1000), on="h200")


def test_json_a_line_and_a_row_of_one_answer_agree() -> None:
    record = json.loads(json.dumps(full_record(STEP)))
    (line,) = predict_lines([json.dumps(CASE)])
    (row,) = list(STEP)
    point = [field.name for field in POINT]
    assert list(line) == [*point, "warnings"]
    assert list(row) == ["workload", "device", *point]
    assert [line[name] for name in point] == [row[name] for name in point]
    assert {**record, **line} == record
    assert record["fits"] is True
    assert record["tokens_per_s"] * record["joules_per_token"] * record["time_s"] > 0


def test_every_answer_has_every_field_and_null_for_what_is_not_modelled() -> None:
    record = full_record(hw.predict(hw.workloads.gemm(M=64, N=64, K=64), on="h200"))
    assert list(record) == [field.name for field in ESTIMATE]
    unknown = {name for name, value in record.items() if value is None}
    assert {"tokens_per_s", "joules_per_token", "memory", "memory_bytes", "fits"} <= unknown


def test_fields_are_named_once_and_columns_have_one_value_a_point() -> None:
    assert set(KINDS) == set(COLUMNS)
    for answer, listed in ALL.items():
        names = [field.name for field in listed]
        assert len(names) == len(set(names))
        for field in POINTS[answer]:
            assert field.kind in COLUMNS
            assert field in listed
            assert field.unit is None or field.unit in DIMENSIONS


def test_a_unit_is_that_of_the_name() -> None:
    units = {field.name: field.unit for field in POINT}
    assert (units["time_low_s"], units["energy_j"], units["area_m2"]) == ("s", "j", "m2")
    assert (units["bottleneck"], units["fits"]) == (None, None)
