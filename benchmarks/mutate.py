"""Which random changes to the code the tests notice: a mutation run over some files.

    python -m benchmarks.mutate [--count 150] [--seed 1] [--base HEAD~1] [FILE or FOLDER ...]

Draws single changes (a comparison turned or its boundary moved, + for -, a constant by a tenth, a
term dropped, `and` for `or`, a `not` left out, `min` for `max`, the arms of a `where` exchanged)
over the files named, else over those that differ from the base, and runs for each the test files
that execute its line, in a copied tree. Lines come from one run of every test file alone, kept in
the temporary folder until the file or what it executes changes. Left out are tests that guard
against any change (the golden file) and texts of the docs. Needs the extra `dev`; a run of 150
takes some half an hour on two idle cores. Prints each change with its verdict, the share noticed by
folder, and the survivors: each is a statement that no test holds, unless it changes no answer.
"""

import argparse
import multiprocessing
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from benchmarks.mutation.changes import Change, draw
from benchmarks.mutation.checkout import chosen, copied, test_files
from benchmarks.mutation.statements import bodies, mentions, sources, statement
from benchmarks.mutation.tested import KEPT, Executed, executed, noticed, prepare


def selected(change: Change, every: Sequence[Executed]) -> list[Executed]:
    """Test files that execute the line, the one that mirrors its file first, then the fastest."""
    wanted = {change.file: statement(change.file, change.line)}
    inside = bodies(change.file)
    if change.line not in inside:
        wanted = dict(mentions(change.names)) if change.names else {}
        wanted = wanted if any(wanted.values()) else {change.file: inside}
    running = [
        each
        for each in every
        if each.passed
        and any(not lines.isdisjoint(each.lines.get(file, ())) for file, lines in wanted.items())
    ]
    mirror = f"test_{Path(change.file).name}"
    return sorted(running, key=lambda each: (Path(each.test).name != mirror, each.seconds))


def main() -> None:
    """Draw, run, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--count", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--base", default="HEAD~1")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--tests", nargs="*", default=(), help="only these test files or folders")
    options = parser.parse_args()
    sources()
    changes = draw(chosen(options.files, options.base), options.count, options.seed)
    KEPT.mkdir(exist_ok=True)
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        trees = context.SimpleQueue()
        for worker in range(options.workers):
            trees.put(copied(Path(folder) / str(worker)))
        start = time.monotonic()
        with ProcessPoolExecutor(options.workers, context, prepare, (trees,)) as pool:
            every = list(pool.map(executed, test_files(options.tests)))
            for each in every:
                if not each.passed:
                    print(f"fails without any change, not run: {each.test}")
            print(f"lines of {len(every)} test files: {time.monotonic() - start:.0f} s", flush=True)
            waiting = [pool.submit(noticed, *asked(change, every)) for change in changes]
            verdicts: list[str] = []
            for change, found in zip(changes, waiting, strict=True):
                verdicts.append(found.result())
                word = f"noticed by {verdicts[-1]}" if verdicts[-1] else "NOT noticed"
                print(f"{word}: {change.shown()}", flush=True)
        report(changes, verdicts, time.monotonic() - start)


def asked(change: Change, every: Sequence[Executed]) -> tuple[Change, bytes, list[str], float]:
    """What a worker is asked to try: the changed source, the tests to run, and for how long."""
    tests = selected(change, every)
    limit_s = 60 + 3 * sum(each.seconds for each in tests)
    return change, change.source(), [each.test for each in tests], limit_s


def report(changes: Sequence[Change], verdicts: Sequence[str], seconds: float) -> None:
    """Shares by folder, and the survivors."""
    by_folder: dict[str, list[bool]] = {}
    for change, found in zip(changes, verdicts, strict=True):
        by_folder.setdefault(str(Path(change.file).parent), []).append(bool(found))
    survivors = [c for c, found in zip(changes, verdicts, strict=True) if not found]
    print(f"\n{len(survivors)} not noticed:")
    for change in survivors:
        print(change.shown())
    print(f"\n{'folder':<32}{'changes':>9}{'noticed':>9}")
    for name, found in sorted(by_folder.items()):
        print(f"{name:<32}{len(found):>9}{sum(found) / len(found):>9.0%}")
    share = 1 - len(survivors) / max(1, len(changes))
    print(f"{'all':<32}{len(changes):>9}{share:>9.0%}  ({seconds:.0f} s)")


if __name__ == "__main__":
    main()
