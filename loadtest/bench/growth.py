"""How the throughput and the p99 of a served model grow with workers, clients, text length and models served at once.

    python -m loadtest.bench.growth --model intent
    python -m loadtest.bench.growth --model qa --tokens 128 512 2048 --seconds 20 --repeats 2

One of them grows at a time; see sweeps.py for how the others stand. `tokens` are those of a text, as far as the model
reads, or of the context of a question. Models served at once are copies of the archive. With the options as they are it
takes about 12 minutes; leave the machine alone meanwhile. Writes growth.json, with the memory of all workers, after
each of them, and growth.png. Ends with 1 when an answer was wrong, with 3 when the load generator was busy for so long
that figures may be its own.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.arguments import REPORTS, count
from loadtest.bench.timing import add_timing, timing
from loadtest.command import exit_code, verdict
from loadtest.json_file import write_json
from loadtest.packages import require
from loadtest.samples import STORE, read_golden


def main() -> int:
    arguments = _parser().parse_args()
    return exit_code(lambda: _grow(arguments))


def up_to(cores: int) -> list[int]:
    """1, 2, 4, … and `cores`."""
    return sorted({min(2**power, cores) for power in range(cores.bit_length() + 1)})


def _grow(arguments: argparse.Namespace) -> int:
    require("matplotlib", "psutil", "rich", "yaml", "ts")
    from rich.console import Console

    from loadtest.bench.environment import environment
    from loadtest.bench.growth_report import draw, faults, table
    from loadtest.bench.sweeps import CLIENTS, Ranges, grow

    machine, asked_timing = environment(), timing(arguments)
    of_options = (arguments.workers or up_to(machine["cores"]), arguments.clients, arguments.tokens, arguments.copies)
    ranges = Ranges(*(sorted(set(numbers)) for numbers in of_options))
    read_golden(arguments.store / f"{arguments.model}.mar")  # before a folder is made for nothing
    folder = arguments.out or REPORTS / "growth" / arguments.model
    folder.mkdir(parents=True, exist_ok=True)
    asked = {**asdict(asked_timing), "clients": CLIENTS}
    content: dict[str, Any] = {"environment": machine, "model": arguments.model, "asked": asked}
    for found in grow(arguments.model, arguments.store, ranges, asked_timing, _progress):
        content |= found
        write_json(folder / "growth.json", content)
    draw(content, folder / "growth.png")
    growth = content["growth"]
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    for name, entries in growth.items():
        console.print(table(name, entries))
    print(f"report: {folder / 'growth.json'}, {folder / 'growth.png'}")
    return verdict(faults(growth), sum(entry["failures"] for entries in growth.values() for entry in entries))


def _progress(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    description = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench.growth", description=description)
    parser.add_argument("--model", required=True)
    numbers: dict[str, Any] = {"nargs": "+", "type": count, "metavar": "N"}
    parser.add_argument("--workers", **numbers, help="of the model (default: 1, 2, 4, … up to the cores)")
    parser.add_argument("--clients", **numbers, default=[1, 4, 16, 64, 256, 512])
    parser.add_argument("--tokens", **numbers, default=[8, 16, 32, 64, 128, 256, 512], help="of a text or context")
    parser.add_argument("--copies", **numbers, default=[1, 2, 3, 4], help="of the archive, served at once")
    add_timing(parser)
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--out", type=Path, help="default: runs/reports/growth/<model>")
    return parser


if __name__ == "__main__":
    sys.exit(main())
