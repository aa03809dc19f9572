"""The GPU that serves Llama-3.1-8B cheapest under a limit on the time per output token (TPOT)."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import hwmodel as hw

llama, CONTEXT = hw.model("llama-3.1-8b"), 4096
rented = ["a100", "b200", "h100", "h200", "l40s", "mi300x"]


def serve(gpu, batch):
    """Time per output token, the upper end of its interval, and the price of a million tokens."""
    machine = hw.device(gpu)
    step = hw.predict(llama.decode(batch=batch, context=CONTEXT), on=machine)
    usd_per_s = 1e6 / batch * machine.price.rent_usd_per_hour / 3600
    prices = {"usd": usd_per_s * step.time_s, "usd_high": usd_per_s * step.time_high_s}
    fits = step.serving.memory.fits
    return {"tpot_s": step.time_s, "tpot_high_s": step.time_high_s, **prices, "fits": fits}


found = hw.sweep(serve, gpu=rented, batch=np.arange(1, 513)).filter("fits")
words = []
print("limit   cheapest two   batch      TPOT (at most)   USD for 1 M (at most)")
for limit in (0.010, 0.015, 0.025):
    best = found.filter(f"tpot_high_s <= {limit}").best("usd_high", by=["gpu"]).record()
    words.append(f"{best[0]['gpu']} within {limit * 1e3:.0f} ms ({best[0]['usd_high']:.2f} USD)")
    for row in best[:2]:
        tpot = f"{row['tpot_s'] * 1e3:6.1f} ({row['tpot_high_s'] * 1e3:.1f}) ms"
        usd = f"{row['usd']:.2f} ({row['usd_high']:.2f})"
        print(f"{limit * 1e3:2.0f} ms   {row['gpu']:15}{row['batch']:5}   {tpot:17}   {usd}")
print(f"\nCheapest for a million tokens, at the slow end of 90 %: {', '.join(words)}.")

plt.style.use(Path(__file__).with_name("pictures.mplstyle"))
figure, axes = plt.subplots()
for gpu in rented:
    rows = found.filter(f"gpu = '{gpu}'").pareto("tpot_s", "usd").table.sort("tpot_s")
    style = "-" if gpu == "h200" else "--"
    (line,) = axes.loglog(rows["tpot_s"] * 1e3, rows["usd"], style)
    start = (rows["tpot_s"][0] * 1e3, rows["usd"][0])
    axes.annotate(gpu, start, (4, 4), textcoords="offset points", color=line.get_color())
axes.set_xticks([5, 10, 20, 50], ["5", "10", "20", "50"])
axes.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
axes.minorticks_off()
axes.set(xlabel="time per output token (ms)", ylabel="USD per million output tokens")
axes.set_title(f"Decode of Llama-3.1-8B, {CONTEXT:,} tokens of context; dashed: never measured")
figure.savefig(sys.argv[1] if sys.argv[1:] else "cheapest_gpu.png")
