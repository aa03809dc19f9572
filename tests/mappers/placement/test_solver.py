"""The solver says nothing on standard output, and answers whatever ran in the process before."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = """
import pulp
from hwmodel.mappers.placement.solver import Quiet

model = pulp.LpProblem("least", pulp.LpMinimize)
x = pulp.LpVariable("x", 0, 5, cat="Integer")
model += x
model += x >= 1.5
model.solve({first})
model.solve(Quiet(threads=1))
print(x.value())
"""


@pytest.mark.parametrize("first", ["Quiet(threads=1)", "Quiet(threads=2)"])
def test_standard_output_holds_the_answer_alone(first: str) -> None:
    """Threads of an earlier solve are another number: HiGHS refuses, and zero is no answer."""
    program = [sys.executable, "-c", PROGRAM.format(first=first)]
    run = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "2.0\n"
