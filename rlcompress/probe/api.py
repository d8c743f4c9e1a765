"""``rlcompress.measure``: the probe's measuring as one function; prints and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rlcompress.artifact import CompressedPolicy
from rlcompress.probe.compare import Comparison, backend_names, compare
from rlcompress.probe.measure import MeasureSpec
from rlcompress.probe.processes import Workers
from rlcompress.probe.registry import Request, What
from rlcompress.probe.source import Source, open_source


def measure(
    policy: CompressedPolicy | str | Path,
    backends: Sequence[str] = (),
    *,
    levels: Sequence[What] = ("policy",),
    request: Request | None = None,
    spec: MeasureSpec | None = None,
) -> Comparison:
    """Time a policy in several runtimes, in turns, each in a process of its own.

    Args:
        policy: an artifact, or the path of one, of a run directory or of an SB3 zip.
        backends: names of ``rlcompress.probe.backends.BACKENDS``; (): all but the optional ones.
        levels: what to time, see docs/probe.md: ``policy``, ``actor``, ``kernel``.
        request: observations per call, threads, instruction set; one, one, the machine's own.
        spec: how long; fifteen rounds of a twentieth of a second.

    Returns:
        Measurements by backend (``measured``, ``rows`` where there are several levels) and what
        was not measured with the reason (``refused``).

    Raises:
        ValueError: for names that are not known and files that are no policy.
    """
    names = backend_names(backends)
    if isinstance(policy, CompressedPolicy):
        source = Source(policy, "artifact", Path(), None)
    else:
        source = open_source(Path(policy))
    with Workers() as workers:
        return compare(
            source.subject(), names, workers=workers, request=request, spec=spec, levels=levels
        )
