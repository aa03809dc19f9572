"""Where a page of the repository stands on the site, and its links there.

A page of docs/ stands at its path below docs/, and one from elsewhere at its own path.
"""

import posixpath
import re

DOCS = "docs"
OUTSIDE = (
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "validation/data/README.md",
    "validation/effects.md",
)
"""Pages that the site shows beside those of docs/."""

INSTEAD = {"README.md": "index.md"}
"""What stands on the site in the place of a page of the repository."""

FENCED = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")


def placed(page: str) -> str:
    """Where a page of the repository stands on the site.

    >>> placed("docs/concepts.md"), placed("validation/effects.md"), placed("README.md")
    ('concepts.md', 'validation/effects.md', 'index.md')
    """
    return INSTEAD.get(page, page.removeprefix(f"{DOCS}/"))


def linked(text: str, page: str) -> str:
    """The text of a page of the repository, with links to pages as they stand on the site.

    >>> linked("see [it](../validation/effects.md#gemm)", "docs/accuracy.md")
    'see [it](validation/effects.md#gemm)'
    >>> linked("see [it](docs/concepts.md)", "CONTRIBUTING.md")
    'see [it](concepts.md)'
    """
    own, here = posixpath.dirname(page), posixpath.dirname(placed(page)) or "."

    def led(link: re.Match[str]) -> str:
        before, target, anchor, after = link.groups()
        if ":" in target or not target.endswith(".md"):
            return link.group(0)
        there = placed(posixpath.normpath(posixpath.join(own, target)))
        return f"{before}{posixpath.relpath(there, here)}{anchor or ''}{after}"

    parts = FENCED.split(text)  # every second one is a block of code
    return "".join(part if n % 2 else LINK.sub(led, part) for n, part in enumerate(parts))
