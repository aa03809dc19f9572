"""Libraries that an extra of the package brings, and the refusal where one of them is missing.

The core answers without them: whoever needs one imports it when it is asked for. What fails there
is told at the door where it was asked (functions of the face, the command line, lines of cases),
with the extra to install.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager

from hwmodel.quantity.errors import MissingError

EXTRAS: Mapping[str, Sequence[str]] = {
    "sweep": ("polars",),
    "plot": ("matplotlib", "networkx"),
}
"""Extra -> the libraries of it, by the name that they are imported by."""


def as_missing(error: ImportError) -> ImportError:
    """The refusal of what asked for a library of an extra; of any other, the error itself."""
    library = (error.name or "").partition(".")[0]
    for extra, libraries in EXTRAS.items():
        if library in libraries:
            told = f"this needs {library}, which is not installed: pip install 'hwmodel[{extra}]'"
            return MissingError(told, name=library)
    return error


@contextmanager
def extras_told() -> Generator[None, None, None]:
    """Inside, a library of an extra that is missing is a `MissingError`."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise as_missing(error) from None
