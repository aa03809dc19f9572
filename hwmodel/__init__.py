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
    from hwmodel.attribution import Attribution as Attribution
    from hwmodel.attribution import attribute as attribute
    from hwmodel.axes import each as each
    from hwmodel.axes import together as together
    from hwmodel.bounds.limit import Limit as Limit
    from hwmodel.breakeven import BreakEven as BreakEven
    from hwmodel.breakeven import break_even as break_even
    from hwmodel.driver import predict as predict
    from hwmodel.einsum.cascade import Cascade as Cascade
    from hwmodel.einsum.notation import parse as parse
    from hwmodel.einsum.stack import Stack as Stack
    from hwmodel.einsum.workloads import catalogue as _catalogue
    from hwmodel.einsum.workloads.config import shipped_configs as models
    from hwmodel.einsum.workloads.model import Model as Model
    from hwmodel.einsum.workloads.model import model as model
    from hwmodel.errors import CapacityError as CapacityError
    from hwmodel.errors import CoverageError as CoverageError
    from hwmodel.errors import HwmodelError as HwmodelError
    from hwmodel.errors import InputError as InputError
    from hwmodel.errors import SolverError as SolverError
    from hwmodel.errors import UnknownNameError as UnknownNameError
    from hwmodel.estimate import Estimate as Estimate
    from hwmodel.expert_routing import Routing as Routing
    from hwmodel.explanation import Explanation as Explanation
    from hwmodel.explanation import explain as explain
    from hwmodel.hardware import Hardware as Hardware
    from hwmodel.map_command import LooseBound as LooseBound
    from hwmodel.mappers.answer import Mapped as Mapped
    from hwmodel.papers_command import papers as papers
    from hwmodel.pictures import gallery as _gallery
    from hwmodel.place_answer import PlaceAnswer as PlaceAnswer
    from hwmodel.ranges import linspace as linspace
    from hwmodel.ranges import logspace as logspace
    from hwmodel.registry import device as device
    from hwmodel.registry import devices as devices
    from hwmodel.sensitivities import Sensitivity as Sensitivity
    from hwmodel.sensitivities import sensitivity as sensitivity
    from hwmodel.sweep_files import open_sweep as open_sweep
    from hwmodel.sweep_table import Sweep as Sweep
    from hwmodel.sweeps import sweep as sweep
    from hwmodel.topology import Topology as Topology
    from hwmodel.validation.plan import calibrate_device as calibrate
    from hwmodel.verbs import Comparison as Comparison
    from hwmodel.verbs import bound as bound
    from hwmodel.verbs import collective as collective
    from hwmodel.verbs import compare as compare
    from hwmodel.verbs import map as map
    from hwmodel.verbs import place as place

    plot = _gallery
    workloads = _catalogue

__version__ = "0.1.0"

_FACE = {
    "Attribution": ("hwmodel.attribution", "Attribution"),
    "BreakEven": ("hwmodel.breakeven", "BreakEven"),
    "CapacityError": ("hwmodel.errors", "CapacityError"),
    "Cascade": ("hwmodel.einsum.cascade", "Cascade"),
    "Comparison": ("hwmodel.verbs", "Comparison"),
    "CoverageError": ("hwmodel.errors", "CoverageError"),
    "Estimate": ("hwmodel.estimate", "Estimate"),
    "Explanation": ("hwmodel.explanation", "Explanation"),
    "Hardware": ("hwmodel.hardware", "Hardware"),
    "HwmodelError": ("hwmodel.errors", "HwmodelError"),
    "InputError": ("hwmodel.errors", "InputError"),
    "Limit": ("hwmodel.bounds.limit", "Limit"),
    "LooseBound": ("hwmodel.map_command", "LooseBound"),
    "Mapped": ("hwmodel.mappers.answer", "Mapped"),
    "Model": ("hwmodel.einsum.workloads.model", "Model"),
    "PlaceAnswer": ("hwmodel.place_answer", "PlaceAnswer"),
    "Routing": ("hwmodel.expert_routing", "Routing"),
    "Sensitivity": ("hwmodel.sensitivities", "Sensitivity"),
    "SolverError": ("hwmodel.errors", "SolverError"),
    "Stack": ("hwmodel.einsum.stack", "Stack"),
    "Sweep": ("hwmodel.sweep_table", "Sweep"),
    "Topology": ("hwmodel.topology", "Topology"),
    "UnknownNameError": ("hwmodel.errors", "UnknownNameError"),
    "models": ("hwmodel.einsum.workloads.config", "shipped_configs"),
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
    "predict": ("hwmodel.driver", "predict"),
    "sweep": ("hwmodel.sweeps", "sweep"),
    "together": ("hwmodel.axes", "together"),
    "sensitivity": ("hwmodel.sensitivities", "sensitivity"),
    "validate": ("hwmodel.accuracy", "validate"),
    "workloads": ("hwmodel.einsum.workloads.catalogue", ""),
}

__all__ = [
    "Attribution",
    "BreakEven",
    "CapacityError",
    "Cascade",
    "Comparison",
    "CoverageError",
    "Estimate",
    "Explanation",
    "Hardware",
    "HwmodelError",
    "InputError",
    "Limit",
    "LooseBound",
    "Mapped",
    "Model",
    "PlaceAnswer",
    "Routing",
    "Sensitivity",
    "SolverError",
    "Stack",
    "Sweep",
    "Topology",
    "UnknownNameError",
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
    "models",
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
