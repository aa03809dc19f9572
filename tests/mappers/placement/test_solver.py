"""The solver says nothing on standard output, where answers in JSON go."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import pulp
from hwmodel.mappers.placement.solver import Quiet

model = pulp.LpProblem("least", pulp.LpMinimize)
x = pulp.LpVariable("x", 0, 5, cat="Integer")
model += x
model += x >= 1.5
model.solve(Quiet(threads=1))
print(x.value())
"""


def test_standard_output_holds_the_answer_alone() -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout == "2.0\n"
