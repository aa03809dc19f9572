"""Random and mutated input at every entrance: whatever comes in, one line of refusal goes out.

    nice -n 15 python -m benchmarks.fuzz [--cases 100000] [--seed 0] [--entrance NAME ...]
    python -m benchmarks.fuzz --entrance cases --seed 0 --only 4711     (one case again, in full)

Each case is a valid seed of an entrance (`ENTRANCES`), changed at one to four places by its grammar
(other values, kinds, names, repeats, nests) or as bytes and text, and answered in this process. A
fault is any exception that is not an `HwmodelError`, an internal error, an exit status of 1, a line
of a file of cases that was lost, or more than `SECONDS`; memory above `--memory` GiB raises. Cases
depend on seed, entrance and number alone. Prints a table of entrances and the faults, each with its
input, and ends with status 1 where there is one. 100,000 cases take some ten minutes of one core.
"""

import argparse
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fuzzing.entrances import Fuzz
from hwmodel.quantity.errors import HwmodelError
from hwmodel.quantity.printable import shown

SECONDS = 20.0
"""Most that a case may take on a busy core; honest ones take milliseconds."""


class TookTooLong(BaseException):
    """Raised by the alarm; no `except Exception` on the way may catch it."""


@contextmanager
def limited(seconds: float) -> Generator[None, None, None]:
    def ring(*_: Any) -> None:
        raise TookTooLong(f"more than {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


SHARES = {
    **{"cases": 10, "notation": 20, "config": 8, "device": 4, "study": 8, "topology": 8},
    **{"routing": 10, "placement": 6, "place": 3, "tflite": 6, "folder_of_sweep": 4, "command": 4},
    **{"face": 14, "quantity": 10},
}
"""Entrance -> its share of the cases."""
ENTRANCES = tuple(SHARES)


@dataclass(frozen=True)
class Fault:
    """What went wrong, where, and by which input."""

    entrance: str
    number: int
    what: str
    where: str
    shown: str
    trace: str


def one(fuzz: Fuzz, entrance: str, seed: int, number: int, seconds: float) -> Fault | bool:
    """A fault, or whether the input was refused."""
    rng = random.Random(f"{seed} {entrance} {number}")
    case = getattr(fuzz, entrance)(rng)
    try:
        with limited(seconds):
            case.call()
    except HwmodelError as error:
        told = str(error)
        if error.exit_status != 1 and told and not any(c in told for c in "\x1b\r\0"):
            return True
        found: BaseException = error
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        found = error
    else:
        return False
    frames = [f for f in traceback.extract_tb(found.__traceback__) if "hwmodel" in f.filename]
    frames = frames or traceback.extract_tb(found.__traceback__)
    last = frames[-1]
    where = f"{Path(last.filename).name}:{last.lineno} {last.name}"
    what = f"{type(found).__name__}: {shown(str(found), 500)}"
    trace = "".join(traceback.format_exception(found))
    return Fault(entrance, number, what, where, shown(case.shown, 3000), trace)


def fuzzed(
    cases: int,
    seed: int = 0,
    entrances: tuple[str, ...] = ENTRANCES,
    *,
    seconds: float = SECONDS,
    network: Path | None = None,
    tell: Callable[[Fault], None] = lambda fault: None,
) -> tuple[list[Fault], dict[str, Counter[str]]]:
    """Faults of so many cases; by entrance how many were answered and refused, and how long."""
    faults: list[Fault] = []
    counts: dict[str, Counter[str]] = {name: Counter() for name in entrances}
    weight = sum(SHARES[name] for name in entrances)
    with tempfile.TemporaryDirectory() as folder:
        fuzz = Fuzz(Path(folder), network)
        for name in entrances:
            for number in range(max(1, round(cases * SHARES[name] / weight))):
                begin = time.perf_counter()
                found = one(fuzz, name, seed, number, seconds)
                took = time.perf_counter() - begin
                kind = {True: "refused", False: "answered"}.get(found, "faults")  # pyright: ignore
                counts[name][kind] += 1
                counts[name]["ms"] += round(1e3 * took)
                counts[name]["slowest ms"] = max(counts[name]["slowest ms"], round(1e3 * took))
                if isinstance(found, Fault):
                    faults.append(found)
                    tell(found)
    return faults, counts


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--entrance", action="append", choices=ENTRANCES)
    parser.add_argument("--only", type=int, help="this case of one entrance")
    parser.add_argument("--memory", type=float, default=4.0, help="GiB beyond what is mapped now")
    parser.add_argument("--network", type=Path, help="a .tflite file to mutate")
    asked = parser.parse_args()
    import hwmodel.sweeps.run  # what is loaded late maps its memory before the limit counts

    assert hwmodel.sweeps.run
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    most = mapped + int(asked.memory * 2**30)
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.RLIM_INFINITY))
    entrances = tuple(asked.entrance or ENTRANCES)
    if asked.only is not None:
        with tempfile.TemporaryDirectory() as folder:
            fuzz = Fuzz(Path(folder), asked.network)
            found = one(fuzz, entrances[0], asked.seed, asked.only, SECONDS)
            print(f"{found.shown}\n{found.trace}" if isinstance(found, Fault) else found)
        return
    begin = time.perf_counter()
    seen: set[tuple[str, str]] = set()

    def tell(fault: Fault) -> None:
        key = (fault.what.split(":")[0], fault.where)
        if key not in seen:
            print(f"{fault.entrance} --only {fault.number}: {fault.what}")
            print(f"  at {fault.where}\n  of {fault.shown[:600]}\n", flush=True)
        seen.add(key)

    faults, counts = fuzzed(asked.cases, asked.seed, entrances, network=asked.network, tell=tell)
    columns = ("answered", "refused", "faults", "ms", "slowest ms")
    print(f"{'entrance':<18}" + "".join(f"{name:>12}" for name in columns))
    for name, count in counts.items():
        print(f"{name:<18}" + "".join(f"{count[column]:>12,}" for column in columns))
    total = sum(count[kind] for count in counts.values() for kind in columns[:3])
    seconds = time.perf_counter() - begin
    print(f"\n{total:,} cases in {seconds:.0f} s, seed {asked.seed}; {len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
