"""Which random changes to the code the tests notice: a mutation run over some files.

    python benchmarks/mutate.py [--count 150] [--seed 1] [--base HEAD~1] [FILE or FOLDER ...]

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
import ast
import hashlib
import importlib
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("einsum", "hwmodel", "kernels", "mappers", "validation")
LEFT_OUT = ("tests/test_golden.py", "tests/test_readme.py", "tests/docs/", "tests/test_layout.py")
LEFT_OUT += ("tests/test_line_budget.py", "tests/kernels/", "tests/test_import_cost.py")
LIBRARIES = ("numpy", "scipy.optimize", "polars", "pydantic", "matplotlib.pyplot", "networkx")
LIBRARIES += ("rich.table", "typer", "lark", "yaml", "pulp", "highspy", "_pytest.main")
"""What most runs load, once a worker."""

TREE = Path()
"""A worker's copy of the checkout."""

KEPT = Path(tempfile.gettempdir()) / "hwmodel-mutate"

COMPARED = {
    **{ast.Eq: ("==", ("!=",)), ast.NotEq: ("!=", ("==",))},
    **{ast.Lt: ("<", (">=", "<=")), ast.LtE: ("<=", (">", "<"))},
    **{ast.Gt: (">", ("<=", ">=")), ast.GtE: (">=", ("<", ">"))},
    **{ast.In: ("in", ("not in",)), ast.NotIn: ("not in", ("in",))},
    **{ast.Is: ("is", ("is not",)), ast.IsNot: ("is not", ("is",))},
}
COMPUTED = {
    **{ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*")},
    **{ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "*"), ast.Pow: ("**", "*")},
}
EXCHANGED = {"min": "max", "least": "most", "floor": "ceil", "any": "all", "minimum": "maximum"}
EXCHANGED |= {new: old for old, new in EXCHANGED.items()}


@cache
def read(file: str) -> bytes:
    """A file as it was when it was first looked at: the checkout may change during a run."""
    return (ROOT / file).read_bytes()


@dataclass(frozen=True)
class Change:
    """One change: bytes `start` to `end` of a file replaced; `names` are what the line defines."""

    file: str
    line: int
    start: int
    end: int
    new: str
    names: tuple[str, ...] = ()

    def source(self) -> bytes:
        """The changed file."""
        text = read(self.file)
        return text[: self.start] + self.new.encode() + text[self.end :]

    def shown(self) -> str:
        """Where, and the line before and after."""
        old = read(self.file).split(b"\n")[self.line - 1].decode().strip()
        new = self.source().split(b"\n")[self.line - 1].decode().strip()
        return f"{self.file}:{self.line}\n      {old}\n   -> {new}"


