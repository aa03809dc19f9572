"""What thinking longer costs, with dense and with sparse attention, 0.6B to 32B (Kinetics).

Kinetics (arXiv 2506.05333) argues that long generations pay for keys and values more than for
parameters. Here: a trial of 16,384 tokens after a prompt of 512, on an H200 that runs as many
sequences as its memory holds; sparse attention reads 1,024 keys a step, found at no cost.
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import hwmodel as hw

h200, PROMPT, TRIAL, BUDGET = hw.device("h200"), 512, 16384, 1024
MODELS = ("qwen3-0.6b", "qwen3-4b", "qwen3-8b", "qwen3-32b")
CONTEXTS = PROMPT + TRIAL * (np.arange(64) + 0.5) / 64  # midpoints of equal parts of a trial


def trial(model, attention):
    """Time, energy and price of one trial, its share of a full batch."""
    llm = hw.model(model)
    longest = hw.predict(llm.decode(batch=1, context=PROMPT + TRIAL), on=h200)
    batch = int(longest.serving.memory.largest_batch)
    read = CONTEXTS if attention == "dense" else np.minimum(CONTEXTS, BUDGET)
    step = hw.predict(llm.decode(batch=batch, context=read), on=h200)
    time_s, energy_j = (TRIAL * np.mean(each) / batch for each in (step.time_s, step.energy_j))
    cents = 100 * time_s / 3600 * h200.price.rent_usd_per_hour
    size = llm.parameters / 1e9
    return {
        "billions": size,
        "batch": batch,
        "time_s": time_s,
        "energy_j": energy_j,
        "cents": cents,
    }


found = hw.sweep(trial, model=MODELS, attention=["dense", "sparse"])
print(found)
rows = {kind: found.filter(f"attention = '{kind}'").table for kind in ("dense", "sparse")}
size, dense, sparse = (
    rows[kind][column][-1] / rows[kind][column][0]
    for kind, column in (("dense", "billions"), ("dense", "cents"), ("sparse", "cents"))
)
saved = rows["dense"]["cents"] / rows["sparse"]["cents"]
print(
    f"\nA model with {size:.0f} times the parameters costs {dense:.1f} times as much a trial with"
    f" dense attention, {sparse:.0f} times with sparse; sparse attention saves {saved[0]:.1f} times"
    f" at 0.6B and {saved[-1]:.1f} times at 32B."
)

plt.style.use(Path(__file__).with_name("pictures.mplstyle"))
figure, axes = plt.subplots()
for kind, table in rows.items():
    axes.loglog(table["billions"], table["cents"], "o-", label=f"{kind} attention")
axes.set_xticks(rows["dense"]["billions"], [name[6:].upper() for name in MODELS])
axes.set_yticks([0.1, 0.3, 1, 3], ["0.1", "0.3", "1", "3"])
axes.minorticks_off()
axes.set(xlabel="Qwen3 (parameters)", ylabel="price of a trial (US cents)")
axes.set_title("A trial of 16,384 tokens on an H200 with a full batch")
axes.legend()
figure.savefig(sys.argv[1] if sys.argv[1:] else "test_time_scaling.png")
