"""The rooms import only what stands to their left: engine <- encodings <- asp <- bindings."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "engine": ROOT / "engine" / "src",
    "encodings": ROOT / "encodings" / "src",
    "asp": ROOT / "asp" / "src",
    "bindings": ROOT / "bindings" / "whyproof",
}
ORDER = list(ROOMS)
THIRD_PARTY = {
    "engine": {"numpy", "pysat", "highspy", "clingo"},
    "encodings": {"numpy", "pysat", "highspy", "veritas", "onnx", "onnxruntime", "clingo"},
    "asp": {"numpy", "clingo", "jinja2"},
}
OPTIONAL = {
    "sklearn",
    "xgboost",
    "lightgbm",
    "torch",
    "pandas",
    "matplotlib",
    "pyarrow",
    "clingcon",
    "dratify",
    "gurobipy",
    "ortools",
    "maraboupy",
    "vnnlib",
    "distributed",
    "duckdb",
    "mpi4py",
    "ray",
    "submitit",
    "safetensors",
    "PIL",
    "diffusers",
    "lightning",
    "lang_sam",
    "lpips",
}

#: Packages of bindings that are written in torch; importing the package itself loads none.
IN_TORCH = {"visual"}


def modules(room: str) -> list[Path]:
    inside = {"engine", "encodings", "asp"} if room == "bindings" else set()
    return [
        path
        for path in sorted(ROOMS[room].rglob("*.py"))
        if not inside & set(path.relative_to(ROOMS[room]).parts[:1])
    ]


def imports(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Return the absolute names that a module imports, relative ones left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.unparse(branch.test)
        for node in ast.walk(branch)
    }
    nodes = tree.body if top_level_only else list(ast.walk(tree))
    names: set[str] = set()
    for node in nodes:
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_rooms_to_its_left(room: str) -> None:
    allowed = set(ORDER[: ORDER.index(room) + 1])
    for path in modules(room):
        for name in imports(path):
            parts = name.split(".")
            if parts[0] != "whyproof":
                continue
            home = parts[1] if len(parts) > 1 and parts[1] in ORDER else "bindings"
            assert home in allowed, f"{path} of {room} imports {name}"


@pytest.mark.parametrize("room", ["engine", "encodings", "asp"])
def test_a_room_depends_on_its_own_packages_only(room: str) -> None:
    allowed = THIRD_PARTY[room] | set(sys.stdlib_module_names) | {"whyproof"}
    for path in modules(room):
        extra = {"torch"} if "networks" in path.parts else set()
        for name in imports(path):
            assert name.split(".")[0] in allowed | extra | OPTIONAL, f"{path} imports {name}"
        for name in imports(path, top_level_only=True):
            assert name.split(".")[0] in allowed | extra, f"{path} imports {name} when loaded"


def test_optional_packages_are_imported_lazily() -> None:
    for path in modules("bindings"):
        allowed = {"torch"} if path.relative_to(ROOMS["bindings"]).parts[0] in IN_TORCH else set()
        for name in imports(path, top_level_only=True):
            late = OPTIONAL - allowed
            assert name.split(".")[0] not in late, f"{path} imports {name} when loaded"


@pytest.mark.parametrize("package", sorted(IN_TORCH))
def test_importing_a_package_written_in_torch_does_not_load_torch(package: str) -> None:
    program = f"import sys, whyproof.{package}; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@pytest.mark.parametrize("room", ORDER)
def test_modules_are_small(room: str) -> None:
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in modules(room))
    assert lengths[len(lengths) // 2] <= 200, "the median module is over 200 lines"
    assert lengths[-1] <= 600, "a module is over 600 lines"
