"""The house stands as it is drawn, and no files import each other in a circle."""

import re

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
    "hwmodel.machines.gpu.engines.step": "makes a model's step again, padded to a graph's size",
}
"""Who asks what sort of workload it holds, and why."""


def test_nobody_else_asks_what_sort_of_workload_it_holds() -> None:
    """By class, by the function that made it, or by its name."""
    asking = re.compile(
        r"isinstance\([^)]*\b(Cascade|Stack)\b|\.origin\.workload\b|origin\.workload =="
    )
    places = ("machines", "verbs", "bounds", "systems", "whatif", "sweeps", "mappers", "network")
    found = {
        module
        for module, path in modules().items()
        if folder_of(module) in places and asking.search(path.read_text(encoding="utf-8"))
    }
    assert found == set(ASKS)
