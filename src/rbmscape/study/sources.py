"""Which code a result follows from, so that a result of other code is not taken for a present one.

The import statements of the files tell, wherever they stand: at the top, in a function, or for type checking alone,
because what is handed to a function as an argument computes as well.  Nothing is imported to find out.

A module is taken whole, with all that it imports.  Two are exceptions:

- Of a module with a figure (in `rbmscape.figures`, or of somebody else) only those definitions count that the named
  functions reach.  So a change of ``draw``, or of `rbmscape.figures.style`, is none of ``compute``.
- Of `rbmscape.kernels` and `rbmscape.training` the number ``NUMERIC_CONTRACT`` counts in place of the source.  They are
  proved to give the same numbers bit by bit, or raise it; and to train again is a matter of hours.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import rbmscape
from rbmscape.errors import ConfigError

__all__ = ["CONTRACT", "Sources", "present_sources"]

PACKAGE: Final = "rbmscape"
CONTRACT: Final = "NUMERIC_CONTRACT"
BY_CONTRACT: Final = ("rbmscape.kernels", "rbmscape.training")
FIGURES: Final = "rbmscape.figures"


@dataclass(frozen=True, slots=True)
class _Imported:
    """One name of an import statement; without a name the module itself, as ``import module`` gives it."""

    module: str
    name: str = ""


class _File:
    """A source file: its text, its imports, and the top-level statements that bind each name."""

    def __init__(self, module: str, path: Path) -> None:
        self.module = module
        self.text = path.read_text(encoding="utf-8")
        self._package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        self._lines = self.text.splitlines(keepends=True)

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    def segment(self, node: ast.stmt) -> str:
        """Source of a statement, with its decorators."""
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        return "".join(self._lines[first - 1 : node.end_lineno])

    def imports(self, node: ast.AST) -> Iterator[_Imported]:
        """What the import statements within a node name."""
        for found in _statements(node):
            if isinstance(found, ast.Import):
                yield from (_Imported(alias.name) for alias in found.names)
            elif isinstance(found, ast.ImportFrom):
                yield from (_Imported(self._origin(found), alias.name) for alias in found.names)

    def _origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        above = self._package.split(".")[: len(self._package.split(".")) - node.level + 1]
        return ".".join([*above, node.module] if node.module else above)

    @cached_property
    def bindings(self) -> Mapping[str, list[ast.stmt]]:
        """Name to the top-level statements that bind it; an import for type checking stands for itself."""
        found: dict[str, list[ast.stmt]] = {}
        for node in self._flat(self.tree.body):
            for name in _bound(node):
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def effects(self) -> list[ast.stmt]:
        """Top-level statements that bind nothing and are no words: they may change what others mean."""
        return [
            node
            for node in self._flat(self.tree.body)
            if not _bound(node)
            and not isinstance(node, ast.Pass)
            and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        ]

    def _flat(self, body: list[ast.stmt]) -> Iterator[ast.stmt]:
        for node in body:
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
                yield from node.body
            else:
                yield node


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all statements within it."""
    yield node
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, block, ()):
            yield from _statements(inner)


