"""Measures served models side by side, in one run and with the same texts.

    python -m loadtest.bench --models intent qa
    python -m loadtest.bench --models intent --lengths short mixed long
    python -m loadtest.bench --models qa --clients 1 64 --seconds 4 --texts dev-v1.1.json.gz

Compared are the bundle's server in each profile, a plain handler with the same weights in eager fp32 that pads to a
fixed length and answers one request at a time, the bundle's archive with one worker that pads each batch to its longest
row (its model on one core, and on every core), and the bound: the model alone on every core, without a server. The
plain handler needs the weights in runs/<model>/export/hf and is left out without them.

Texts are the archive's golden requests together with others as long as people write (mixed), or short or long ones made
of them; each length takes about 10 minutes a model with the other options as they are. The servers are started for the
measurement; leave the machine alone meanwhile. Long contexts need more --seconds: several whole batches have to be
answered in them. Writes bench.json, bench.md (see markdown.py) and bench.png after each model, and ends with 1 when an
answer was wrong, with 3 when the load generator was busy for so long that figures may be its own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from loadtest.arguments import REPORTS, count
from loadtest.bench.texts import NAMES
from loadtest.bench.timing import add_timing, timing
from loadtest.command import exit_code, verdict
from loadtest.json_file import write_json
from loadtest.packages import require
from loadtest.samples import STORE, TEXTS, read_golden, read_texts

RUNS = Path(__file__).parents[2] / "runs"


def main() -> int:
    arguments = _parser().parse_args()
    return exit_code(lambda: _bench(arguments))


def _bench(arguments: argparse.Namespace) -> int:
    require("matplotlib", "psutil", "rich", "yaml", "ts")
    from loadtest.bench.environment import environment
    from loadtest.bench.figures import figures
    from loadtest.bench.measure import Options, compare

    asked_timing, out = timing(arguments), arguments.out / "bench"
    samples = {arguments.texts.name: read_texts(arguments.texts)} if arguments.texts else {}
    options = Options(
        arguments.store,
        arguments.runs,
        sorted(set(arguments.clients)),
        asked_timing,
        arguments.lengths,
        samples,
        list(dict.fromkeys(arguments.profiles)),
    )
    # Known before the first is measured, which takes long.
    for model in arguments.models:
        read_golden(options.store / f"{model}.mar")
    arguments.out.mkdir(parents=True, exist_ok=True)
    asked = {"clients": options.clients, **asdict(asked_timing)}
    content: dict[str, Any] = {"environment": environment(), "asked": asked, "models": {}}
    for model in dict.fromkeys(arguments.models):
        content["models"][model] = figures(compare(model, options, _progress))
        _write(content, out)
    return _tell(content["models"], out)


def _write(content: Mapping[str, Any], out: Path) -> None:
    from loadtest.bench.markdown import markdown
    from loadtest.bench.report import draw

    write_json(out.with_suffix(".json"), content)
    out.with_suffix(".md").write_text(markdown(content), encoding="utf-8")
    draw(content["models"], content["environment"], out.with_suffix(".png"))


def _tell(models: Mapping[str, Any], out: Path) -> int:
    from rich.console import Console

    from loadtest.bench.report import table
    from loadtest.bench.rows import failures, faults

    # Tables are not to be cut where the output is no terminal.
    console = Console(width=None if sys.stdout.isatty() else 180, highlight=False)
    kinds = [(model, kind, of_kind) for model, entry in models.items() for kind, of_kind in entry["texts"].items()]
    for model, kind, of_kind in kinds:
        console.print(table(model, kind, of_kind))
    print(f"report: {out}.json, {out}.md, {out}.png")
    found = [f"{model}, {kind} texts, {fault}" for model, kind, of_kind in kinds for fault in faults(of_kind)]
    return verdict(found, sum(failures(of_kind) for *_, of_kind in kinds))


def _progress(line: str) -> None:
    print(line, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", nargs="+", required=True, metavar="NAME")
    parser.add_argument("--clients", nargs="+", type=count, default=[1, 64, 256], metavar="N")
    add_timing(parser)
    parser.add_argument(
        "--profiles", nargs="*", default=["latency", "throughput"], help="beside the default one (default: %(default)s)"
    )
    texts = parser.add_mutually_exclusive_group()
    texts.add_argument("--lengths", nargs="+", choices=NAMES, default=["mixed"], help="of texts (default: mixed)")
    texts.add_argument("--texts", type=Path, help=f"in their place: {TEXTS}")
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--runs", type=Path, default=RUNS, help="where the weights for the plain handler are")
    parser.add_argument("--out", type=Path, default=REPORTS / "bench")
    return parser


if __name__ == "__main__":
    sys.exit(main())
