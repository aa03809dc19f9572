"""`hwmodel kernels` prints the table by which calls are refused."""

import json

from typer.testing import CliRunner

from hwmodel.cli import app
from hwmodel.machines.gpu.libraries.shipped import SHIPPED

RUN = CliRunner()
TABLE = [(name, line) for name, library in SHIPPED.items() for line in library.support]


def test_every_line_of_the_table_is_printed_with_its_source() -> None:
    said = RUN.invoke(app, ["kernels"])
    assert said.exit_code == 0
    for name, line in TABLE:
        assert f"{name} ({', '.join(line.schedules)}): {line.source}" in said.stdout
    assert "head_dim to 256" in said.stdout


def test_the_same_as_json() -> None:
    lines = json.loads(RUN.invoke(app, ["kernels", "--json"]).stdout)
    flash = next(line for line in lines if line["library"] == "flash-attention-2")
    assert flash["head_dim"]["hopper"] == 256
    assert sorted(flash["formats"]) == ["bf16", "fp16"]
    fp8 = next(line for line in lines if line["library"] == "cublas")["multiples"]["fp8"]
    assert fp8 == {"N": 16, "K": 16}
    assert len(lines) == len(TABLE)


def test_one_library_alone() -> None:
    said = RUN.invoke(app, ["kernels", "cudnn"]).stdout
    assert said.startswith("cudnn: ")
    assert "flash-attention-2" not in said
    lines = json.loads(RUN.invoke(app, ["kernels", "cudnn", "--json"]).stdout)
    assert {line["library"] for line in lines} == {"cudnn"}


def test_a_library_that_is_none_is_refused_by_name() -> None:
    assert "unknown kernel 'cudn' (did you mean 'cudnn'?)" in str(
        RUN.invoke(app, ["kernels", "cudn"]).exception
    )
