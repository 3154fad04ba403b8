"""How the time and memory of an answer grow with the length of its context, through a served archive.

    python -m loadtest.bench.contexts --model qa
    python -m loadtest.bench.contexts --model qa --words 250 1000 4000 --seconds 5

One client asks one worker. The shortest contexts come first, and warm it up: what memory they take could not be seen
after longer ones. They are made of the archive's golden contexts, one after the other. The server is started for the
measurement. Writes contexts.json, and ends with 1 when an answer was wrong.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from loadtest.arguments import REPORTS, count
from loadtest.bench.texts import words_from
from loadtest.bench.timing import Timing, add_seconds, timing
from loadtest.command import exit_code
from loadtest.errors import LoadTestError
from loadtest.json_file import write_json
from loadtest.packages import require
from loadtest.samples import STORE, Sample, read_golden

# Different questions a length, each on a context that starts elsewhere.
QUESTIONS = 8


@dataclass(frozen=True)
class Growth:
    """Medians of one length: milliseconds a request, its rows and tokens for the model; the worker's memory in MiB."""

    words: int
    rows: float
    tokens: float
    p50: float
    milliseconds_a_row: float
    worker_rss: float
    requests: int
    failures: int


def main() -> int:
    arguments = _parser().parse_args()
    return exit_code(lambda: _report(arguments))


def requests_of(golden: Sequence[Sample], words: int) -> list[Sample]:
    """`QUESTIONS` of the golden questions, each on a context of so many words.

    Raises:
        LoadTestError: the golden requests have no contexts.
    """
    if not all("context" in sample.request for sample in golden):
        raise LoadTestError("the model's golden requests have no contexts: only question answering is measured")
    contexts = [sample.request["context"] for sample in golden]
    questions = [sample.request["question"] for sample in golden[:QUESTIONS]]
    return [
        Sample({"question": question, "context": " ".join(islice(words_from(contexts, i), words))}, None)
        for i, question in enumerate(questions)
    ]


def measure_growth(model: str, store: Path, lengths: Sequence[int], asked_timing: Timing) -> list[Growth]:
    """One entry a length, in rising order.

    Raises:
        LoadTestError: no archive, or the server did not start or failed.
    """
    from loadtest.bench.archive import unpack
    from loadtest.bench.measure import in_own_process, rows_of, warm_up
    from loadtest.bench.server import serving
    from loadtest.plan import Plan

    growth = []
    golden = read_golden(store / f"{model}.mar")
    by_words = {words: requests_of(golden, words) for words in sorted(lengths)}
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary, "model")
        unpack(store / f"{model}.mar", folder)
        with serving(store, [model], Path(temporary, "server"), workers="1") as server:
            plans = {words: Plan(server.target, model, samples, None) for words, samples in by_words.items()}
            warm_up([plans[min(plans)]], 1, asked_timing.warm_up)
            for words, samples in by_words.items():
                rows = rows_of(folder, samples)
                found = in_own_process([plans[words]], 1, asked_timing.seconds)
                mean = len(rows) / len(samples)
                growth.append(
                    Growth(
                        words=words,
                        rows=round(mean, 2),
                        tokens=round(sum(map(len, rows)) / len(samples), 1),
                        p50=found.p50,
                        milliseconds_a_row=round(found.p50 / mean, 2),
                        worker_rss=server.worker_memory()["rss"],
                        requests=found.requests,
                        failures=found.failures,
                    )
                )
    return growth


def _report(arguments: argparse.Namespace) -> int:
    require("psutil", "rich", "yaml", "ts")
    from rich.console import Console
    from rich.table import Table

    from loadtest.bench.environment import environment

    machine = environment()
    arguments.out.mkdir(parents=True, exist_ok=True)
    growth = measure_growth(arguments.model, arguments.store, arguments.words, timing(arguments))
    path = arguments.out / "contexts.json"
    content = {"environment": machine, "model": arguments.model, "contexts": [asdict(one) for one in growth]}
    write_json(path, content)
    grid = Table(title=f"{arguments.model}: one client, one worker", title_justify="left")
    for column in ("words", "windows", "p50 ms", "ms a window", "worker MiB", "wrong"):
        grid.add_column(column, justify="right")
    for one in growth:
        numbers = f"{one.rows:.1f}", f"{one.p50:.1f}", f"{one.milliseconds_a_row:.1f}", f"{one.worker_rss:.0f}"
        grid.add_row(str(one.words), *numbers, str(one.failures))
    Console(highlight=False).print(grid)
    print(f"report: {path}")
    return 1 if any(one.failures for one in growth) else 0


def _parser() -> argparse.ArgumentParser:
    description = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(prog="python -m loadtest.bench.contexts", description=description)
    parser.add_argument("--model", required=True)
    parser.add_argument("--words", nargs="+", type=count, default=[250, 500, 1000, 2000], metavar="N")
    add_seconds(parser)
    parser.set_defaults(repeats=1)
    parser.add_argument("--store", type=Path, default=STORE)
    parser.add_argument("--out", type=Path, default=REPORTS / "bench")
    return parser


if __name__ == "__main__":
    sys.exit(main())
