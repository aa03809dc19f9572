"""Steps of training for people: what is asked, and where time and memory go."""

from hwmodel.einsum.workloads.training_step import Training
from hwmodel.quantity.units import show
from hwmodel.systems.training.trained import PARTS, Trained
from hwmodel.text.grid import grid
from hwmodel.text.markup import answer_html


def trained_text(step: Trained) -> str:
    """The step in one line, how it is divided, and where time and memory go."""
    told = "\n".join(f"  - {text}" for text in _notes(step))
    return "\n\n".join([_finding(step), _how(step), grid(HEADS, _rows(step), left=(0,)), told])


def trained_html(step: Trained) -> str:
    """The same for a notebook."""
    return answer_html(_finding(step), [(HEADS, _rows(step))], (_how(step), *_notes(step)))


HEADS = ("a step", "")


def _how(step: Trained) -> str:
    return ", ".join(f"{name}={value}" for name, value in step.execution.given.items())


def _notes(step: Trained) -> list[str]:
    return [*step.assumptions, *(f"warning: {text}" for text in step.warnings)]


def _rows(step: Trained) -> list[list[str]]:
    """Where time and memory go."""
    return [
        ["bubble", f"{step.bubble:.1%}"],
        ["exposed exchanges", show(step.exposed_communication_s, "s")],
        ["optimiser", show(step.optimizer_s, "s")],
        ["energy", show(step.energy_j, "j")],
        *([["waits for slower replicas", show(step.slower_s, "s")]] if step.slower_s else []),
        *([["share of time that counts", f"{step.goodput:.1%}"]] if step.goodput < 1 else []),
        *(
            [name, show(getattr(step, f"{part}_bytes"), "bytes")]
            for part, name in (*PARTS.items(), ("memory", "memory of the fullest device"))
        ),
        ["memory that it has", show(step.capacity_bytes, "bytes")],
        *_host_rows(step),
    ]


def _host_rows(step: Trained) -> list[list[str]]:
    """What lies in a box's host, and on its drives."""
    if step.hosted is None:
        return []
    parts = {f"host: {name}": size for name, size in step.hosted.host_bytes.items()}
    parts |= {
        "host, in all": step.host_bytes,
        "memory of the host": step.hosted.host_capacity_bytes,
    }
    if step.drive_bytes:
        parts["drives"] = step.drive_bytes
    return [[name, show(size, "bytes")] for name, size in parts.items()]


def _finding(step: Trained) -> str:
    return (
        f"{step.name} on {step.device}: {show(step.step_time_s, 's')} a step,"
        f" {step.tokens_per_s_per_device:,.0f} {step.samples}/s each, MFU {step.mfu:.1%}"
    )


def training_text(work: Training) -> str:
    """What is trained, and how it is divided."""
    how = ", ".join(f"{name}={value}" for name, value in work.parallel.items())
    read = "images" if work.model.network.judges else f"sequences of {work.sequence:,} tokens"
    return f"{work.name}: {read}, products in {work.precision}, {work.optimizer}\n\n{how}"


def training_html(work: Training) -> str:
    """The same for a notebook."""
    finding, how = training_text(work).split("\n\n")
    return answer_html(finding, [], (how,))
