"""What is built holds what the checkout does, and no more: `python -m tests.dist DIST`.

DIST has one source distribution, and the wheel that was built from it. Modules, data and stubs of
the packages are in the wheel; tests, documents and links are not. What the source distribution
lacks, the wheel that is built from it lacks too; the files of a project are asked for besides.
"""

import sys
import tarfile
import zipfile
from pathlib import Path

from tests.test_layout import FOLDERS, contents

LARGEST_BYTES = 10_000_000
"""Of a wheel: configs and measured rows come along, pictures and builds do not."""

PROJECT = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml"}
"""What a source distribution has besides packages."""


def packaged() -> set[str]:
    """Every file of the packages, as a wheel names it."""
    files = [file for each in contents().values() for file in each]
    return {
        f"{home.replace('.', '/')}/{file.relative_to(folder).as_posix()}"
        for home, folder in FOLDERS.items()
        for file in files
        if folder in file.parents
    }


def faults(source: set[str], wheel: set[str], wanted: set[str]) -> list[str]:
    """What is wrong with the names in a source distribution and a wheel; none where all is well."""
    return [
        *(f"the wheel lacks {name}" for name in sorted(wanted - wheel)),
        *(f"the wheel has {name}, of no package" for name in sorted(wheel - wanted)),
        *(f"the source distribution lacks {name}" for name in sorted(PROJECT - source)),
    ]


def examined(folder: Path) -> list[str]:
    """What is wrong with the distributions in a folder."""
    (built,), (packed,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(built) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    with tarfile.open(packed) as archive:
        source = {name.partition("/")[2] for name in archive.getnames()}
    large = built.stat().st_size > LARGEST_BYTES
    too_large = [f"the wheel has more than {LARGEST_BYTES:,} bytes"] if large else []
    return [*faults(source, names, packaged()), *too_large]


def main() -> None:
    """Say what is wrong, line by line, and end with status 1 where something is."""
    found = examined(Path(sys.argv[1]))
    print("\n".join(found) or "the distributions hold what the checkout does")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
