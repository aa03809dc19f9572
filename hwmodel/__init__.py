"""hwmodel: what a workload costs on hardware, how far that is from the limit, the best mapping.

    import hwmodel as hw

    h200 = hw.device("h200")
    attn = hw.workloads.attention(batch=1, heads=32, kv_heads=8, queries=8192, keys=8192,
                                  head_dim=128, causal=True)
    print(hw.predict(attn, on=h200))

Names below are loaded when they are first used, so that importing the package costs next to nothing
and never pulls in torch, triton or matplotlib. What type checkers and editors read of them stands
in `__init__.pyi`, which is written from this table and the questions of `hwmodel.verbs`.
"""

from importlib import import_module
from typing import Any

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
    "array": ("hwmodel.hardware.sized", "array"),
    "ask": ("hwmodel.verbs.ask", "ask"),
    "attribute": ("hwmodel.whatif.attribution", "attribute"),
    "bound": ("hwmodel.verbs.bound", "bound"),
    "cases": ("hwmodel.verbs.case_table", "cases"),
    "break_even": ("hwmodel.whatif.breakeven", "break_even"),
    "calibrate": ("hwmodel.verbs.calibrate", "calibrate"),
    "collective": ("hwmodel.verbs.collective", "collective"),
    "compare": ("hwmodel.verbs.compare", "compare"),
    "deploy": ("hwmodel.verbs.deploy", "deploy"),
    "Deployed": ("hwmodel.verbs.deployed", "Deployed"),
    "device": ("hwmodel.hardware.catalogue", "device"),
    "devices": ("hwmodel.hardware.catalogue", "devices"),
    "engines": ("hwmodel.machines.gpu.engines.shipped", "engines"),
    "libraries": ("hwmodel.machines.gpu.libraries.shipped", "libraries"),
    "each": ("hwmodel.sweeps.axes", "each"),
    "explain": ("hwmodel.verbs.explain", "explain"),
    "linspace": ("hwmodel.quantity.ranges", "linspace"),
    "logspace": ("hwmodel.quantity.ranges", "logspace"),
    "map": ("hwmodel.verbs.map", "map"),
    "model": ("hwmodel.einsum.workloads.model", "model"),
    "papers": ("hwmodel.verbs.papers", "papers"),
    "open_sweep": ("hwmodel.sweeps.files", "open_sweep"),
    "parallelise": ("hwmodel.verbs.parallelise", "parallelise"),
    "Parallelised": ("hwmodel.verbs.parallelise", "Parallelised"),
    "parse": ("hwmodel.einsum.notation", "parse"),
    "place": ("hwmodel.verbs.place", "place"),
    "plot": ("hwmodel.show.pictures.gallery", ""),
    "predict": ("hwmodel.verbs.predict", "predict"),
    "profile": ("hwmodel.verbs.profile", "profile"),
    "program": ("hwmodel.verbs.program", "program"),
    "Priced": ("hwmodel.systems.programs.priced", "Priced"),
    "Program": ("hwmodel.systems.programs.program", "Program"),
    "report": ("hwmodel.verbs.report", "report"),
    "sweep": ("hwmodel.sweeps.run", "sweep"),
    "together": ("hwmodel.sweeps.axes", "together"),
    "sensitivity": ("hwmodel.verbs.sensitivity", "sensitivity"),
    "validate": ("hwmodel.verbs.validate", "validate"),
    "workloads": ("hwmodel.einsum.workloads.catalogue", ""),
}

__all__ = sorted(_FACE)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _FACE:
        raise AttributeError(_strange(name), name=name)
    module, attribute = _FACE[name]
    try:
        loaded = import_module(module)
    except ModuleNotFoundError as error:
        from hwmodel.quantity.extras import as_missing

        raise as_missing(error) from None
    value = getattr(loaded, attribute) if attribute else loaded
    globals()[name] = value
    return value


def _strange(name: str) -> str:
    """What is said of a name that the face does not have; plain of those that machines look for."""
    if name.startswith("_"):
        return f"module 'hwmodel' has no attribute {name!r}"
    from hwmodel.quantity.errors import UnknownNameError

    all_of = "dir(hwmodel) lists all names"
    if name in import_module("hwmodel.completion").tables()["verbs"]:
        all_of = f"`hwmodel {name}` is asked by hwmodel.ask({name!r}, ...); {all_of}"
    return str(UnknownNameError("name of hwmodel", name, _FACE, listed=all_of))


def __dir__() -> list[str]:
    """Public names, loaded or not."""
    return sorted([*_FACE, "__version__"])
