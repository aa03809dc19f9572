"""The batch at which a mixture of experts touches them all, and what the way there costs."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import hwmodel as hw

h200 = hw.device("h200")
MODELS = {"mixtral-8x7b": (8, 2), "qwen3-30b-a3b": (128, 8)}  # experts, of which a token takes


def step(model, batch):
    """Experts read in a layer of a decode step (from its DRAM traffic), and the step's time."""
    llm = hw.model(model)
    estimate = hw.predict(llm.decode(batch=batch, context=1024), on=h200)
    gate_up = next(part for part in estimate.parts if part.name == "experts gate-up")
    inputs = batch * MODELS[model][1] * llm.network.hidden * 2
    expert = 2 * llm.network.hidden * llm.network.split("experts").pieces * 2
    touched = (gate_up.counts.read["dram"] - inputs) / expert
    return {"touched": touched, "share": touched / MODELS[model][0], "tpot_s": estimate.time_s}


found = hw.sweep(step, model=list(MODELS), batch=np.arange(1, 257))
full = found.filter("share >= 0.99").best("batch", by=["model"])
alone = found.filter("batch = 1")
print(alone, full, sep="\n\n")
words = [
    f"{row['model']} from {row['batch']} sequences on ({row['tpot_s'] / one['tpot_s']:.1f} times"
    " the step of one)"
    for row, one in zip(full.record(), alone.record(), strict=True)
]
print(f"\n99 % of the experts are read in a step: {', '.join(words)}.")

plt.style.use(Path(__file__).with_name("pictures.mplstyle"))
figure, (above, below) = plt.subplots(2, sharex=True)
for (model,), rows in found.table.group_by("model", maintain_order=True):
    (line,) = above.semilogx(rows["batch"], 100 * rows["share"], label=model, base=2)
    below.semilogx(rows["batch"], 1e3 * rows["tpot_s"], base=2)
    below.axvline(
        full.filter(f"model = '{model}'").table["batch"][0], color=line.get_color(), linewidth=0.8
    )
above.axhline(99, color="black", linewidth=0.8)
above.set(ylabel="experts read (%)", title="Decode on an H200, 1,024 tokens of context")
below.set(xlabel="batch (sequences)", ylabel="step (ms)", ylim=(0, None))
above.legend()
figure.savefig(sys.argv[1] if sys.argv[1:] else "experts_touched.png")
