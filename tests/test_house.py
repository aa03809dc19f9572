"""The house stands as it is drawn, and no files import each other in a circle."""

import re

import pytest

from tests.house import PAGE, arrows, drawing, questions
from tests.imports import circles, folder_of, imports, modules


def test_the_drawing_in_the_concepts_is_of_todays_imports() -> None:
    assert drawing() in PAGE.read_text(encoding="utf-8"), "python -m tests.house"


def test_every_folder_answers_a_question_of_its_own() -> None:
    assert set(arrows()) == set(questions())


def test_circles_are_found() -> None:
    arrows = {"a": "b", "b": "ca", "c": "", "d": "a", "e": "fd", "f": "g", "g": "e"}
    found = circles({name: frozenset(others) for name, others in arrows.items()})
    assert found == [["a", "b"], ["e", "f", "g"]]


def test_no_files_import_each_other_in_a_circle() -> None:
    """Imports inside functions and those for types alone count too."""
    assert not circles(imports())


def test_libraries_are_imported_by_name() -> None:
    """Only our own modules, which tables name, are imported by text."""
    called = re.compile(r"import_module\(\s*f?[\"']([\w.]+)")
    named = {
        (module, found)
        for module, path in modules().items()
        if not module.startswith("hwmodel.validation.measure.")
        for found in called.findall(path.read_text(encoding="utf-8"))
    }
    assert named
    assert not [each for each in named if not each[1].startswith("hwmodel.")]


BUILDS = {"hwmodel.machines.driver"}
"""Where an estimate is built."""


def test_an_estimate_is_built_in_one_place() -> None:
    building = re.compile(r"(?<![\w.])Estimate\(")
    found = {
        module
        for module, path in modules().items()
        if building.search(path.read_text(encoding="utf-8").replace("class Estimate(", ""))
    }
    assert found == BUILDS


ASKS = {
    "hwmodel.machines.driver": "refuses what is no workload",
    "hwmodel.systems.training.layers": "a product has two in its backward pass",
    "hwmodel.systems.training.looked": "rows are copied for experts that have a product each",
    "hwmodel.machines.gpu.engines.step": "makes a model's step again, padded to a graph's size",
    "hwmodel.machines.kept": "tells what was made of the same, to ask for it once",
}
"""Who asks what sort of workload it holds, and why."""


def test_nobody_else_asks_what_sort_of_workload_it_holds() -> None:
    """By class, by the function that made it, or by its name."""
    asking = re.compile(
        r"isinstance\([^)]*\b(Cascade|Stack)\b|\borigin\.workload\b"
        r"|\b(workload|(cascade|stage|stack|work)\.name) (==|!=|in|not in) [\"'(\[{]+\w"
    )
    places = ("machines", "verbs", "bounds", "systems", "whatif", "sweeps", "mappers", "network")
    found = {
        module
        for module, path in modules().items()
        if folder_of(module) in places and asking.search(path.read_text(encoding="utf-8"))
    }
    assert found == set(ASKS)


UNENTERED = {
    "hwmodel.einsum.evaluate": "the value of a cascade on arrays, for users and tests",
    "hwmodel.systems.queues": "what serving is to stand on",
    "hwmodel.mappers.placement.clusters": "tokens with experts; no verb leads there yet",
    "hwmodel.validation.engine_streams": "the table of streams in docs/serving.md",
    "hwmodel.validation.table_errors": "the tables of docs/accuracy/tables.md",
    "hwmodel.validation.family_errors": "the tables of docs/accuracy/tables.md",
    "hwmodel.validation.relatives": "the table of relatives in docs/accuracy/tables.md",
    "hwmodel.validation.serving_fit": "the table of throughput in docs/accuracy/engines.md",
    "hwmodel.validation.serving_qps": "the table of given rates in docs/accuracy/engines.md",
    "hwmodel.validation.mlperf_serving": "the table of MLPerf in docs/accuracy/engines.md",
    "hwmodel.validation.image_networks": "published throughputs of docs/accuracy/networks.md",
    "hwmodel.validation.mcu": "the fit of what microcontrollers' libraries reach",
}
"""Modules that neither the face nor the command line leads to, and what they are for."""


def entered() -> frozenset[str]:
    """Modules that imports, or a name in a text, lead to from the face and the command."""
    arrows = {module: set(others) for module, others in imports().items()}
    for module, path in modules().items():
        named = re.findall(r"hwmodel(?:\.\w+)+", path.read_text(encoding="utf-8"))
        arrows[module] |= set(named) & set(modules())
    for door, folder in (
        ("hwmodel.einsum.workloads.registry", "hwmodel.einsum.workloads.architectures."),
        ("hwmodel.verbs.papers", "hwmodel.validation.papers."),
        ("hwmodel.mappers.shipped", "hwmodel.mappers."),
    ):
        text = modules()[door].read_text(encoding="utf-8")
        mappers = {f"hwmodel.mappers.{name}" for name in re.findall(r'"([\w.]+):\w+"', text)}
        all_of = {module for module in modules() if module.startswith(folder)}
        arrows[door] |= all_of & mappers if door.endswith("shipped") else all_of
    found: set[str] = set()
    ahead = ["hwmodel", "hwmodel.cli", "hwmodel.__main__"]
    while ahead:
        module = ahead.pop()
        if module not in found:
            found.add(module)
            ahead += arrows[module]
    return frozenset(found)


def test_every_room_is_entered_or_says_what_it_is_for() -> None:
    """Folders' own texts and what runs on a GPU alone apart."""
    rooms = {name for name, path in modules().items() if path.name != "__init__.py"}
    alone = {name for name in rooms if not name.startswith("hwmodel.validation.measure.")}
    assert alone - entered() == set(UNENTERED)


APART = ("Access", "Launch", "Library", "Part", "Problem", "Search", "Sensitivity")
"""Words of the field that several folders could claim."""


@pytest.mark.parametrize("name", APART)
def test_a_word_of_several_folders_names_one_class(name: str) -> None:
    found = [
        module
        for module, path in modules().items()
        if re.search(rf"^class {name}\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert len(found) == 1, found
