"""The README's tables from a kept measurement, in GitHub's Markdown.

python -m loadtest.bench.markdown runs/reports/bench/bench.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loadtest.bench.environment import machine
from loadtest.bench.rows import failures, faults, rows, title
from loadtest.command import exit_code
from loadtest.errors import LoadTestError

COLUMNS = ("set-up", "clients", "requests/s", "of the bound", "bundle to it", "p50 ms", "p99 ms")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m loadtest.bench.markdown", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("file", type=Path, help="bench.json of a measurement")
    arguments = parser.parse_args()
    return exit_code(lambda: _print(arguments.file))


def markdown(content: Mapping[str, Any]) -> str:
    """What bench.json holds, as the machine in a line and a table for each kind of each model's texts."""
    parts = [f"{machine(content['environment'])}; {content['asked']['seconds']:g} s each, {_repeats(content)}.\n"]
    for model, entry in content["models"].items():
        for kind, figures in entry["texts"].items():
            parts.append(f"{title(model, kind, figures)}; {failures(figures)} wrong answers:\n")
            parts.append("\n".join(_lines(figures)) + "\n")
            parts += [f"Not valid: {fault}.\n" for fault in faults(figures)]
    return "\n".join(parts)


def _lines(figures: Mapping[str, Any]) -> Iterator[str]:
    yield _line(*COLUMNS)
    yield "|" + "---|" * len(COLUMNS)
    for row in rows(figures):
        yield _line(row.setup, row.clients, row.requests_per_second, row.share, row.ratio, row.p50, row.p99)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _repeats(content: Mapping[str, Any]) -> str:
    return f"{content['asked']['repeats']} repeats, measured {content['environment']['time']}"


def _print(path: Path) -> int:
    try:
        text = markdown(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise LoadTestError(f"{path}: {error.strerror}: measure first, with make bench") from error
    except (ValueError, KeyError, TypeError) as error:
        raise LoadTestError(
            f"{path} is no bench.json of this version ({error!r}): measure again, with make bench"
        ) from error
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
