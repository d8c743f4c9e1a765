"""Every native module built with AddressSanitizer and UBSan runs its own tests."""

import importlib.util
import os
import subprocess
import sys

import pytest

from tests.runtime.native import ROOT, build

pytestmark = pytest.mark.slow

RUN_TESTS_WITH = """
import importlib.machinery, importlib.util, sys
import pytest
from pathlib import Path
for word in sys.argv[1].split(","):
    name, path = word.split("=")
    loader = importlib.machinery.ExtensionFileLoader(name, path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    sys.modules[name] = module
    loader.exec_module(module)
sys.exit(pytest.main(["-v", "-p", "no:cacheprovider", *sys.argv[2:]]))
"""

PACKAGES = {"_engine": "runtime", "_bits": "binary", "_stack": "reuse", "_runs": "reuse"}

# What starts processes of its own starts them without the sanitizers' modules.
TESTS = {
    "engine": ["tests/runtime", "-k", "not spawned and not c_api"],
    "binary": ["tests/binary/test_network.py", "tests/binary/test_policy.py"],
    "reuse": ["tests/reuse", "-k", "not bench and not learn"],
}


@pytest.fixture(scope="module")
def modules() -> str:
    """Where the sanitized modules lie: ``name=path`` of each."""
    if importlib.util.find_spec("nanobind") is None:
        pytest.skip("needs nanobind (make sanitize installs it)")
    python = f"-DPython_EXECUTABLE={sys.executable}"
    options = ("-DRLC_SANITIZE=ON", "-DCMAKE_BUILD_TYPE=Debug", "-DRLC_PYTHON=ON", python)
    folder = build("sanitized-python", *options)
    found = []
    for module, package in PACKAGES.items():
        (path,) = folder.glob(f"{module}.*")
        found.append(f"rlcompress.{package}.{module}={path}")
    return ",".join(found)


def library(name: str) -> str:
    """The path of one of the compiler's own shared libraries."""
    command = ["g++", f"-print-file-name={name}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("part", TESTS)
def test_native_modules_pass_their_tests_under_sanitizers(part: str, modules: str) -> None:
    names = ("libasan.so", "libubsan.so", "libstdc++.so")
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(library(name) for name in names),
        "ASAN_OPTIONS": "detect_leaks=0",  # The interpreter's own.
        "UBSAN_OPTIONS": "print_stacktrace=1",
    }
    command = [sys.executable, "-c", RUN_TESTS_WITH, modules, *TESTS[part]]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=3600
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-5000:]
    assert " passed" in done.stdout
