"""hwmodel: what a workload costs on hardware, how far that is from the limit, the best mapping.

    import hwmodel as hw

    h200 = hw.device("h200")
    attn = hw.workloads.attention(batch=1, heads=32, kv_heads=8, queries=8192, keys=8192,
                                  head_dim=128, causal=True)
    print(hw.predict(attn, on=h200))

Names below are loaded when they are first used, so that importing the package costs next to nothing
and never pulls in torch, triton or matplotlib.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwmodel.accuracy import validate as validate
    from hwmodel.attribution import attribute as attribute
    from hwmodel.axes import each as each
    from hwmodel.axes import together as together
    from hwmodel.breakeven import break_even as break_even
    from hwmodel.einsum.notation import parse as parse
    from hwmodel.einsum.workloads import catalogue as _catalogue
    from hwmodel.einsum.workloads.model import model as model
    from hwmodel.explanation import explain as explain
    from hwmodel.papers_command import papers as papers
    from hwmodel.pictures import gallery as _gallery
    from hwmodel.ranges import linspace as linspace
    from hwmodel.ranges import logspace as logspace
    from hwmodel.registry import device as device
    from hwmodel.registry import devices as devices
    from hwmodel.sensitivities import sensitivity as sensitivity
    from hwmodel.sweep_files import open_sweep as open_sweep
    from hwmodel.sweeps import sweep as sweep
    from hwmodel.validation.plan import calibrate_device as calibrate
    from hwmodel.verbs import bound as bound
    from hwmodel.verbs import collective as collective
    from hwmodel.verbs import compare as compare
    from hwmodel.verbs import map as map
    from hwmodel.verbs import place as place
    from hwmodel.verbs import predict as predict

    plot = _gallery
    workloads = _catalogue

__version__ = "0.1.0"

_FACE = {
    "attribute": ("hwmodel.attribution", "attribute"),
    "bound": ("hwmodel.verbs", "bound"),
    "break_even": ("hwmodel.breakeven", "break_even"),
    "calibrate": ("hwmodel.validation.plan", "calibrate_device"),
    "collective": ("hwmodel.verbs", "collective"),
    "compare": ("hwmodel.verbs", "compare"),
    "device": ("hwmodel.registry", "device"),
    "devices": ("hwmodel.registry", "devices"),
    "each": ("hwmodel.axes", "each"),
    "explain": ("hwmodel.explanation", "explain"),
    "linspace": ("hwmodel.ranges", "linspace"),
    "logspace": ("hwmodel.ranges", "logspace"),
    "map": ("hwmodel.verbs", "map"),
    "model": ("hwmodel.einsum.workloads.model", "model"),
    "papers": ("hwmodel.papers_command", "papers"),
    "open_sweep": ("hwmodel.sweep_files", "open_sweep"),
    "parse": ("hwmodel.einsum.notation", "parse"),
    "place": ("hwmodel.verbs", "place"),
    "plot": ("hwmodel.pictures.gallery", ""),
    "predict": ("hwmodel.verbs", "predict"),
    "sweep": ("hwmodel.sweeps", "sweep"),
    "together": ("hwmodel.axes", "together"),
    "sensitivity": ("hwmodel.sensitivities", "sensitivity"),
    "validate": ("hwmodel.accuracy", "validate"),
    "workloads": ("hwmodel.einsum.workloads.catalogue", ""),
}

__all__ = [
    "attribute",
    "bound",
    "break_even",
    "calibrate",
    "collective",
    "compare",
    "device",
    "devices",
    "each",
    "explain",
    "linspace",
    "logspace",
    "map",
    "model",
    "open_sweep",
    "papers",
    "parse",
    "place",
    "plot",
    "predict",
    "sensitivity",
    "sweep",
    "together",
    "validate",
    "workloads",
]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _FACE:
        raise AttributeError(f"module 'hwmodel' has no attribute {name!r}; it has {sorted(_FACE)}")
    module, attribute = _FACE[name]
    loaded = import_module(module)
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted([*_FACE, "__version__"])
