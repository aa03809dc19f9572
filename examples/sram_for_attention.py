"""How much SRAM makes FlashAttention compute-bound, and how much it takes without its one pass.

On FuseMax's arrays with less DRAM bandwidth than published: attention in one pass over the keys
(FlashAttention), and in three with the rows of scores kept on the chip (FLAT).
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

import hwmodel as hw

fusemax = hw.device("fusemax")
FORMS = {"fusemax-any-block": "one pass", "flat": "three passes"}  # binding -> what it does


def run(form, dram, keys, sram):
    """What binds with a buffer of `sram` bytes."""
    work = hw.workloads.attention(batch=1, heads=12, queries=keys, keys=keys, head_dim=64)
    machine = fusemax.but(dram={"bandwidth": dram}, buffer={"capacity_bytes": sram})
    return hw.predict(work, on=machine, kernel=form)


found = hw.sweep(
    run,
    form=list(FORMS),
    dram=["100 GB/s", "200 GB/s", "400 GB/s"],
    keys=4 ** hw.linspace(6, 10, 5),
    sram=hw.logspace("64 KiB", "2 GiB", 500),
    keep=["bottleneck"],
)
least = found.filter("bottleneck <> 'dram'").best("sram_bytes", by=["form", "dram", "keys"])
print("least SRAM, MiB, at a number of keys of  4 Ki   16 Ki   64 Ki  256 Ki    1 Mi")

plt.style.use(Path(__file__).with_name("pictures.mplstyle"))
figure, axes = plt.subplots()
at = {}
for (form, dram), rows in least.table.group_by("form", "dram", maintain_order=True):
    rows = rows.sort("keys")
    at[form, dram] = mib = rows["sram_bytes"] / 2**20
    print(f"  {FORMS[form]:13} DRAM {dram:12}", "".join(f"{size:8.2f}" for size in mib))
    colour = {"100 GB/s": "C0", "200 GB/s": "C1", "400 GB/s": "C2"}[dram]
    style = "o-" if FORMS[form] == "one pass" else "s--"
    axes.loglog(rows["keys"], mib, style, color=colour, label=f"{FORMS[form]}, DRAM {dram}", base=2)
one, three = at["fusemax-any-block", "400 GB/s"], at["flat", "400 GB/s"]
print(
    f"\nIn one pass {one[-1]:.2f} MiB of SRAM suffice at 400 GB/s, whatever the length;"
    f" in three passes the need grows with it, from {three[0]:.1f} MiB to {three[-1]:.0f} MiB."
)
axes.set(xlabel="keys (and queries)", ylabel="least SRAM that is compute-bound (MiB)")
axes.set_title("Attention on FuseMax's arrays, 12 heads of 64")
axes.legend()
ticks = {2**i: f"{2**i} Ki" if i < 10 else "1 Mi" for i in range(2, 11, 2)}
axes.set_xticks([size * 1024 for size in ticks], list(ticks.values()))
axes.set_yticks([0.25, 1, 4, 16, 64, 256], ["0.25", "1", "4", "16", "64", "256"])
figure.savefig(sys.argv[1] if sys.argv[1:] else "sram_for_attention.png")
