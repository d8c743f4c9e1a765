"""What every entry point is wrapped in: finds conf/, runs hydra, turns errors into one line.

Knows hydra so that nothing below has to; knows nothing of what the entry points do. Exit codes:
0 done, 1 the run failed, 2 the request was wrong, 3 another process is at it, 130 and 143 stopped
by Ctrl-C and SIGTERM. In a sweep each failing job prints its line and the others still run; the
first failure decides the exit code.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from rlcompress.grid import expanded
from rlcompress.launchers import chosen, make_ready
from rlcompress.quiet import Stderr, writers_are_silent
from rlcompress.training.errors import HeldElsewhere, Interrupted, TrainingStopped
from rlcompress.training.sweep_status import ERROR, STOPPED

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
S = TypeVar("S")


@dataclass(frozen=True)
class Job:
    """Where a job runs and the texts that describe it, ready to be written into its directory."""

    directory: Path
    command: str
    descriptions: dict[str, str]


@dataclass(frozen=True)
class EntryPoint(Generic[S]):
    """A name (of its file in conf/), the type of its configuration, and what it does.

    ``check`` looks at the request and returns the work: what it raises is the user's mistake (exit
    code 2, one line), what the work raises is a failed run.
    """

    name: str
    schema: type[S]
    check: Callable[[S, Job], Callable[[], object]]


class _Reported(Exception):
    """An error that has been printed where it happened; carries the exit code out of hydra."""

    def __init__(self, code: int, line: str, process: int) -> None:
        super().__init__(code, line, process)
        self.code, self.line, self.process = code, line, process


def config_dir() -> Path:
    """The directory of configuration values: inside the package in a wheel, else beside it."""
    package = Path(__file__).resolve().parent
    for candidate in (package / "conf", package.parent / "conf"):
        if (candidate / "train.yaml").is_file():
            return candidate
    raise FileNotFoundError(f"no conf/ in or beside {package}; reinstall rlcompress")


def run(entry: EntryPoint[Any]) -> int:
    """Run an entry point with the command line's arguments; returns the exit code."""
    ConfigStore.instance().store(name=f"{entry.name}_schema", node=entry.schema)
    # Looked up here: jobs may run in processes that were started by something else.
    module = _module()
    task = hydra.main(version_base="1.3", config_path=str(config_dir()), config_name=entry.name)(
        lambda config: _job(entry, config, module)
    )
    # argparse wants flags before the overrides; people put -m wherever they think of it.
    sys.argv[1:] = sorted(sys.argv[1:], key=lambda word: word not in ("-m", "--multirun"))
    try:
        with (
            _hydra_raises(),
            writers_are_silent(),
            contextlib.redirect_stderr(Stderr(sys.stderr)),
        ):
            make_ready(sys.argv[1:])
            sys.argv[1:] = expanded(sys.argv[1:], config_dir(), entry.name)
            task()
    except _Reported as error:
        if error.process != os.getpid():
            # A job's own output may be in a file on another machine.
            _say(error.line)
        return error.code
    except BrokenPipeError:
        # Whoever read our output (head, less) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (HydraException, OmegaConfBaseException, ValueError, OSError) as error:
        _say(_one_line(error, entry.schema))
        return BAD_INPUT
    except Interrupted as error:
        _say(str(error))
        return error.code
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except Exception as error:
        if not chosen(sys.argv[1:]):
            raise
        _say(f"{_one_line(error, entry.schema)} (what is done is kept; the same command goes on)")
        return FAILED
    return 0


def _job(entry: EntryPoint[Any], config: DictConfig, module: str) -> None:
    job = _describe(config, module)
    try:
        _run(entry, config, job)
    except HeldElsewhere as error:
        # In a sweep that is somebody else's job.
        if not _where():
            raise _expected(str(error), error.code, job.directory) from None
        print(f"held: {_where()}{error}", flush=True)
    except Interrupted as error:
        if _where():
            _keep(f"{error}\n", job.directory, STOPPED)
        raise


def _run(entry: EntryPoint[Any], config: DictConfig, job: Job) -> None:
    try:
        _refuse_additions(config, entry.schema)
        settings = OmegaConf.to_object(config)
        work = entry.check(settings, job)
    except HeldElsewhere:
        raise
    except (ValueError, OSError, OmegaConfBaseException) as error:
        if HydraConfig.get().verbose:
            traceback.print_exc()
        raise _expected(_one_line(error, entry.schema), BAD_INPUT, job.directory) from None
    except Exception as error:
        raise _unexpected(error, job.directory) from None
    with contextlib.suppress(OSError):
        for name in (ERROR, STOPPED):
            (job.directory / name).unlink(missing_ok=True)
    try:
        work()
    except HeldElsewhere:
        raise
    except TrainingStopped as error:
        raise _expected(_one_line(error, entry.schema), FAILED, job.directory) from None
    except Exception as error:
        raise _unexpected(error, job.directory) from None


