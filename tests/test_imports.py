"""No circle of imports, not even within a folder.

Imports within functions count, and those for type checking alone as well: two modules that name each other cannot be
read, tested or moved one without the other, whatever the interpreter makes of it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from pathlib import Path

import grimp

import rbmscape


def circles(modules: Iterable[str], imported: Callable[[str], Iterable[str]]) -> list[set[str]]:
    """Groups of modules each of which leads to each other one (Tarjan's strongly connected components)."""
    place: dict[str, int] = {}
    lowest: dict[str, int] = {}
    path: list[str] = []
    found: list[set[str]] = []

    def visit(module: str) -> None:
        place[module] = lowest[module] = len(place)
        path.append(module)
        for other in imported(module):
            if other not in place:
                visit(other)
                lowest[module] = min(lowest[module], lowest[other])
            elif other in path:
                lowest[module] = min(lowest[module], place[other])
        if lowest[module] == place[module]:
            group = path[path.index(module) :]
            del path[path.index(module) :]
            if len(group) > 1:
                found.append(set(group))

    for module in modules:
        if module not in place:
            visit(module)
    return found


def test_no_modules_import_each_other_in_a_circle():
    graph = grimp.build_graph("rbmscape", cache_dir=None)
    assert len(graph.modules) > 100
    assert circles(sorted(graph.modules), graph.find_modules_directly_imported_by) == []


def test_a_circle_would_be_found():
    imports = {"a": ["b"], "b": ["c"], "c": ["b", "d"], "d": [], "e": ["a", "f"], "f": ["e"]}
    assert circles(imports, imports.__getitem__) == [{"b", "c"}, {"e", "f"}]
    assert circles({"a": ["b"], "b": []}, {"a": ["b"], "b": []}.__getitem__) == []


def imported_at_once(path: Path) -> set[str]:
    """Names of the modules that a file imports when it is imported itself."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def test_no_import_needs_triton():
    """Kernels alone do, and only other kernels and functions import them."""
    root = Path(rbmscape.__file__).parent
    imports = {
        ".".join(("rbmscape", *path.relative_to(root).with_suffix("").parts)): imported_at_once(path)
        for path in root.rglob("*.py")
    }
    kernels = {name for name, needed in imports.items() if "triton" in needed}
    assert {name.rpartition(".")[0] for name in kernels} == {"rbmscape.kernels.cuda"}
    assert len(kernels) == 6
    assert [name for name, needed in imports.items() if needed & kernels and name not in kernels] == []