class Changes(ast.NodeVisitor):
    """All changes of one file."""

    def __init__(self, file: str):
        self.file, self.found = file, list[Change]()
        self.text = read(file)
        self.starts = [0]
        for line in self.text.split(b"\n"):
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.names: tuple[str, ...] = ()
        self.inside = 0
        self.visit(ast.parse(self.text))

    def place(self, node: Any) -> tuple[int, int]:
        """First and last byte of a node."""
        first = self.starts[node.lineno - 1] + node.col_offset
        return first, self.starts[node.end_lineno - 1] + node.end_col_offset

    def add(self, node: Any, start: int, end: int, new: str) -> None:
        """Note a change."""
        self.found.append(Change(self.file, node.lineno, start, end, new, self.names))

    def between(self, left: Any, right: Any, old: str, new: str) -> None:
        """Replace a word between two nodes."""
        start, end = self.place(left)[1], self.place(right)[0]
        at = self.text.find(old.encode(), start, end)
        if at >= 0:
            line = self.text.count(b"\n", 0, at) + 1
            self.found.append(Change(self.file, line, at, at + len(old), new, self.names))

    def words(self, node: Any) -> str:
        """The text of a node."""
        start, end = self.place(node)
        return self.text[start:end].decode()

    def visit_FunctionDef(self, node: Any) -> None:
        self.inside += 1
        for child in (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
            self.visit(child)
        self.inside -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for child in node.body:
            self.visit(child)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._defined(node.targets, node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        self._defined([node.target], node.value)

    def _defined(self, targets: Sequence[ast.AST], value: ast.AST | None) -> None:
        if value is None:
            return
        if not self.inside:
            every = [n for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            self.names = tuple(name.id for name in every)
        if "__all__" not in self.names:
            self.visit(value)
        self.names = ()

    def visit_Raise(self, node: ast.Raise) -> None:
        """Messages are left alone."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Texts are left alone."""

    def visit_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1:
            old, others = COMPARED[type(node.ops[0])]
            for new in others:
                self.between(node.left, node.comparators[0], old, new)
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        texts = (ast.JoinedStr, ast.List, ast.Tuple)
        plain = not any(
            isinstance(side, texts)
            or (isinstance(side, ast.Constant) and isinstance(side.value, str))
            for side in (node.left, node.right)
        )
        if plain and type(node.op) in COMPUTED:
            old, new = COMPUTED[type(node.op)]
            self.between(node.left, node.right, old, new)
            if isinstance(node.op, (ast.Add, ast.Sub)):
                self.add(node, *self.place(node), f"({self.words(node.left)})")
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        self.between(node.values[0], node.values[1], old, new)
        for value in node.values:
            self.add(node, *self.place(node), f"({self.words(value)})")
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, (ast.Not, ast.USub)):
            self.add(node, *self.place(node), f"({self.words(node.operand)})")
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.add(node.test, *self.place(node.test), f"not ({self.words(node.test)})")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        if self.words(node.test) == "TYPE_CHECKING":
            return
        self.add(node.test, *self.place(node.test), f"not ({self.words(node.test)})")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        called = node.func
        name = getattr(called, "attr", getattr(called, "id", ""))
        if name in EXCHANGED:
            end = self.place(called)[1]
            self.add(called, end - len(name), end, EXCHANGED[name])
        if name == "where" and len(node.args) == 3:
            first, last = self.place(node.args[1]), self.place(node.args[2])
            between = self.text[first[1] : last[0]].decode()
            arms = f"{self.words(node.args[2])}{between}{self.words(node.args[1])}"
            self.add(node.args[1], first[0], last[1], arms)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            tenth = value * 1.1 or 0.1
            new = tenth if isinstance(value, float) else max(value + 1, round(tenth))
            self.add(node, *self.place(node), repr(new))


def chosen(names: Sequence[str], base: str) -> list[str]:
    """Files to change: those named, else those that differ from the base."""
    if not names:
        changed = git("diff", "--name-only", base, "--", *FOLDERS)
        names = [name for name in changed if (ROOT / name).is_file()]
    files = {
        path.resolve().relative_to(ROOT).as_posix()
        for name in names
        for path in ([ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*.py"))
    }
    return sorted(file for file in files if file.endswith(".py"))


def git(*words: str) -> list[str]:
    """Lines of a git command."""
    found = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return found.stdout.splitlines()


def draw(files: Sequence[str], count: int, seed: int) -> list[Change]:
    """Changes of as many lines, each line once."""
    lines: dict[tuple[str, int], list[Change]] = {}
    for file in files:
        for change in Changes(file).found:
            lines.setdefault((file, change.line), []).append(change)
    dice = random.Random(seed)
    return [dice.choice(lines[line]) for line in dice.sample(sorted(lines), min(count, len(lines)))]


def copied(to: Path) -> Path:
    """A copy of what git tracks or would, beside a link to `../shared` where there is one."""
    tree = to / "checkout"
    for name in git("ls-files", "--cached", "--others", "--exclude-standard"):
        source, target = ROOT / name, tree / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
    shared = ROOT.parent / "shared"
    if shared.is_dir():
        (to / "shared").symlink_to(shared)
    return tree


def prepare(trees: Any) -> None:
    """A worker with a copy of its own and the libraries loaded, that forks for each run."""
    global TREE
    TREE = trees.get()
    for name in LIBRARIES:
        importlib.import_module(name)


def forked(words: Sequence[str], limit_s: float, settings: str | None = None) -> tuple[int, str]:
    """Exit status and output of pytest in the copy; -1 where it did not end in time."""
    out = TREE.parent / "out.txt"
    child = os.fork()
    if child == 0:
        try:
            status = _tested(words, out, settings)
        except BaseException:
            status = 3
        os._exit(status)
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), out.read_text(errors="replace")
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1, ""


def _tested(words: Sequence[str], out: Path, settings: str | None) -> int:
    """Run pytest in this process, with the lines it executes noted where settings say where."""
    os.setsid()
    with out.open("w") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.chdir(TREE)
    sys.path[0] = str(TREE)
    os.environ["PYTHONPATH"] = str(TREE)
    traced: Any = None
    if settings:
        traced = importlib.import_module("coverage").Coverage(config_file=settings)
        traced.start()
    status = int(importlib.import_module("pytest").main(["-q", "-p", "no:cacheprovider", *words]))
    if traced:
        traced.stop()
        traced.save()
    sys.stdout.flush()
    return status


def digest(path: Path) -> str:
    """What a file holds, in short."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.is_file() else ""


@dataclass(frozen=True)
class Executed:
    """What one test file executes: lines by file; its seconds; whether it passes."""

    test: str
    lines: dict[str, list[int]]
    seconds: float
    passed: bool


def executed(test: str) -> Executed:
    """Lines that a test file executes, run alone, or as kept from a run of the same sources."""
    kept = KEPT / (test.replace("/", "+") + ".json")
    if kept.is_file():
        old = json.loads(kept.read_text())
        if all(digest(TREE / name) == value for name, value in old["sources"].items()):
            return Executed(test, old["lines"], old["seconds"], old["passed"])
    found = _traced(test)
    sources = {name: digest(TREE / name) for name in (test, *found.lines)}
    held = {"sources": sources, "lines": found.lines, "seconds": found.seconds}
    kept.write_text(json.dumps(held | {"passed": found.passed}))
    return found


def _traced(test: str) -> Executed:
    data, settings = TREE.parent / "coverage", TREE.parent / "coveragerc"
    include = ",".join(f"{TREE}/{folder}/*" for folder in FOLDERS)
    settings.write_text(f"[run]\ndata_file={data}\ninclude={include}\n")
    data.unlink(missing_ok=True)
    start = time.monotonic()
    status, _ = forked([test], 1200, str(settings))
    read = importlib.import_module("coverage").CoverageData(str(data))
    if data.is_file():
        read.read()
    lines = {
        Path(name).resolve().relative_to(TREE.resolve()).as_posix(): sorted(read.lines(name) or ())
        for name in read.measured_files()
    }
    return Executed(test, lines, time.monotonic() - start, status in (0, 5))


@cache
def bodies(file: str) -> set[int]:
    """Lines inside functions: what importing alone does not execute."""
    tree = ast.parse(read(file))
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, functions)
        for each in (node.body if isinstance(node.body, list) else [node.body])
        for line in range(each.lineno, (each.end_lineno or each.lineno) + 1)
    }


def statement(file: str, line: int) -> set[int]:
    """Lines of the innermost statement around a line."""
    nodes = ast.walk(ast.parse(read(file)))
    around = [
        range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for node in nodes
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    return set(min(around, key=len, default=range(line, line + 1)))


@cache
def sources() -> tuple[str, ...]:
    """Every module, read once."""
    found = tuple(name for name in git("ls-files", *FOLDERS) if name.endswith(".py"))
    return tuple(name for name in found if (ROOT / name).is_file() and read(name))


def mentions(names: Sequence[str]) -> Iterator[tuple[str, set[int]]]:
    """Lines inside functions that mention one of the names, or what modules define by them."""
    wanted, known = set(names), 0
    while len(wanted) > known:
        known = len(wanted)
        wanted |= {new for file in sources() for old, new in defined(file) if old in wanted}
    for file in sources():
        lines = {line for name, line in named(file) if name in wanted}
        if lines:
            yield file, lines & bodies(file)


@cache
def named(file: str) -> tuple[tuple[str, int], ...]:
    """(name, line) of every name and attribute of a file."""
    return tuple(
        (node.id if isinstance(node, ast.Name) else node.attr, node.lineno)
        for node in ast.walk(ast.parse(read(file)))
        if isinstance(node, (ast.Name, ast.Attribute))
    )


@cache
def defined(file: str) -> tuple[tuple[str, str], ...]:
    """(old, new) of every constant that a module computes from a name, or from module.name."""
    found: list[tuple[str, str]] = []
    for node in ast.parse(read(file)).body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            new = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
            inside = list(ast.walk(node.value))
            old = [n.id for n in inside if isinstance(n, ast.Name)]
            old += [n.attr for n in inside if isinstance(n, ast.Attribute)]
            found += [(one, other) for one in old for other in new]
    return tuple(found)


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


def noticed(change: Change, source: bytes, tests: Sequence[str], limit_s: float) -> str:
    """The first test that fails, "time" where none ends, else an empty word."""
    if not tests:
        return ""
    path = TREE / change.file
    before = path.read_bytes()
    try:
        path.write_bytes(source)
        _forget(path)
        status, text = forked(["-x", "--tb=no", *tests], limit_s)
    finally:
        path.write_bytes(before)
        _forget(path)
    if status in (0, 5):
        return ""
    failed = [line for line in text.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return failed[0].split(" - ")[0] if failed else "time" if status == -1 else f"status {status}"


def _forget(path: Path) -> None:
    """A changed file of the same size and second would be taken from its compiled form."""
    for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
        compiled.unlink()


def test_files(wanted: Sequence[str]) -> list[str]:
    """Test files that may notice, below the paths wanted."""
    files = git("ls-files", "--cached", "--others", "--exclude-standard", *(wanted or ("tests",)))
    return [
        name
        for name in files
        if Path(name).name.startswith("test_")
        and name.endswith(".py")
        and not name.startswith(LEFT_OUT)
    ]


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