def _bound(node: ast.stmt) -> set[str]:
    """Names that a top-level statement binds."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}


class Sources:
    """Fingerprints of source, from the files of one package and of the figures that others bring.

    Parameters
    ----------
    package : folder of `rbmscape`; a figure's own package is found where it is imported from
    """

    def __init__(self, package: Path) -> None:
        self._folders = {PACKAGE: package}
        self._files: dict[str, _File | None] = {}
        self._marks: dict[tuple[str, tuple[str, ...]], str] = {}
        self._looks: dict[tuple[str, str, bool], tuple[str, list[tuple[str, str]]]] = {}

    def of_module(self, module: str) -> str:
        """SHA-256 of a module and all that it imports, transitively and whole; 64 hexadecimal digits.

        Raises
        ------
        ConfigError : there is no such module
        """
        return self._mark(module, ())

    def of_functions(self, module: str, *names: str) -> str:
        """SHA-256 of what some functions of a figure's module reach, there and elsewhere; 64 hexadecimal digits.

        Names that the module does not have are passed over.

        Raises
        ------
        ConfigError : there is no such module
        """
        return self._mark(module, names)

    def number(self, module: str, name: str) -> int:
        """Value of a whole-number constant of a module, which is not imported for that."""
        return int(ast.literal_eval(_value(self._known(module), name)))

    def reached(self, module: str, names: tuple[str, ...] = ()) -> frozenset[str]:
        """Modules behind a fingerprint, for people and tests."""
        return frozenset(module for module, _ in self._parts(module, names))

    def _mark(self, module: str, names: tuple[str, ...]) -> str:
        if (module, names) not in self._marks:
            mark = hashlib.sha256()
            for (home, part), text in sorted(self._parts(module, names).items()):
                mark.update(f"{home}\0{part}\0{hashlib.sha256(text.encode()).hexdigest()}\n".encode())
            self._marks[module, names] = mark.hexdigest()
        return self._marks[module, names]

    def _parts(self, module: str, names: tuple[str, ...]) -> dict[tuple[str, str], str]:
        """Every (module, name of a definition or nothing) that counts, with its source."""
        top = module.partition(".")[0]
        if top not in self._folders:
            self._folders[top] = _folder(top)
        self._known(module)
        begin = [(module, name) for name in names] or [(module, "")]
        found: dict[tuple[str, str], str] = {}
        waiting, seen = list(begin), set(begin)
        while waiting:
            place = waiting.pop()
            text, after = self._look(*place, slicing=bool(names))
            if text:
                found[place] = text
            waiting += set(after) - seen
            seen.update(after)
        return found

    def _look(self, module: str, name: str, *, slicing: bool) -> tuple[str, list[tuple[str, str]]]:
        """Source at one place, and the places that it leads to."""
        key = module, name, slicing
        if key not in self._looks:
            contract = next((home for home in BY_CONTRACT if (module + ".").startswith(home + ".")), None)
            if contract:
                self._looks[key] = str(self.number(contract, CONTRACT)), []
            elif slicing and name and self._is_sliced(module):
                self._looks[key] = self._definition(self._known(module), name)
            elif name:
                self._looks[key] = "", [(module, "")]
            else:
                file = self._known(module)
                self._looks[key] = file.text, list(self._targets(file, file.tree))
        return self._looks[key]

    def _definition(self, file: _File, name: str) -> tuple[str, list[tuple[str, str]]]:
        """Source of what binds a name in a file, and where it leads to."""
        text, after = "", list[tuple[str, str]]()
        for node in [*file.bindings.get(name, []), *file.effects]:
            if isinstance(node, ast.Import | ast.ImportFrom):
                chosen = [alias for alias in node.names if (alias.asname or alias.name).split(".")[0] == name]
                after += self._targets(file, _like(node, chosen))
            else:
                text += file.segment(node)
                used = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)} & file.bindings.keys()
                after += [*((file.module, other) for other in used), *self._targets(file, node)]
        return text, after

    def _targets(self, file: _File, node: ast.AST) -> Iterator[tuple[str, str]]:
        """Places to which the imports within a node lead, as far as they count."""
        for one in file.imports(node):
            if self._file(one.module) is None:
                continue
            within = f"{one.module}.{one.name}"
            if one.name and self._file(within) is not None:
                yield within, ""
            elif one.module == PACKAGE and (one.name or not file.module.startswith(PACKAGE + ".")):
                yield from ((home, "") for home in self._homes(one.name))
            elif one.module != PACKAGE:
                yield one.module, one.name if one.name != "*" else ""

    def _homes(self, name: str) -> Iterable[str]:
        """Modules behind the public names of the package; all of them for the package as a whole."""
        homes: dict[str, str] = ast.literal_eval(_value(self._known(PACKAGE), "_HOMES"))
        return [homes[name]] if name in homes else [] if name == "__version__" else sorted(set(homes.values()))

    def _is_sliced(self, module: str) -> bool:
        return module.partition(".")[0] != PACKAGE or module.startswith(FIGURES + ".")

    def _known(self, module: str) -> _File:
        file = self._file(module)
        if file is None:
            raise ConfigError(f"the source of the module {module} was not found; keep its .py file beside it")
        return file

    def _file(self, module: str) -> _File | None:
        """Of this package or of one that brings a figure; None for libraries, which are not followed."""
        top, *rest = module.split(".")
        if top not in self._folders:
            return None
        if module not in self._files:
            path = self._path(self._folders[top], rest)
            self._files[module] = None if path is None else _File(module, path)
        return self._files[module]

    def _path(self, folder: Path, rest: list[str]) -> Path | None:
        if folder.is_file():
            return None if rest else folder
        stem = folder.joinpath(*rest)
        candidates = [stem / "__init__.py", *([stem.with_name(stem.name + ".py")] if rest else [])]
        return next((path for path in candidates if path.is_file()), None)


def _value(file: _File, name: str) -> Any:
    """What a top-level assignment gives to a name, as a syntax tree."""
    (node,) = file.bindings[name]
    assert isinstance(node, ast.Assign | ast.AnnAssign)
    return node.value


def _like(node: ast.Import | ast.ImportFrom, names: list[ast.alias]) -> ast.stmt:
    """The same import statement with some of its names."""
    if isinstance(node, ast.Import):
        return ast.Import(names=names)
    return ast.ImportFrom(module=node.module, names=names, level=node.level)


def _folder(top: str) -> Path:
    """Where somebody's figures lie: a package's folder, or a module's file.

    Raises
    ------
    ConfigError : there is no such package, or no source of it
    """
    try:
        spec = find_spec(top)
    except (ImportError, ValueError):
        spec = None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        raise ConfigError(f"the source of {top} was not found; keep its .py files where it is imported from")
    path = Path(spec.origin)
    return path.parent if path.name == "__init__.py" else path


@cache
def present_sources() -> Sources:
    """Of the package that runs, as its files were when the process first asked."""
    return Sources(Path(rbmscape.__file__).parent)
