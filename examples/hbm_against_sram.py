"""HBM against SRAM: how to divide a fixed area on the FuseMax machine.

50 mm2 hold the buffer, at the area a byte of FuseMax's own table (45 nm), and the HBM interfaces,
10.45 mm2 for each 408 GB/s: an HBM2e interface on the A100's die as LLMCompass (ISCA 2024) has it,
and a fifth of the A100's bandwidth. The interface is taken not to shrink with the process.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

import hwmodel as hw

fusemax, AREA_MM2 = hw.device("fusemax"), 50.0
buffer = fusemax.memory("buffer")
BYTES_A_MM2 = buffer.capacity_bytes / (buffer.area_m2 * 1e6)
BANDWIDTH_A_MM2 = 408e9 / 10.45
heads = {"batch": 1, "heads": 12, "keys": 65536, "head_dim": 64}
WORK = {
    "prefill": hw.workloads.attention(queries=65536, **heads),
    "decode": hw.workloads.attention(queries=1, **heads),
    "feed-forward": hw.workloads.gemm(M=65536, N=3072, K=768),
}


def run(work, hbm_mm2):
    """A workload on the machine with that much area for HBM interfaces, the rest for SRAM."""
    machine = fusemax.but(
        dram={"bandwidth_bytes_per_s": hbm_mm2 * BANDWIDTH_A_MM2},
        buffer={"capacity_bytes": (AREA_MM2 - hbm_mm2) * BYTES_A_MM2 // 1},
    )
    return hw.predict(WORK[work], on=machine)


found = hw.sweep(run, work=list(WORK), hbm_mm2=hw.linspace(0.5, 49.5, 197), keep=["time_s"])
plt.style.use(Path(__file__).with_name("pictures.mplstyle"))
figure, axes = plt.subplots()
print("of 50 mm2, for HBM interfaces   least      most   within 1 % of the best time")
low, high = 0.0, AREA_MM2
for place, (work, rows) in enumerate(found.table.group_by("work", maintain_order=True)):
    slower = rows["time_s"] / rows["time_s"].min()
    good = rows.filter(slower <= 1.01)["hbm_mm2"]
    low, high = max(low, good.min()), min(high, good.max())
    print(
        f"  {work[0]:25} {good.min():6.2f} mm2 {good.max():6.2f} mm2   {rows['time_s'].min():.3g} s"
    )
    axes.semilogy(rows["hbm_mm2"], slower, label=work[0], linewidth=5 - 1.6 * place)
print(
    f"\nWith {low:.1f} to {high:.1f} mm2 of HBM interfaces all three are as fast as they can be:"
    f" decode sets the least HBM, {low * BANDWIDTH_A_MM2 / 1e9:.0f} GB/s, and the feed-forward"
    f" layer the least SRAM, {(AREA_MM2 - high) * BYTES_A_MM2 / 2**20:.2f} MiB."
)
axes.axvspan(low, high, color="#eeeeee", zorder=0)
axes.set_ylim(0.95, 30)
axes.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
axes.set(xlabel="area for HBM interfaces, of 50 mm²; the rest is SRAM (mm²)")
axes.set(ylabel="time / least time", title="FuseMax's arrays at 64 Ki tokens, BERT's shapes")
axes.legend()
figure.savefig(sys.argv[1] if sys.argv[1:] else "hbm_against_sram.png")
