"""`doctor`: what this machine has of what hwmodel can use, and what each missing part is for."""

import platform
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

from hwmodel.hardware.catalogue import calibration_dates, device, shipped
from hwmodel.hardware.own import folder, own
from hwmodel.hardware.prices import file, prices, told
from hwmodel.quantity.errors import HwmodelError
from hwmodel.text.grid import grid
from hwmodel.text.markup import Brief
from hwmodel.verbs.ask import Question

PARTS = {
    "numpy": "arrays: every answer",
    "highspy": "mappers and placements with proofs",
    "polars": "tables of sweeps",
    "matplotlib": "pictures",
    "torch": "measuring a GPU (extra gpu)",
    "triton": "measuring a GPU (extra gpu)",
    "nvidia-ml-py": "joules and clocks while measuring (extra gpu)",
    "tflite": "networks in .tflite files (extra mcu)",
    "onnx": "networks in .onnx files (extra onnx)",
    "jinja2": "templates of Timeloop and AccelForge (extra timeloop)",
    "gguf": "models in .gguf files (extra gguf)",
    "pandas": "answers as pandas tables (extra pandas)",
    "distributed": "sweeps on a Dask cluster (extra cluster)",
    "vllm": "measuring an engine (calibrate --engine vllm)",
}
"""Distribution -> what it is for."""
QUERY = ("nvidia-smi", "--query-gpu=name,driver_version,compute_cap", "--format=csv,noheader")


@dataclass(frozen=True)
class Gpu:
    """A GPU of this machine; `device` is the nearest of the catalogue, or why there is none."""

    name: str
    driver: str
    device: str


@dataclass(frozen=True, repr=False)
class Examined(Brief):
    """What was found; `parts` maps a distribution to its version, None where it is not installed.

    `calibrations` are shipped devices with a calibration of their own, and its date; `own` are
    devices of the user's own, by name, and what is wrong with one that cannot be read; so `prices`.
    """

    hwmodel: str
    python: str
    parts: dict[str, str | None]
    gpus: tuple[Gpu, ...]
    calibrations: dict[str, str]
    folder: str
    own: dict[str, str]
    prices: dict[str, str]

    def __str__(self) -> str:
        """Tables of what there is."""
        rows = [[n, found or "not installed", PARTS[n]] for n, found in self.parts.items()]
        said = [
            f"hwmodel {self.hwmodel}, Python {self.python}",
            grid(("package", "version", "for"), rows, left=(0, 1, 2)),
        ]
        gpus = [[each.name, each.driver, each.device] for each in self.gpus]
        heads = ("GPU", "driver", "nearest device")
        said.append(grid(heads, gpus, left=(0, 1, 2)) if gpus else "GPU: none that answers here")
        dates = [[name, date or "-"] for name, date in self.calibrations.items()]
        said.append(grid(("calibrated by rows", "date"), dates, left=(0, 1)))
        mine = [[name, state] for name, state in self.own.items()]
        none = f"devices of your own: none in {self.folder}"
        said.append(grid(("own device", self.folder), mine, left=(0, 1)) if mine else none)
        rents = [[name, price] for name, price in self.prices.items()]
        none = f"prices of your own: none in {file()}"
        said.append(grid(("own price of", str(file())), rents, left=(0, 1)) if rents else none)
        return "\n\n".join(said)


class Doctor(Question):
    """What this machine has of what hwmodel can use: packages, GPUs, calibrations, own devices."""

    verb: ClassVar[str] = "doctor"
    example: ClassVar[str] = "doctor"

    def answer(self) -> Examined:
        """What was found."""
        return examined()

    def record(self, answer: Examined) -> Any:
        """Every field."""
        return asdict(answer)


def examined() -> Examined:
    """Look at packages, the driver, calibrations and the user's own devices."""
    return Examined(
        hwmodel=_version("hwmodel") or "from a checkout",
        python=f"{platform.python_version()} ({sys.platform})",
        parts={name: _version(name) for name in PARTS},
        gpus=gpus(),
        calibrations=_calibrations(),
        folder=str(folder()),
        own={name: _state(name) for name in own()},
        prices=_prices(),
    )


def gpus() -> tuple[Gpu, ...]:
    """GPUs that the driver's own tool lists; none where there is no such tool, or no answer."""
    if shutil.which(QUERY[0]) is None:
        return ()
    try:
        found = subprocess.run(QUERY, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ()
    return read(found.stdout)


def read(listed: str) -> tuple[Gpu, ...]:
    """GPUs of lines "name, driver, compute capability"."""
    from hwmodel.validation.users_gpu import relative_of

    lines = [[word.strip() for word in line.split(",")] for line in listed.splitlines()]
    made: list[Gpu] = []
    for name, driver, capability in (words for words in lines if len(words) == 3):
        major, _, minor = capability.partition(".")
        facts = {"device": name, "capability": (int(major), int(minor or 0))}
        try:
            near = relative_of(facts).name
        except HwmodelError as error:
            near = str(error)
        made.append(Gpu(name, driver, near))
    return tuple(made)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _calibrations() -> dict[str, str]:
    """Shipped devices that rows were fitted for, ours or public ones, newest first."""
    dated = {name: day for name, day in calibration_dates().items() if name in shipped()}
    return dict(sorted(dated.items(), key=lambda each: each[1], reverse=True))


def _prices() -> dict[str, str]:
    """Prices of the user's own by device, or what is wrong with their file."""
    try:
        return {device(name).name: told(mine) for name, mine in prices().items()}
    except HwmodelError as error:
        return {"-": str(error)}


def _state(name: str) -> str:
    """What a device of the user's own is, or why it cannot be read."""
    try:
        return device(name).title
    except HwmodelError as error:
        return str(error)