def _describe(config: DictConfig, module: str) -> Job:
    hydra_config = HydraConfig.get()
    overrides = OmegaConf.to_container(hydra_config.overrides.task)
    assert isinstance(overrides, list)
    descriptions = {
        # Resolved: read again, a directory of the sweep would be one of another sweep.
        "config.yaml": OmegaConf.to_yaml(config, resolve=True),
        "hydra.yaml": OmegaConf.to_yaml(OmegaConf.create({"hydra": hydra_config})),
        "overrides.yaml": OmegaConf.to_yaml(OmegaConf.create(overrides)),
    }
    command = shlex.join(["python", "-m", module, *(str(item) for item in overrides)])
    return Job(Path(hydra_config.runtime.output_dir), command, descriptions)


def _module() -> str:
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    return str(spec.name).removesuffix(".__main__") if spec else Path(sys.argv[0]).name


def _where() -> str:
    config = HydraConfig.get()
    if str(config.mode) != "RunMode.MULTIRUN":
        return ""
    return f"job {config.job.num} ({' '.join(config.overrides.task)}): "


def _expected(line: str, code: int, directory: Path) -> _Reported:
    """Report what went wrong; a job of a sweep keeps its line, for who looks at the sweep later."""
    said = _where() + line
    _say(said)
    if _where():
        _keep(f"{line}\n", directory)
    return _Reported(code, said, os.getpid())


def _unexpected(error: Exception, directory: Path) -> _Reported:
    """Report a mistake of ours: one line here, the traceback in the run's directory."""
    text = "".join(traceback.format_exception(error))
    line = f"{_where()}{type(error).__name__}: {' '.join(str(error).split())}"
    if HydraConfig.get().verbose:
        sys.stderr.write(text)
    else:
        kept = _keep(text, directory)
        line += f" (traceback in {kept})" if kept else " (hydra.verbose=true shows the traceback)"
    _say(line)
    return _Reported(FAILED, line, os.getpid())


def _keep(text: str, directory: Path, name: str = ERROR) -> Path | None:
    """Write down why a job ended early, where it has a directory of its own; says where."""
    if directory != Path.cwd():
        with contextlib.suppress(OSError):
            (directory / name).write_text(text)
            return directory / name
    return None


def _say(line: str) -> None:
    sys.stderr.write(f"error: {line}\n")
    sys.stderr.flush()


def _one_line(error: BaseException, schema: type) -> str:
    """The message of ``error`` on one line, with the nearest key where one was misspelt."""
    text = " ".join(str(error).split())
    if isinstance(error.__cause__, OmegaConfBaseException):
        text += " " + " ".join(str(error.__cause__).split())
    unknown = re.search(r"Could not override '([^']+)'.*Key '[^']+' (?:is )?not in", text)
    if unknown:
        return f"unknown key {unknown[1]!r}{_nearest(unknown[1], sorted(_keys(schema)))}"
    wrong = re.search(r"(?:Error merging override (\S+)\s)?(Value '.*? Integer|Value '.*)", text)
    if wrong and wrong[1]:
        return f"{wrong[1]}: {wrong[2].split(' full_key:')[0]}"
    return text or type(error).__name__


def _nearest(word: str, choices: list[str]) -> str:
    near = difflib.get_close_matches(word, choices, n=3, cutoff=0.6)
    near = near or [key for key in choices if key.split(".")[-1] == word.split(".")[-1]][:3]
    return f"; did you mean {' or '.join(near)}?" if near else "; --help lists the keys"


def _refuse_additions(config: DictConfig, schema: type) -> None:
    """Hydra lets +key=value add what no one reads; most likely it was misspelt."""
    known = set(_keys(schema))
    found = OmegaConf.to_container(config, resolve=False)
    for key in _paths(found):
        if key not in known:
            raise ValueError(f"unknown key {key!r}{_nearest(key, sorted(known))}")


def _paths(container: Any, prefix: str = "") -> Iterator[str]:
    for key, value in container.items() if isinstance(container, dict) else ():
        yield f"{prefix}{key}"
        yield from _paths(value, f"{prefix}{key}.")


def _keys(schema: type, prefix: str = "") -> Iterator[str]:
    for name, kind in get_type_hints(schema).items():
        yield prefix + name
        if is_dataclass(kind):
            assert isinstance(kind, type)
            yield from _keys(kind, f"{prefix}{name}.")


@contextlib.contextmanager
def _hydra_raises() -> Iterator[None]:
    """Let hydra raise its errors instead of printing them over several lines and exiting."""
    switch = "HYDRA_FULL_ERROR"
    before = os.environ.get(switch)
    os.environ[switch] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[switch]
        else:
            os.environ[switch] = before
