"""The smallest microcontroller for a network, layer by layer or patch by patch."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import hwmodel as hw

BOARDS = ("nrf52840", "stm32f412", "stm32f746", "stm32f765", "stm32h743")  # by SRAM, then clock
NETWORKS = {
    "mcunet-vww1, 80": {"network": "mcunet-vww1"},
    "mcunet-in2, 160": {"network": "mcunet-in2"},
    "mobilenetv2 x 0.35, 192, 2 classes": {"width": 0.35, "classes": 2, "resolution": 192},
    "mobilenetv2 x 0.35, 144": {"width": 0.35, "resolution": 144},
}


def run(network, board):
    """Latency with the fewest patches that fit the SRAM; whether the Flash holds it too."""
    mapped = hw.map(hw.workloads.cnn(**NETWORKS[network]), on=board, objective="traffic")
    return {
        "fits": mapped.estimate.fits,
        "time_s": float(mapped.estimate.time_s),
        "patches": mapped.schedule.grid**2,
        "sram_bytes": mapped.peak_bytes,
        "short_bytes": max(store.short_by_bytes for store in mapped.estimate.stores),
    }


found = hw.sweep(run, network=list(NETWORKS), board=BOARDS)
print(found)
smallest = found.filter("fits").table.group_by("network", maintain_order=True).first()
print("\nSmallest that holds it:")
for row in smallest.to_dicts():
    way = "layer by layer" if row["patches"] == 1 else f"in {row['patches']:.0f} patches"
    print(f"{row['network']} on {row['board']}, {way}, {row['time_s']:.2g} s.")

plt.style.use(Path(__file__).with_name("pictures.mplstyle"))
figure, axes = plt.subplots()
for place, board in enumerate(BOARDS):
    rows = found.filter(f"board = '{board}'").table
    at = np.arange(len(rows)) + 0.16 * (place - 2)
    hatch = ["////" if patches > 1 else "" for patches in rows["patches"]]
    times = rows["time_s"].to_numpy() * rows["fits"].to_numpy()
    axes.bar(at, times, 0.14, label=board, hatch=hatch, edgecolor="white")
    for x, fits in zip(at, rows["fits"], strict=True):
        if not fits:
            axes.text(x, 0.045, "Flash too small", rotation=90, ha="center", size=8)
axes.set(yscale="log", ylabel="time of an image (s)", ylim=(0.04, 10))
axes.set_xticks(range(len(NETWORKS)), [name.replace(", ", "\n") for name in NETWORKS], size=8)
axes.set_title("int8 networks, TinyEngine; hatched: in patches, to fit the SRAM")
axes.legend(ncols=3)
axes.grid(axis="x", visible=False)
figure.savefig(sys.argv[1] if sys.argv[1:] else "smallest_mcu.png")
