"""`compare`: show quality on the same rows, size and speed of finished models in one table.

python -m lightning_modules compare --models intent student [--file rows.csv] [--label_column category]
python -m lightning_modules compare --models news microsoft/deberta-v3-base-news --file news.csv
"""

import argparse
from pathlib import Path

from archives.reading.options import ReadOptions
from lightning_modules.comparison.examples import examples_of_file, examples_of_run
from lightning_modules.comparison.measurements import comparison_rows
from lightning_modules.comparison.models import find_models
from lightning_modules.evaluation.comparison_report import print_table, write_comparison
from lightning_modules.skipping import why_skipped

DEFAULT_LENGTH = 128  # tokens that a hub's model reads, where no run sets a length


def compare(arguments: list[str]) -> None:
    """Run the command with its arguments, and write `comparison.json`, `.png` and `.html`.

    Raises:
        UserError: a model or the rows are missing, or do not belong together.
    """
    options = _parser().parse_args(arguments)
    names = [name for name in options.models if not _skipped(options.runs_dir / name)]
    if len(names) < len(options.models) and len(names) < 2:
        return
    models = find_models(names, options.runs_dir)
    if options.file:
        flags = "--text_column", "--label_column"
        columns = ReadOptions(options.text_column, options.label_column, flags=flags)
        examples = examples_of_file(options.file, columns, models)
    else:
        examples = examples_of_run(models)
    out = options.out or options.runs_dir / "comparison"
    lengths = [model.max_length for model in models if model.max_length is not None]
    max_length = options.max_length or max(lengths, default=DEFAULT_LENGTH)
    folders = {model.name: model.exported(out / "checkpoints", max_length) for model in models}
    quality = {name: [examples.quality_of(folder)] for name, folder in folders.items()}
    rows = comparison_rows(folders, quality, examples.requests)
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
    """Tell whether the latest run was skipped, and print why: what an earlier one left is not compared."""
    reason = why_skipped(run)
    if reason is not None:
        print(f"{run.name}: skipped: {reason}")
    return reason is not None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lightning_modules compare",
        description="Compare finished models of one task: quality on the same rows, size and speed.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--models", nargs="+", required=True, help="runs, exported folders, hub repositories, or folders in hub layout"
    )
    parser.add_argument("--file", type=Path, help="labelled rows, or questions [the test rows of the first run]")
    parser.add_argument("--text_column", default="text", help="column of the texts in the file [text]")
    parser.add_argument("--label_column", default="label", help="column of the labels in the file [label]")
    parser.add_argument("--runs_dir", type=Path, default=Path("runs"), help="folder of the runs [runs]")
    parser.add_argument("--out", type=Path, help="output folder [<runs_dir>/comparison]")
    parser.add_argument(
        "--max_length", type=int, help=f"tokens that a hub's model reads [the runs' longest, or {DEFAULT_LENGTH}]"
    )
    return parser
