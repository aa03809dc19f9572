"""The checkout as git knows it: files to change, tests that may notice, copies to run them in."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("einsum", "hwmodel", "kernels", "mappers", "validation")
LEFT_OUT = ("tests/test_golden.py", "tests/test_readme.py", "tests/docs/", "tests/test_layout.py")
LEFT_OUT += ("tests/test_line_budget.py", "tests/kernels/", "tests/test_import_cost.py")


def git(*words: str) -> list[str]:
    """Lines of a git command."""
    found = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return found.stdout.splitlines()


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
