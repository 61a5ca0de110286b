"""The wheel: it holds all of the package and no tests, and works without the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from mm.market import TEMPLATE
from tests.house.plan import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("wheel")]

#: As pyproject.toml asks for it; without it pip fetches it into an environment for the build.
SETUPTOOLS = 77
IMPORT_ALL = """
import importlib, pathlib, sys
top = pathlib.Path(sys.argv[1])
for path in sorted((top / "mm").rglob("*.py")):
    parts = path.relative_to(top).with_suffix("").parts
    module = importlib.import_module(".".join(part for part in parts if part != "__init__"))
    assert pathlib.Path(module.__file__).is_relative_to(top), module.__file__
    print(module.__name__)
"""


def tracked_files() -> list[str]:
    """The files that are there and that git does not ignore, relative to the repository."""
    if not (ROOT / ".git").exists():
        pytest.skip("no git checkout: the list of files is git's")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def has_setuptools() -> bool:
    """Whether this environment can build without fetching anything."""
    try:
        return int(version("setuptools").partition(".")[0]) >= SETUPTOOLS
    except PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the tracked files alone."""
    source = tmp_path_factory.mktemp("source")
    target = tmp_path_factory.mktemp("wheel")
    for name in tracked_files():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--wheel-dir", str(target)]
    command += ["--no-build-isolation"] if has_setuptools() else []
    built = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = target.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the wheel's content."""
    directory = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(directory)
    return directory


def run_python(unpacked: Path, directory: Path, *arguments: str) -> str:
    """What Python prints with these arguments in the directory, with the wheel's ``mm``."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=directory,
        env=environment | {"PYTHONPATH": str(unpacked)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_package_and_no_tests(wheel: Path) -> None:
    """Each tracked file of ``mm`` is in the wheel, and beside them only the wheel's own facts."""
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    tracked = {name for name in tracked_files() if name.startswith("mm/")}
    assert {Path(name).suffix for name in tracked} == {
        *(".py", ".lua", ".toml", ".typed"),
        *(".html", ".css", ".js", ".svg"),
    }
    others = {name for name in packed if ".dist-info/" not in name}
    assert others == tracked


def test_every_module_can_be_imported(unpacked: Path, tmp_path: Path) -> None:
    """Each module of the wheel is imported from it, in a directory without the source tree."""
    printed = run_python(unpacked, tmp_path, "-c", IMPORT_ALL, str(unpacked))
    modules = list((unpacked / "mm").rglob("*.py"))
    assert len(printed.split()) == len(modules)


def test_commands_work(unpacked: Path, tmp_path: Path) -> None:
    """The wheel's command line shows its help and judges a configuration that it has written."""
    assert "Run a market:" in run_python(unpacked, tmp_path, "-m", "mm", "--help")
    run_python(unpacked, tmp_path, "-m", "mm", "config", "init")
    assert (tmp_path / "mm.toml").read_text(encoding="utf-8") == TEMPLATE
    assert run_python(unpacked, tmp_path, "-m", "mm", "config", "check", "mm.toml")


def test_rivals_are_modules_of_the_package(unpacked: Path, tmp_path: Path) -> None:
    """The benchmark can start each rival without the source tree."""
    for path in (unpacked / "mm" / "lab" / "bench" / "rivals").glob("*.py"):
        if path.stem not in ("__init__", "common"):
            module = f"mm.lab.bench.rivals.{path.stem}"
            assert "--workers" in run_python(unpacked, tmp_path, "-m", module, "--help")
