"""Measure served models side by side, in one run and with the same texts, or sweep over one thing.

    python -m loadtest.bench --models intent qa
    python -m loadtest.bench --models intent --lengths short mixed long
    python -m loadtest.bench --models qa --clients 1 64 --seconds 4 --texts dev-v1.1.json.gz
    python -m loadtest.bench --sweep workers --models intent
    python -m loadtest.bench --sweep contexts --models qa --values 500 2000 --seconds 20

Compared are the bundle's server in each profile, a plain handler with the same weights in eager fp32 that pads to a
fixed length and answers one request at a time, the bundle's archive with one worker that pads each batch to its longest
row (its model on one core, and on every core), and the upper bound: the model alone on every core, without a server.
The plain handler needs the weights in runs/<model>/export/hf and is left out without them. Texts are the archive's
golden requests together with others as long as people write (mixed), or short or long ones made of them. Each length
takes about 10 minutes a model.

A sweep measures requests/s, latencies and memory by the number of workers, clients or models served at once (copies of
the archive), by the tokens of a text or context as far as the model reads, or by the words of a context, which one
client sends to one worker.

The servers are started for the measurement; leave the machine alone meanwhile. Long contexts need more --seconds:
several whole batches have to be answered in them. The folder runs/reports/bench gets bench.json, bench.md and bench.png
after each model, or <model>-<sweep>.json and .png. Exit codes: 1 an answer was wrong, 2 there was no result, 3 the load
generator was busy for so long that metrics may be its own.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archives.errors import require
from archives.store import STORE
from loadtest.arguments import REPORTS, count, positive
from loadtest.errors import exit_code, verdict
from loadtest.report import write_json
from loadtest.samples import TEXTS, read_golden, read_texts

if TYPE_CHECKING:
    from loadtest.bench.measure import Timing

RUNS = Path(__file__).parents[2] / "runs"
LENGTHS = ("short", "mixed", "long")
SWEEPS = ("workers", "clients", "tokens", "models", "contexts")
# Options of the comparison with their defaults; a sweep has none of them.
COMPARISON = {
    "clients": [1, 64, 256],
    "profiles": ["latency", "throughput"],
    "lengths": ["mixed"],
    "texts": None,
    "runs": RUNS,
}


def main() -> int:
    arguments = _parse()
    return exit_code(lambda: _sweep(arguments) if arguments.sweep else _compare(arguments))


def _compare(arguments: argparse.Namespace) -> int:
    timing = _prepare(arguments)
    from loadtest.bench.environment import environment
    from loadtest.bench.measure import Options, compare
    from loadtest.bench.report import draw, failures, markdown, problems, table

    samples = {arguments.texts.name: read_texts(arguments.texts)} if arguments.texts else {}
    options = Options(
        arguments.store,
        arguments.runs,
        sorted(set(arguments.clients)),
        timing,
        arguments.lengths,
        samples,
        list(dict.fromkeys(arguments.profiles)),
    )
    out, models = arguments.out / "bench", dict[str, Any]()
    asked = {"clients": options.clients, **asdict(timing)}
    content = {"environment": environment(), "asked": asked, "models": models}
    for model in dict.fromkeys(arguments.models):
        models[model] = compare(model, options, _progress).metrics()
        write_json(out.with_suffix(".json"), content)
        out.with_suffix(".md").write_text(markdown(content), encoding="utf-8")
        draw(models, content["environment"], out.with_suffix(".png"))
    kinds = [(model, kind, metrics) for model, entry in models.items() for kind, metrics in entry["texts"].items()]
    _print(*(table(*one) for one in kinds))
    print(f"report: {out}.json, {out}.md, {out}.png")
    invalid = [f"{model}, {kind} texts, {reason}" for model, kind, metrics in kinds for reason in problems(metrics)]
    return verdict(invalid, sum(failures(metrics) for *_, metrics in kinds))


def _sweep(arguments: argparse.Namespace) -> int:
    timing = _prepare(arguments)
    from loadtest.bench.environment import environment
    from loadtest.bench.report import draw_sweep, sweep_problems, sweep_table
    from loadtest.bench.sweep import default_values, sweep

    name, codes = arguments.sweep, []
    values = arguments.values or default_values(name)
    for model in dict.fromkeys(arguments.models):
        out, rows = arguments.out / f"{model}-{name}", list[dict[str, Any]]()
        content = {"environment": environment(), "model": model, "sweep": name, "asked": asdict(timing), "rows": rows}
        for row in sweep(name, values, model, arguments.store, timing, _progress):
            rows.append(row)
            write_json(out.with_suffix(".json"), content)
        draw_sweep(content, out.with_suffix(".png"))
        _print(sweep_table(name, model, rows))
        print(f"report: {out}.json, {out}.png")
        codes.append(verdict(sweep_problems(name, rows), sum(row["failures"] for row in rows)))
    return max(codes)


def _prepare(arguments: argparse.Namespace) -> Timing:
    """Check what would end a measurement, before the first of them takes its time."""
    require("matplotlib", "psutil", "rich", "scipy", extra="loadtest")
    require("ts", extra="serve")
    from loadtest.bench.measure import Timing

    for model in arguments.models:
        read_golden(arguments.store / f"{model}.mar")
    arguments.out.mkdir(parents=True, exist_ok=True)
    return Timing(arguments.seconds, max(arguments.warm_up, arguments.seconds), arguments.repeats)


def _print(*tables: Any) -> None:
    from rich.console import Console

    # Tables are not to be cut where the output is no terminal.
    console = Console(width=None if sys.stdout.isatty() else 180, highlight=False)
    for table in tables:
        console.print(table)


def _progress(line: str) -> None:
    print(line, flush=True)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True, metavar="NAME")
    parser.add_argument("--seconds", type=positive, default=8, help="of each measurement (default: 8)")
    parser.add_argument(
        "--warm-up", type=float, default=15, metavar="SECONDS", help="before a server's first (default: 15)"
    )
    parser.add_argument("--repeats", type=count, default=3, help="of each measurement (default: 3)")
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--out", type=Path, default=REPORTS / "bench", help="default: runs/reports/bench")

    comparison = parser.add_argument_group("comparison of servers")
    comparison.add_argument("--clients", nargs="+", type=count, metavar="N", help="default: 1 64 256")
    comparison.add_argument("--profiles", nargs="*", help="beside the default one (default: latency throughput)")
    texts = comparison.add_mutually_exclusive_group()
    texts.add_argument("--lengths", nargs="+", choices=LENGTHS, help="lengths of texts (default: mixed)")
    texts.add_argument("--texts", type=Path, help=f"in their place: {TEXTS}")
    comparison.add_argument("--runs", type=Path, help="where the weights for the plain handler are (default: runs)")

    one = parser.add_argument_group("sweep, in place of the comparison")
    one.add_argument("--sweep", choices=SWEEPS)
    one.add_argument("--values", nargs="+", type=count, metavar="N", help="to measure (each sweep has defaults)")

    arguments = parser.parse_args()
    for name, default in COMPARISON.items():
        if arguments.sweep and getattr(arguments, name) is not None:
            parser.error(f"--{name} is for the comparison of servers: leave it out with --sweep, which has --values")
        if getattr(arguments, name) is None:
            setattr(arguments, name, default)
    if arguments.values and not arguments.sweep:
        parser.error("--values are those of a --sweep")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
