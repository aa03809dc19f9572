"""The door of the command: `hwmodel`, `python -m hwmodel`.

Kept light: what answers a shell that completes a word loads nothing of the models.
"""

import gc
import os
import sys
from typing import NoReturn

COLLECTED_AFTER = 300_000
"""New values between two searches for garbage, 700 by default: modules that load make many values
and no garbage, and searching them takes a sixth of a short command's time."""


def main() -> NoReturn:
    """Run the command line, or answer a shell that completes a word."""
    from hwmodel.completion import answer

    status = answer()
    if status is not None:
        sys.exit(status)
    gc.set_threshold(COLLECTED_AFTER)
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # none is wanted, but looked for
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # no product is large; threads take a tenth
    from hwmodel.cli import main as run
    from hwmodel.quantity.cache import keep

    keep()
    run()


if __name__ == "__main__":
    main()
