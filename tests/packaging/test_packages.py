"""What ships is what the tree holds, and importing it needs no extras."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
HOMES = PROJECT["tool"]["setuptools"]["package-dir"]
EXTRAS = ("sklearn", "xgboost", "lightgbm", "torch", "pandas", "matplotlib", "pyarrow", "rich")


def packages_of_the_tree() -> set[str]:
    found: set[str] = set()
    for package, home in HOMES.items():
        for marker in (ROOT / home).rglob("__init__.py"):
            parts = marker.parent.relative_to(ROOT / home).parts
            if package == "whyproof" and parts and parts[0] in ("engine", "encodings", "asp"):
                continue
            found.add(".".join((package, *parts)))
    return found


def test_every_package_is_listed() -> None:
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packages_of_the_tree()


def test_the_root_of_encodings_does_not_shadow_the_standard_library() -> None:
    assert not (ROOT / "encodings" / "__init__.py").exists()
    subprocess.run(
        [sys.executable, "-c", "pass"], env={"PYTHONPATH": "."}, cwd=ROOT, check=True, timeout=60
    )


def test_importing_loads_no_extra() -> None:
    program = (
        "import sys, whyproof, whyproof.explainer, whyproof.models, whyproof.tables\n"
        f"loaded = [name for name in {EXTRAS!r} if name in sys.modules]\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_importing_works_with_every_extra_blocked() -> None:
    program = (
        "import sys\n"
        f"for name in {EXTRAS!r}: sys.modules[name] = None\n"
        "import whyproof.explainer, whyproof.models, whyproof.tables, whyproof.engine.enumerate"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_data_file(tmp_path: Path) -> None:
    # From a copy: building leaves a folder behind that a later build would pick up.
    copy = tmp_path / "source"
    leave_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=leave_out)
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(copy)]
    done = subprocess.run(build, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"{package.replace('.', '/')}/{path.relative_to(ROOT / home).as_posix()}"
        for package, home in HOMES.items()
        for path in (ROOT / home).rglob("*")
        if path.is_file()
        and path.suffix in (".py", ".lp", ".j2", ".html", ".css", ".typed")
        and not (
            package == "whyproof"
            and path.relative_to(ROOT / home).parts[0] in ("engine", "encodings", "asp")
        )
    }
    assert sorted(wanted - shipped) == []
    assert not [name for name in shipped if name.startswith(("tests", "benchmarks"))]


def test_every_public_name_has_a_home() -> None:
    import whyproof

    for name in whyproof.__all__:
        assert getattr(whyproof, name).__doc__, name
    with pytest.raises(AttributeError, match="nothing_like_it"):
        whyproof.nothing_like_it  # noqa: B018
