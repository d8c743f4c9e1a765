"""A built wheel carries what a checkout has: the configuration, and modules that find it."""

import site
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's content; without the native engine, which takes a minute."""
    wheels, target = tmp_path_factory.mktemp("wheels"), tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["--no-deps", "--no-build-isolation", "--config-settings", "wheel.cmake=false"]
    subprocess.run([*pip, "wheel", str(ROOT), *build, "--wheel-dir", str(wheels)], check=True)
    (wheel,) = wheels.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(target), str(wheel)], check=True)
    return target


def run(installed: Path, elsewhere: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # -S: an editable install of this checkout must not stand in for the wheel.
    path = ":".join([str(installed), *site.getsitepackages()])
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        cwd=elsewhere,
        env={"PYTHONPATH": path, "HOME": str(elsewhere)},
        capture_output=True,
        text=True,
        check=True,
    )


def test_a_wheel_finds_its_own_configuration(installed: Path, tmp_path: Path) -> None:
    where = run(installed, tmp_path, "-c", "from rlcompress.cli import config_dir as d; print(d())")
    assert Path(where.stdout.strip()) == installed / "rlcompress" / "conf"
    shown = run(installed, tmp_path, "-m", "rlcompress.train", "--cfg", "job", "budget=smoke")
    assert "budget: smoke" in shown.stdout


def test_a_wheel_has_all_that_the_package_has(installed: Path) -> None:
    def files(top: Path, *patterns: str) -> set[Path]:
        return {p.relative_to(top) for pattern in patterns for p in top.rglob(pattern)}

    here = files(ROOT / "rlcompress", "*.py", "py.typed")
    assert here == files(installed / "rlcompress", "*.py", "py.typed")
    assert files(ROOT / "conf", "*.yaml") == files(installed / "rlcompress" / "conf", "*.yaml")
    runtime = files(ROOT / "rlcompress" / "export" / "c", "*.[ch]", "*.ld")
    assert runtime
    assert runtime == files(installed / "rlcompress" / "export" / "c", "*.[ch]", "*.ld")
