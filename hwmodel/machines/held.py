"""What the memory of a machine has to hold: a kernel's tensors, or a model that is served."""

import numpy as np

from hwmodel.einsum.cascade import Cascade
from hwmodel.einsum.counts import footprint_bytes
from hwmodel.einsum.network import Served, Workload
from hwmodel.hardware.hardware import Hardware
from hwmodel.machines.gpu.engines.step import Step, memory
from hwmodel.quantity.arithmetic import most
from hwmodel.quantity.units import Amount
from hwmodel.spine.estimate import Note, Serving, Store
from hwmodel.spine.memory import fit


def short(workload: Workload, machine: Hardware) -> tuple[Store, ...]:
    """The device's memory, where what a kernel reads and writes does not fit into it at a point.

    A served model is looked at where it is served: its weights stay.
    """
    if workload.served is not None or "dram" not in machine.memories:
        return ()
    needed = most(_outer_bytes(stage.cascade) for stage in workload.stages)
    capacity = machine.memory("dram").capacity_bytes
    store = Store("dram", needed, capacity, f"what {workload.name} reads and writes")
    short = store.short_by_bytes
    return (store,) if (np.any(short) if np.ndim(short) else short) else ()


def does_not_fit(store: Store) -> Note:
    """What is told of a memory that is short."""
    return Note(
        f"does not fit: {store.where} is {{}} more than the memory holds",
        np.asarray(store.short_by_bytes) > 0,
        store.short_by_bytes,
        "bytes",
    )


def _outer_bytes(cascade: Cascade, role: str | None = None) -> Amount:
    """Bytes of the inputs and outputs of a cascade, or of those that have a role."""
    names = (*cascade.inputs, *(cascade.outputs or (cascade.einsums[-1].name,)))
    return sum(
        footprint_bytes(name, cascade)
        for name in dict.fromkeys(names)
        if role in (None, cascade.tensors[name].role)
    )


def live_bytes(cascade: Cascade) -> Amount:
    """Bytes of the activations that a kernel reads and writes."""
    return _outer_bytes(cascade, "activation")


def serving_of(workload: Workload, machine: Hardware, step: Step | None) -> Serving | None:
    """Tokens of a model's phase, and whether its weights, cache and activations fit."""
    served = workload.served
    if served is None:
        return None
    if step is not None and not step.engine.eager:
        return Serving(served.tokens, memory(step, machine), served.makes)
    live = most(live_bytes(stage.cascade) for stage in workload.stages)
    return served_by(served, machine, live)


def served_by(served: Served, machine: Hardware, live: Amount) -> Serving:
    """Tokens of a phase whose kernels hold so many bytes at once, and whether all fits."""
    alike = machine.devices == served.devices
    fitted = fit(
        weights_bytes=served.weights_bytes,
        kv_bytes_per_token=served.kv_bytes_per_token,
        activation_bytes_per_sequence=live * served.devices / served.batch,
        batch=served.batch,
        context=served.context,
        hardware=machine if alike else machine.but(devices=served.devices),
    )
    return Serving(served.tokens, fitted, served.makes)


def short_of_memory(serving: Serving | None) -> tuple[Note, ...]:
    """What is told of a model that its devices cannot hold."""
    if serving is None:
        return ()
    short = serving.memory.short_by_bytes
    text = "does not fit: {} short; largest batch {}"
    return (Note(text, np.asarray(short) > 0, short, "bytes", serving.memory.largest_batch),)


def beyond_positions(workload: Workload) -> tuple[Note, ...]:
    """What is told of contexts longer than a model was made for."""
    served = workload.served
    if served is None or served.positions is None:
        return ()
    text = (
        f"{served.model}: a context of {{}} tokens is beyond the {served.positions:,} that the"
        " model was made for (max_position_embeddings)"
    )
    return (Note(text, np.asarray(served.longest) > served.positions, served.longest),)
