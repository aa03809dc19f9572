"""Which array for attention: elements, buffer and DRAM bandwidth, by time, energy and area.

FuseMax's machine with arrays of 32 to 512 elements a side, 64 KiB to 1 MiB of buffer and 13 to
816 GB/s of HBM, on BERT's attention at 4 Ki tokens. The area is that of arrays and buffer, by
FuseMax's tables and the laws of capacity in them (45 nm), and of the interfaces to HBM: 10.45 mm2
for each 408 GB/s, as LLMCompass (ISCA 2024) has them.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

import hwmodel as hw

fusemax = hw.device("fusemax")
WORK = hw.workloads.attention(batch=16, heads=12, queries=4096, keys=4096, head_dim=64)
INTERFACE_MM2 = 10.45 / 408e9
SIDES = [32, 64, 128, 256, 512]


def run(side, sram, dram):
    """Time, energy and area of one design."""
    machine = fusemax.but(
        arrays={"matrix": {"rows": side, "columns": side}, "vector": {"rows": side}},
        buffer={"capacity_bytes": sram},
        dram={"bandwidth_bytes_per_s": dram},
    )
    found = hw.predict(WORK, on=machine, kernel="fusemax-any-block")
    return {
        "time_s": found.time_s,
        "energy_j": found.energy_j,
        "area_mm2": found.area_m2 * 1e6 + dram * INTERFACE_MM2,
    }


found = hw.sweep(
    run,
    side=SIDES,
    sram=hw.logspace("64 KiB", "1 MiB", 5),
    dram=hw.logspace("12.75 GB/s", "816 GB/s", 7),
)
front = found.pareto("time_s", "energy_j", "area_mm2").table
print(f"of {found.table.height} designs no other beats {front.height}; of each side the fastest:")
print("side    buffer       HBM       time    energy        area")
plt.style.use(Path(__file__).with_name("pictures.mplstyle"))
figure, axes = plt.subplots()
chosen = {}
for place, (side, rows) in enumerate(front.sort("side").group_by("side", maintain_order=True)):
    # Of equal times the smallest chip.
    best = rows.sort("time_s", "area_mm2").row(0, named=True)
    chosen[side[0]] = best
    buffer, hbm = best["sram_bytes"] / 1024, best["dram_bytes_per_s"] / 1e9
    print(
        f"{side[0]:4} {buffer:6.0f} KiB {hbm:4.0f} GB/s {best['time_s'] * 1e3:7.2f} ms"
        f" {best['energy_j']:7.2f} J {best['area_mm2']:7.1f} mm2"
    )
    label, colour = f"{side[0]} x {side[0]}", f"C{place}"
    axes.scatter(rows["area_mm2"], rows["time_s"] * 1e3, c=colour, label=label, s=22)
small, large = chosen[SIDES[0]], chosen[SIDES[-1]]
faster, wider = small["time_s"] / large["time_s"], large["area_mm2"] / small["area_mm2"]
print(
    f"\nFrom {SIDES[0]} to {SIDES[-1]} elements a side, time falls {faster:.0f} times for"
    f" {wider:.0f} times the area. The buffer that keeps it so grows"
    f" {large['sram_bytes'] / small['sram_bytes']:.0f} times and the bandwidth"
    f" {large['dram_bytes_per_s'] / small['dram_bytes_per_s']:.0f} times, as the side does; energy"
    f" hardly moves, {front['energy_j'].min():.2f} to {front['energy_j'].max():.2f} J."
)
axes.loglog()
axes.set(xlabel="area of arrays, buffer and HBM interfaces (mm²)", ylabel="time (ms)")
axes.set_title("Designs that no other beats in time, energy and area")
axes.legend(title="elements", loc="lower left")
figure.savefig(sys.argv[1] if sys.argv[1:] else "array_design_space.png")
