"""Which folder may import which: the arrows between the rooms, read from the source."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("handlers", "lightning_modules", "archives", "loadtest")
# All that is installed where a worker runs; torch only where it is used: importing it takes seconds and memory.
HANDLERS = {"handlers", "numpy", "tokenizers", "onnxruntime", "torch", "ts"}
# Standard library only: whoever calls a server, or checks its answers, needs no inference runtime.
LIGHT = {"handlers.golden", "handlers.integrity", "handlers.request"}
PURE = {"handlers.text", "numpy", "tokenizers"}
# Training shares the readers of users' files and SQuAD's metric with the commands that evaluate a served model.
SHARED = {"archives.reading", "archives.squad_metric"}
FORBIDDEN = {
    "lightning_modules": {"archives", "loadtest"},
    "archives": {"lightning_modules", "loadtest"},
    "loadtest": {"lightning_modules"},
}
# Torch is a matter of this one, which a worker on a CPU does not import.
TORCH, TORCH_FILE = "handlers.torch_model", ROOT / "handlers" / "torch_model.py"
# Files that only go into archives, of the server to compare with: they are no part of the bundle's own code.
PACKED = "loadtest.bench.plain"


@dataclass(frozen=True)
class Import:
    """`module` with its full name; `lazy` where it stands in a function; `where` is file:line."""

    module: str
    lazy: bool
    where: str

    @property
    def package(self) -> str:
        return self.module.partition(".")[0]

    @property
    def third_party(self) -> bool:
        return self.package not in sys.stdlib_module_names

    def below(self, package: str) -> bool:
        return Path(self.where).is_relative_to(ROOT.joinpath(*package.split(".")))


def imports_of(path: Path) -> Iterator[Import]:
    """Every import statement of a file, those in functions and below TYPE_CHECKING too."""

    def walk(node: ast.AST, lazy: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}:{child.lineno}: relative imports hide the arrows"
                names = [f"{child.module}.{alias.name}" for alias in child.names]
            else:
                yield from walk(child, lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda))
                continue
            yield from (Import(name, lazy, f"{path}:{child.lineno}") for name in names)

    return walk(ast.parse(path.read_text(encoding="utf-8")), False)


def imports_below(folder: Path) -> list[Import]:
    return [found for path in sorted(folder.rglob("*.py")) for found in imports_of(path)]


def children(folder: Path) -> list[str]:
    """The dotted names of a folder's own modules and packages."""
    paths = (path for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file())
    return [path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in paths]


def neighbours(child: str) -> set[str]:
    """The modules and packages beside `child` that it imports, or that something in it imports."""
    path = ROOT.joinpath(*child.split("."))
    imports = imports_below(path) if path.is_dir() else imports_of(path.with_suffix(".py"))
    modules = {found.module for found in imports}
    return {other for other in children(path.parent) if other != child and any(within(m, {other}) for m in modules)}


def within(module: str, packages: set[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("room", ROOMS)
def test_every_room_is_looked_at(room: str) -> None:
    assert any(found.package == room for found in imports_below(ROOT / room))


@pytest.mark.parametrize(("room", "forbidden"), FORBIDDEN.items())
def test_the_arrows_go_one_way(room: str, forbidden: set[str]) -> None:
    found = [found for found in imports_below(ROOT / room) if found.package in forbidden]
    assert [one for one in found if not within(one.module, SHARED)] == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_folder_imports_one_that_imports_it(room: str) -> None:
    """Holds for the folders of a room and the modules beside them, along any number of steps."""
    graph = {child: neighbours(child) for child in children(ROOT / room)}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f"{room}: {' -> '.join(error.args[1])}")


def test_handlers_need_only_what_a_worker_has() -> None:
    found = [found for found in imports_below(ROOT / "handlers") if found.third_party]
    assert [one for one in found if not within(one.module, HANDLERS)] == []


def test_the_pure_part_of_the_handlers_needs_numpy_and_tokenizers_only() -> None:
    found = [found for found in imports_below(ROOT / "handlers" / "text") if found.third_party]
    assert [one for one in found if not within(one.module, PURE)] == []


@pytest.mark.parametrize("module", sorted(LIGHT))
def test_the_light_part_of_the_handlers_needs_the_standard_library_only(module: str) -> None:
    imports = list(imports_of(ROOT.joinpath(*module.split(".")).with_suffix(".py")))
    assert imports
    assert [one for one in imports if one.third_party and not within(one.module, LIGHT)] == []


def test_archives_need_only_the_light_part_of_the_handlers() -> None:
    found = [found for found in imports_below(ROOT / "archives") if found.module.startswith("handlers.")]
    assert [one for one in found if not within(one.module, LIGHT)] == []


@pytest.mark.parametrize("room", ["handlers", "archives", "loadtest"])
def test_torch_is_not_imported_with_the_module(room: str) -> None:
    eager = [found for found in imports_below(ROOT / room) if within(found.module, {"torch", TORCH}) and not found.lazy]
    assert [found for found in eager if not found.below(PACKED) and not found.where.startswith(f"{TORCH_FILE}:")] == []


def test_files_that_are_only_packed_stand_alone() -> None:
    imports = [found for room in ROOMS for found in imports_below(ROOT / room)]
    assert [found for found in imports if within(found.module, {PACKED})] == []
    packed = [found for found in imports if found.below(PACKED)]
    assert packed
    assert [found for found in packed if found.package in ROOMS] == []


def test_lazy_imports_are_told_from_eager_ones(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        "import torch.nn\nfrom a.b import c\n\n\nclass C:\n    import d\n\n    def f(self):\n        import e\n"
    )
    found = {found.module: found.lazy for found in imports_of(tmp_path / "m.py")}
    assert found == {"torch.nn": False, "a.b.c": False, "d": False, "e": True}
