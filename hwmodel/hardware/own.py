"""Devices of the user's own by name: one folder whose files stand beside those that come along.

`my-card.yaml`, or a folder `my-card` with `device.yaml` (and `calibration.yaml`, as `hwmodel
calibrate --out` writes both), is the device `my-card` of `--on`. The folder is
`$XDG_CONFIG_HOME/hwmodel/devices`, by default `~/.config/hwmodel/devices` (XDG Base Directory
Specification 0.8).
"""

import os
from collections.abc import Mapping
from pathlib import Path


def folder() -> Path:
    """Where they are looked for; a relative `XDG_CONFIG_HOME` is passed over, as XDG asks."""
    said = Path(os.environ.get("XDG_CONFIG_HOME", ""))
    return (said if said.is_absolute() else Path("~/.config").expanduser()) / "hwmodel" / "devices"


def own() -> Mapping[str, Path]:
    """Name in lower case -> file or folder; none where nothing can be read there."""
    try:
        paths = sorted(folder().iterdir())
    except (OSError, RuntimeError):  # absent, locked, or nobody's home
        return {}
    files = {p.stem.lower(): p for p in paths if p.suffix.lower() in (".yaml", ".yml")}
    return files | {p.name.lower(): p for p in paths if (p / "device.yaml").is_file()}
