"""HTML of the report's words and tables; every string from outside is escaped here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

from rlcompress.evaluation.lossless import MARGIN, POOLED_MARGIN, Comparison
from rlcompress.evaluation.resampling import ENOUGH_RUNS
from rlcompress.evaluation.statistics import Estimate
from rlcompress.reporting.details import environment
from rlcompress.reporting.inputs import Skipped
from rlcompress.reporting.run import COMMAND
from rlcompress.reporting.sweep import Condition, Sweep
from rlcompress.reporting.tables import POOLED, Row, smallest_lossless

MOST_COMMANDS = 40
"""Commands that are listed; of more, the first."""

OPEN_TABLES = 3
"""Tables that are shown at once; of more, each opens when asked for."""

_COLUMNS = (
    "condition",
    "runs",
    "return",
    "best",
    "against dense",
    "beats dense",
    "bytes",
    "smaller",
)


def summary(sweep: Sweep, skipped_inputs: Sequence[Skipped]) -> str:
    """One line: how many runs of what."""
    runs, envs = len(sweep.runs), sweep.environments
    seeds = len({run.seed for run in sweep.runs})
    words = [
        _count(runs, "run"),
        ", ".join(envs) if len(envs) <= 3 else f"{len(envs)} environments",
    ]
    if sweep.sparsities:
        words.append("sparsity " + ", ".join(f"{s:g}" for s in sweep.sparsities))
    words.append(_count(seeds, "seed"))
    if skipped_inputs:
        words.append(f"{_count(len(skipped_inputs), 'input')} skipped")
    return " · ".join(words)


def cards(sweep: Sweep, table: Sequence[Row]) -> str:
    """One card per environment: the smallest policy that is shown to lose nothing, or the last."""
    found = [_card(sweep, table, env) for env in sweep.environments[:6]]
    return f'<div class="cards">{"".join(found)}</div>'


def _card(sweep: Sweep, table: Sequence[Row], env: str) -> str:
    row = smallest_lossless(list(table), env)
    if row is not None:
        said = "the smallest that loses nothing"
    else:
        last = [r for r in table if (r.env, r.checkpoint) == (env, "last")]
        row = min(last, key=lambda r: r.size_bytes or np.inf)
        said = "the smallest; " + _why_not(sweep, env)
    size = "" if row.size_bytes is None else f"{row.size_bytes:,.0f} bytes"
    factor = "" if row.honest_factor is None else f", {row.honest_factor:.1f}x smaller"
    dense = sweep.dense().get(env)
    beside = "" if dense is None else f", dense {number(float(np.mean(dense)))}"
    return (
        f'<div class="card"><h3>{escape(env)}</h3>'
        f'<div class="big">{_dot(row.condition)}{escape(row.condition.label)}</div>'
        f"<p>{size}{factor}, return {_value(row.estimate)}{beside}<br>{escape(said)}</p></div>"
    )


def _why_not(sweep: Sweep, env: str) -> str:
    if env not in sweep.dense():
        return "no dense runs to compare with"
    if len(sweep.dense()[env]) < ENOUGH_RUNS:
        return f"fewer than {ENOUGH_RUNS} dense runs decide nothing"
    return "none is shown to lose nothing"


def results(sweep: Sweep, table: Sequence[Row]) -> str:
    """The table of every environment, the pooled one, and how to read them."""
    parts = [
        '<p class="caption">Return: interquartile mean over runs of the last checkpoint, with its '
        f"{sweep.confidence} bootstrap interval; best: the same for the best checkpoint "
        "of the final phase. "
        f"Under {ENOUGH_RUNS} runs there is none, and the figures show every single run. "
        "<b>Lossless</b> means that the interval of the difference from dense runs lies above "
        f"&minus;{MARGIN:.0%} (&minus;{POOLED_MARGIN:.0%} pooled over environments), <b>lossy</b> "
        "that it lies below; everything else is undecided, however small "
        "the difference looks. Smaller divides dense float32 bytes by all bytes stored; in grey "
        "the usual count, kept weights alone.</p>"
    ]
    named = (f"<b>{escape(k)}</b>: {escape(v)}" for k, v in sweep.settings.items())
    parts += [f'<p class="caption">{"<br>".join(named)}</p>'] if sweep.settings else []
    names = list(sweep.environments)
    if any(row.env == POOLED for row in table):
        names.append(POOLED)
    shown = " open" if len(names) <= OPEN_TABLES else ""
    for name in names:
        rows = _table([row for row in table if row.env == name])
        said = escape(name.capitalize() if name == POOLED else name)
        parts += [f"<details class='table'{shown}><summary>{said}</summary>{rows}</details>"]
    return "".join(parts)


def _table(rows: Sequence[Row]) -> str:
    best = {row.condition: row for row in rows if row.checkpoint == "best"}
    pooled = all(row.estimate is None for row in rows)
    hidden = {"return", "best", "bytes", "smaller"} if pooled else set()
    columns = [name for name in _COLUMNS if name not in hidden]
    body = []
    for row in rows:
        if row.checkpoint == "last":
            cells = _cells(row, best.get(row.condition))
            body.append("<tr>" + "".join(_cell(name, cells[name]) for name in columns) + "</tr>")
    head = "".join(f"<th>{name}</th>" for name in columns)
    return (
        '<div class="scroll"><table class="rows"><thead><tr>'
        f"{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def _cell(name: str, content: str) -> str:
    inside = f"<span>{content}</span>" if content else ""
    return f'<td data-name="{name}">{inside}</td>'


def _cells(row: Row, best: Row | None) -> dict[str, str]:
    smaller = "" if row.honest_factor is None else f"{row.honest_factor:.1f}x"
    if row.paper_factor is not None:
        smaller += f" <small>{row.paper_factor:.0f}x</small>"
    return {
        "condition": _dot(row.condition) + escape(row.condition.label),
        "runs": str(row.runs),
        "return": _value(row.estimate, interval=True),
        "best": "" if best is None else _value(best.estimate, interval=True),
        "against dense": _comparison(row.comparison),
        "beats dense": _chance(row.improvement),
        "bytes": "" if row.size_bytes is None else f"{row.size_bytes:,.0f}",
        "smaller": smaller,
    }


def _chance(found: Estimate | None) -> str:
    if found is None:
        return ""
    bounds = found.interval
    note = "" if bounds is None else f" <small>{bounds.low:.0%} to {bounds.high:.0%}</small>"
    return f"{found.value:.0%}{note}"


def _comparison(found: Comparison | None) -> str:
    if found is None:
        return ""
    text = f"{found.difference:+.1%}"
    if found.interval is not None:
        text += f" <small>{found.interval.low:+.0%} to {found.interval.high:+.0%}</small>"
    note = ""
    if found.runs_needed is not None:
        note = f" <small>until {found.runs_needed:,} runs</small>"
    return f'{text} <span class="pill {found.verdict}">{found.verdict}</span>{note}'


def _value(found: Estimate | None, *, interval: bool = False) -> str:
    if found is None:
        return ""
    text = number(found.value)
    if interval and found.interval is not None:
        text += f" <small>{number(found.interval.low)} to {number(found.interval.high)}</small>"
    return text


def number(value: float) -> str:
    """A return with as many digits as can matter."""
    return (
        f"{value:,.0f}"
        if abs(value) >= 1000
        else f"{value:.1f}"
        if abs(value) >= 10
        else f"{value:.2f}"
    )


def _dot(condition: Condition) -> str:
    return f'<i class="dot" style="background: var(--{condition.kind})"></i>'


def skipped(inputs: Sequence[Skipped]) -> str:
    """Inputs that are not in the report, each with its reason."""
    return _list(
        f"<code>{escape(item.name)}</code><br>{escape(item.reason)}" for item in inputs[:200]
    ) + ("" if len(inputs) <= 200 else f"<p>and {len(inputs) - 200:,} more</p>")


def origins(sweep: Sweep) -> str:
    """Commands and what they ran on; where runs differ, how many had which version."""
    commands: list[str] = []
    for run in sweep.runs[:MOST_COMMANDS]:
        commands.append(f"# {run.name}\n{run.text(COMMAND).strip() or '(not recorded)'}")
    more = len(sweep.runs) - len(commands)
    if more > 0:
        commands.append(f"# and {more:,} more: command.txt in each run's directory")
    listed = f"<pre>{escape(chr(10).join(commands))}</pre>"
    if len(commands) > 3:
        first = f"<pre>{escape(commands[0])}</pre>"
        listed = f"{first}<details><summary>All commands</summary>{listed}</details>"
    return listed + _environments(sweep)


def _environments(sweep: Sweep) -> str:
    records = [environment(run) for run in sweep.runs[:MOST_COMMANDS]]
    names = list(dict.fromkeys(name for record in records for name in record))
    rows = []
    for name in names:
        counts = Counter(record.get(name, "unknown") for record in records)
        values = [
            value if len(counts) == 1 else f"{value} ({_count(count, 'run')})"
            for value, count in counts.most_common()
        ]
        rows.append(f"<dt>{escape(name)}</dt><dd>{escape(', '.join(values))}</dd>")
    return f"<dl>{''.join(rows)}</dl>" if rows else ""


def _list(items: Iterable[str]) -> str:
    return '<ul class="plain">' + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
