"""When attention beats the weights in decode: Llama-3.1-8B on an H200, by batch and context."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt

import hwmodel as hw

h200, llama = hw.device("h200"), hw.model("llama-3.1-8b")
WEIGHTS = ("qkv", "attention output", "gate-up", "down", "head")  # kernels that read weights


def step(batch, context):
    """Seconds of a decode step in attention and in the kernels that read weights."""
    estimate = hw.predict(llama.decode(batch=batch, context=context), on=h200)
    spent_s = {part.name: part.times * part.time_s for part in estimate.parts}
    return {
        "cached_tokens": batch * context,
        "attention_s": spent_s["attention"],
        "weights_s": sum(spent_s[name] for name in WEIGHTS),
        "fits": estimate.serving.memory.fits,
    }


found = hw.sweep(step, batch=[1, 4, 16, 64, 256], context=hw.logspace(128, 2**18, 400))
crossings = found.filter("attention_s >= weights_s").best("context", by=["batch"])
print(crossings)
tokens = crossings.table["cached_tokens"]
print(
    f"\nAttention overtakes the weights at {tokens.min():,.0f} to {tokens.max():,.0f} cached tokens"
    f" in all, whatever the batch; bytes alone would say"
    f" {llama.weight_bytes / llama.kv_bytes_per_token:,.0f}."
)

plt.style.use(Path(__file__).with_name("pictures.mplstyle"))
figure, axes = plt.subplots()
for (batch,), rows in found.table.group_by("batch", maintain_order=True):
    ratio, held = rows["attention_s"] / rows["weights_s"], rows["fits"]
    (line,) = axes.loglog(rows["context"].filter(held), ratio.filter(held), label=f"{batch}")
    axes.loglog(rows["context"], ratio, ":", color=line.get_color(), linewidth=1)
axes.axhline(1, color="black", linewidth=0.8)
axes.set(xlabel="context (tokens)", ylabel="time in attention / time in weights")
axes.set_title("Decode of Llama-3.1-8B on an H200; dotted: more than its memory holds")
axes.legend(title="batch")
figure.savefig(sys.argv[1] if sys.argv[1:] else "attention_beats_weights.png")
