"""Imports run downwards only, and what must stay light stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rlcompress"

FLOORS = {
    "spec": 0,
    "artifact": 0,
    "pruning": 1,
    "quantization": 1,
    "runtime": 1,
    "sb3": 2,
    "export": 2,
    "binary": 2,
    "reuse": 2,
    "evaluation": 2,
    "fast": 2,
    "training": 3,
    "probe": 3,
    "reporting": 3,
    "compress": 3,
    "grid": 3,
    "sweep_jobs": 3,
    "resuming": 3,
    "launchers": 3,
    "quiet": 3,
    "search": 4,
    "cli": 4,
    "bench": 4,
}
# artifact may read spec; freezing must know where each algorithm keeps its actor.
# A compression leaves a run directory like training's, and times what it made like the probe.
SIBLINGS = {
    ("artifact", "spec"),
    ("export", "sb3"),
    ("fast", "sb3"),
    ("compress", "training"),
    ("compress", "probe"),
}
NO_TORCH = {"spec", "artifact", "runtime"}
HYDRA_MODULES = ("cli.py", "grid.py", "resuming.py", "sweep_jobs.py")
ENTRY_MODULES = {"train", "export", "probe", "report", "play", "compress", "sweep", "profile"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def is_entry_point(path: Path) -> bool:
    relative = path.relative_to(PACKAGE)
    names = {*relative.parts[:-1], relative.stem}
    return (
        relative.stem in {"__main__", "train", "bench"}
        or (len(relative.parts) == 1 and relative.stem in ENTRY_MODULES)
        or "bench" in names
        or relative.parts[0] == "launchers"
        or relative.parts in {(name,) for name in HYDRA_MODULES}
    )


def imported(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports, wherever in the file."""
    package = ["rlcompress", *path.relative_to(PACKAGE).parts[:-1]]
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            found.add(".".join([*base, *([node.module] if node.module else [])]))
            if node.module in {None, "rlcompress"}:
                found |= {".".join([*base, node.module or "", a.name]) for a in node.names}
    return {name.replace("..", ".") for name in found}


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downwards(path: Path) -> None:
    if path == PACKAGE / "__init__.py" or is_entry_point(path):
        return
    here = room(path)
    for name in imported(path):
        parts = name.split(".")
        if parts[0] != "rlcompress" or len(parts) < 2 or parts[1] == here:
            continue
        there = parts[1]
        if there not in FLOORS:
            continue
        lower = FLOORS[there] < FLOORS[here]
        assert lower or (here, there) in SIBLINGS, f"{here} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_hydra_and_torch_stay_in_their_rooms(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(path)}
    if not is_entry_point(path):
        assert not roots & {"hydra", "omegaconf"}
    if room(path) in NO_TORCH:
        assert "torch" not in roots
    if room(path) == "export" and not path.stem.startswith("freeze") and path.stem != "__main__":
        assert "torch" not in roots


def test_every_room_has_a_floor() -> None:
    rooms = {room(path) for path in modules()} - {"__init__"} - ENTRY_MODULES
    assert rooms <= set(FLOORS)


def test_files_and_functions_stay_small() -> None:
    for path in modules():
        text = path.read_text()
        assert text.count("\n") < 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno + 1 <= 60, f"{path}: {node.name}"


@pytest.mark.parametrize("module", ["rlcompress", "rlcompress.artifact", "rlcompress.runtime"])
def test_runs_where_torch_cannot_be_imported(module: str) -> None:
    code = f"import sys; sys.modules['torch'] = None; import {module}"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
