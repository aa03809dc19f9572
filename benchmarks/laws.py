"""Hold predictions to their laws (`tests/laws.py`) on as many random cases as one likes.

    python -m benchmarks.laws [EXAMPLES] [--law NAME] [--seed N] [--most N]

Draws EXAMPLES cases for each law, prints every case that breaks one with what broke, and exits with
status 1 where any did. A seed repeats a run. A thousand examples of each law take half a minute.
"""

import argparse
import json
import sys
import time
from collections import Counter

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.law_cases import Case
from tests.laws import LAWS


def breaches(name: str, examples: int, start: int) -> list[tuple[Case, str]]:
    """Every case that breaks a law, and how."""
    law, cases = LAWS[name]
    found: list[tuple[Case, str]] = []

    @seed(start)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(cases)
    def hold(case: Case) -> None:
        try:
            broken = law(case)
        except Exception as error:
            broken = [f"{type(error).__name__}: {error}"]
        found.extend((case, what) for what in broken)

    hold()
    return found


def main() -> int:
    """Run the laws that are asked for; the exit status."""
    parser = argparse.ArgumentParser(description="Random cases against the laws.")
    parser.add_argument("examples", nargs="?", type=int, default=1000)
    parser.add_argument("--law", choices=sorted(LAWS), action="append")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, default=20, help="breaches printed of each law")
    asked = parser.parse_args()
    status = 0
    for name in asked.law or LAWS:
        start = time.perf_counter()
        found = breaches(name, asked.examples, asked.seed)
        took = time.perf_counter() - start
        print(f"{name}: {asked.examples} cases, {len(found)} breaches, {took:.0f} s")
        for case, what in found[: asked.most]:
            print(f"  {json.dumps(case)}\n    {what}")
        if found:
            status = 1
            kinds = Counter(
                (str(case.get("workload", "text")), str(case.get("kernel"))) for case, _ in found
            )
            print("  " + ", ".join(f"{' '.join(k)}: {n}" for k, n in kinds.most_common()))
    return status


if __name__ == "__main__":
    sys.exit(main())
