"""What the GPU says of itself: clock, power, temperature, energy and identity, through NVML.

Units: hertz, watts, degrees Celsius, joules. Power is the instantaneous board power where the
driver offers it (field 186 of NVML, `NVML_FI_DEV_POWER_INSTANT`), since the plain power reading of
a Hopper board is an average over a second. Energy is `nvmlDeviceGetTotalEnergyConsumption`, in
millijoules since the driver was loaded. A board is named by a short hash of its UUID, so that
boards can be told apart and none can be found. No setting of the board is ever changed.
"""

# pyright: basic, reportMissingImports=false
# (torch and NVML are not installed where types are checked)

import hashlib
import platform
import time
from dataclasses import dataclass
from typing import Any

import pynvml
import torch

POWER_INSTANT_FIELD = 186
L2_BYTES = 60 * 1024 * 1024
"""L2 of an H200 as torch reports it (nominal 50 MB), the larger of the two figures."""


@dataclass(frozen=True)
class Reading:
    """One look at the board's sensors."""

    clock_hz: float
    power_w: float
    temperature_c: float


@dataclass(frozen=True)
class Board:
    """An open NVML handle on the CUDA device that torch uses first."""

    handle: Any

    def read(self) -> Reading:
        """SM clock, board power and temperature now."""
        return Reading(
            clock_hz=pynvml.nvmlDeviceGetClockInfo(self.handle, pynvml.NVML_CLOCK_SM) * 1e6,
            power_w=self.power_w(),
            temperature_c=float(
                pynvml.nvmlDeviceGetTemperature(self.handle, pynvml.NVML_TEMPERATURE_GPU)
            ),
        )

    def power_w(self) -> float:
        """Board power: the instantaneous reading, or the averaged one of an older driver."""
        field = pynvml.nvmlDeviceGetFieldValues(self.handle, [POWER_INSTANT_FIELD])[0]
        if field.nvmlReturn == 0 and field.value.uiVal > 0:
            return field.value.uiVal * 1e-3
        return pynvml.nvmlDeviceGetPowerUsage(self.handle) * 1e-3

    def energy_j(self) -> float:
        """Energy that the board has drawn since the driver was loaded."""
        return pynvml.nvmlDeviceGetTotalEnergyConsumption(self.handle) * 1e-3


def open_board(index: int = 0) -> Board:
    """The board of a CUDA device, by its UUID: CUDA_VISIBLE_DEVICES numbers CUDA's devices anew."""
    pynvml.nvmlInit()
    uuid = f"GPU-{torch.cuda.get_device_properties(index).uuid}"
    return Board(handle=pynvml.nvmlDeviceGetHandleByUUID(uuid))


def board_name(board: Board) -> str:
    """Eight hexadecimal digits of a hash of the board's UUID."""
    uuid = pynvml.nvmlDeviceGetUUID(board.handle)
    text = uuid if isinstance(uuid, str) else uuid.decode()
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def describe(board: Board) -> dict[str, Any]:
    """The facts that every row of a sitting shares: device, driver, libraries, clocks, date."""
    import triton

    handle = board.handle
    reading = board.read()
    properties = torch.cuda.get_device_properties(0)
    limits = pynvml.nvmlDeviceGetPowerManagementLimit
    return {
        "device": torch.cuda.get_device_name(0),
        "board": board_name(board),
        "driver": text(pynvml.nvmlSystemGetDriverVersion()),
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "triton": triton.__version__,
        "cudnn": torch.backends.cudnn.version(),
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "cublas": package_version("nvidia-cublas"),
        "python": platform.python_version(),
        "streaming_multiprocessors": properties.multi_processor_count,
        "memory_bytes": properties.total_memory,
        "l2_bytes": properties.L2_cache_size,
        "power_limit_w": limits(handle) * 1e-3,
        "max_sm_clock_hz": pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM) * 1e6,
        "max_memory_clock_hz": pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_MEM)
        * 1e6,
        "memory_clock_hz": pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM) * 1e6,
        "idle_clock_hz": reading.clock_hz,
        "idle_power_w": reading.power_w,
        "idle_temperature_c": reading.temperature_c,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def text(value: str | bytes) -> str:
    """NVML answers bytes in some versions and text in others."""
    return value if isinstance(value, str) else value.decode()


def package_version(name: str) -> str | None:
    """Version of an installed package, None where it is not a package here."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(name)
    except PackageNotFoundError:
        return None
