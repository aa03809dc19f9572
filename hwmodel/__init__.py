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
    from hwmodel.bounds.limit import Limit as Limit
    from hwmodel.einsum.cascade import Cascade as Cascade
    from hwmodel.einsum.network import Stack as Stack
    from hwmodel.einsum.notation import parse as parse
    from hwmodel.einsum.workloads import catalogue as _catalogue
    from hwmodel.einsum.workloads.model import Model as Model
    from hwmodel.einsum.workloads.model import model as model
    from hwmodel.experts.statistics import Routing as Routing
    from hwmodel.hardware.catalogue import device as device
    from hwmodel.hardware.catalogue import devices as devices
    from hwmodel.hardware.hardware import Hardware as Hardware
    from hwmodel.machines.driver import predict as predict
    from hwmodel.mappers.mapper import Mapped as Mapped
    from hwmodel.network.topology import Topology as Topology
    from hwmodel.quantity.errors import CapacityError as CapacityError
    from hwmodel.quantity.errors import CoverageError as CoverageError
    from hwmodel.quantity.errors import HwmodelError as HwmodelError
    from hwmodel.quantity.errors import InputError as InputError
    from hwmodel.quantity.errors import SolverError as SolverError
    from hwmodel.quantity.errors import UnknownNameError as UnknownNameError
    from hwmodel.quantity.ranges import linspace as linspace
    from hwmodel.quantity.ranges import logspace as logspace
    from hwmodel.show.pictures import gallery as _gallery
    from hwmodel.spine.estimate import Estimate as Estimate
    from hwmodel.sweeps.axes import each as each
    from hwmodel.sweeps.axes import together as together
    from hwmodel.sweeps.files import open_sweep as open_sweep
    from hwmodel.sweeps.run import sweep as sweep
    from hwmodel.sweeps.table import Sweep as Sweep
    from hwmodel.validation.plan import calibrate_device as calibrate
    from hwmodel.verbs.ask import ask as ask
    from hwmodel.verbs.bound import LooseBound as LooseBound
    from hwmodel.verbs.bound import bound as bound
    from hwmodel.verbs.collective import collective as collective
    from hwmodel.verbs.compare import Comparison as Comparison
    from hwmodel.verbs.compare import compare as compare
    from hwmodel.verbs.map import map as map
    from hwmodel.verbs.models import models as models
    from hwmodel.verbs.papers import papers as papers
    from hwmodel.verbs.place import place as place
    from hwmodel.verbs.placed import PlaceAnswer as PlaceAnswer
    from hwmodel.verbs.validate import validate as validate
    from hwmodel.whatif.attribution import Attribution as Attribution
    from hwmodel.whatif.attribution import attribute as attribute
    from hwmodel.whatif.breakeven import BreakEven as BreakEven
    from hwmodel.whatif.breakeven import break_even as break_even
    from hwmodel.whatif.explanation import Explanation as Explanation
    from hwmodel.whatif.explanation import explain as explain
    from hwmodel.whatif.sensitivity import Sensitivity as Sensitivity
    from hwmodel.whatif.sensitivity import sensitivity as sensitivity

    plot = _gallery
    workloads = _catalogue

__version__ = "0.1.0"

_FACE = {
    "Attribution": ("hwmodel.whatif.attribution", "Attribution"),
    "BreakEven": ("hwmodel.whatif.breakeven", "BreakEven"),
    "CapacityError": ("hwmodel.quantity.errors", "CapacityError"),
    "Cascade": ("hwmodel.einsum.cascade", "Cascade"),
    "Comparison": ("hwmodel.verbs.compare", "Comparison"),
    "CoverageError": ("hwmodel.quantity.errors", "CoverageError"),
    "Estimate": ("hwmodel.spine.estimate", "Estimate"),
    "Explanation": ("hwmodel.whatif.explanation", "Explanation"),
    "Hardware": ("hwmodel.hardware.hardware", "Hardware"),
    "HwmodelError": ("hwmodel.quantity.errors", "HwmodelError"),
    "InputError": ("hwmodel.quantity.errors", "InputError"),
    "Limit": ("hwmodel.bounds.limit", "Limit"),
    "LooseBound": ("hwmodel.verbs.bound", "LooseBound"),
    "Mapped": ("hwmodel.mappers.mapper", "Mapped"),
    "Model": ("hwmodel.einsum.workloads.model", "Model"),
    "PlaceAnswer": ("hwmodel.verbs.placed", "PlaceAnswer"),
    "Routing": ("hwmodel.experts.statistics", "Routing"),
    "Sensitivity": ("hwmodel.whatif.sensitivity", "Sensitivity"),
    "SolverError": ("hwmodel.quantity.errors", "SolverError"),
    "Stack": ("hwmodel.einsum.network", "Stack"),
    "Sweep": ("hwmodel.sweeps.table", "Sweep"),
    "Topology": ("hwmodel.network.topology", "Topology"),
    "UnknownNameError": ("hwmodel.quantity.errors", "UnknownNameError"),
    "models": ("hwmodel.verbs.models", "models"),
    "ask": ("hwmodel.verbs.ask", "ask"),
    "attribute": ("hwmodel.whatif.attribution", "attribute"),
    "bound": ("hwmodel.verbs.bound", "bound"),
    "break_even": ("hwmodel.whatif.breakeven", "break_even"),
    "calibrate": ("hwmodel.validation.plan", "calibrate_device"),
    "collective": ("hwmodel.verbs.collective", "collective"),
    "compare": ("hwmodel.verbs.compare", "compare"),
    "device": ("hwmodel.hardware.catalogue", "device"),
    "devices": ("hwmodel.hardware.catalogue", "devices"),
    "each": ("hwmodel.sweeps.axes", "each"),
    "explain": ("hwmodel.whatif.explanation", "explain"),
    "linspace": ("hwmodel.quantity.ranges", "linspace"),
    "logspace": ("hwmodel.quantity.ranges", "logspace"),
    "map": ("hwmodel.verbs.map", "map"),
    "model": ("hwmodel.einsum.workloads.model", "model"),
    "papers": ("hwmodel.verbs.papers", "papers"),
    "open_sweep": ("hwmodel.sweeps.files", "open_sweep"),
    "parse": ("hwmodel.einsum.notation", "parse"),
    "place": ("hwmodel.verbs.place", "place"),
    "plot": ("hwmodel.show.pictures.gallery", ""),
    "predict": ("hwmodel.machines.driver", "predict"),
    "sweep": ("hwmodel.sweeps.run", "sweep"),
    "together": ("hwmodel.sweeps.axes", "together"),
    "sensitivity": ("hwmodel.whatif.sensitivity", "sensitivity"),
    "validate": ("hwmodel.verbs.validate", "validate"),
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
    "ask",
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
