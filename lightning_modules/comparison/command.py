"""`compare`: quality on the same rows, size and speed of finished models, in one table.

python -m lightning_modules compare --models intent student [--file rows.csv] [--label_column category]
python -m lightning_modules compare --models news microsoft/deberta-v3-base-news --file news.csv
"""

import argparse
from pathlib import Path

from lightning_modules.comparison.examples import examples_of_file, examples_of_run
from lightning_modules.comparison.figures import comparison_rows
from lightning_modules.comparison.models import find_models
from lightning_modules.data.table_files import Columns
from lightning_modules.evaluation.comparison_report import print_table, write_comparison
from lightning_modules.skipping import why_skipped

MAX_LENGTH = 128


def compare(arguments: list[str]) -> None:
    """Runs the command with its arguments, and writes `comparison.json`, `.png` and `.html`.

    Raises:
        UserError: a model or the rows are missing, or do not belong together.
    """
    given = _parser().parse_args(arguments)
    names = [name for name in given.models if not _skipped(given.runs_dir / name)]
    if len(names) < len(given.models) and len(names) < 2:
        return
    models = find_models(names, given.runs_dir)
    if given.file:
        examples = examples_of_file(given.file, Columns(given.text_column, given.label_column, None), models)
    else:
        examples = examples_of_run(models)
    out = given.out or given.runs_dir / "comparison"
    lengths = [model.max_length for model in models if model.max_length is not None]
    longest = given.max_length or max(lengths, default=MAX_LENGTH)
    folders = {model.name: model.exported(out / "checkpoints", longest) for model in models}
    figures = {name: [examples.judged(folder)] for name, folder in folders.items()}
    rows = comparison_rows(folders, figures, examples.requests)
    write_comparison(
        out,
        "comparison",
        rows,
        gains={},
        details={
            "rows_of": examples.source,
            "test_rows": len(examples.requests),
            "folders": {name: str(folder) for name, folder in folders.items()},
        },
    )
    print(f"{len(examples.requests):,} rows: {examples.source}")
    print_table(rows)
    print(f"comparison: {out / 'comparison.html'}")


def _skipped(run: Path) -> bool:
    """Says so where the run's latest one was skipped: what an earlier one left is not compared."""
    why = why_skipped(run)
    if why is not None:
        print(f"{run.name}: skipped: {why}")
    return why is not None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_modules compare",
        description="Quality on the same rows, size and speed of finished models of one task.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--models", nargs="+", required=True, help="runs, exported folders, or classifiers of the hub or in its layout"
    )
    parser.add_argument("--file", type=Path, help="labelled rows, or questions [the test rows of the first run]")
    parser.add_argument("--text_column", default="text", help="of the file [text]")
    parser.add_argument("--label_column", default="label", help="of the file [label]")
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="where runs are [runs]")
    parser.add_argument("--out", type=Path, help="folder of the comparison [<runs_dir>/comparison]")
    parser.add_argument(
        "--max_length", type=int, help=f"tokens that a hub's model reads [the runs' longest, or {MAX_LENGTH}]"
    )
    return parser
