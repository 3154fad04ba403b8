"""Writes the page and the metrics of a load test into its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loadtest.generator import Run
from loadtest.report import write_json
from loadtest.report.pictures import pictures
from loadtest.timeline import Part, write_csv
from loadtest.workload import Workload

TEMPLATES = Path(__file__).parent


def write(out: Path, workload: Workload, run: Run, parts: Sequence[Part], result: Mapping[str, Any]) -> None:
    """Write report.html, summary.json (`result`), timeline.csv and requests.csv.gz."""
    write_json(out / "summary.json", result)
    write_csv(parts, out / "timeline.csv")
    run.recording.write_csv(out / "requests.csv.gz", workload.models)
    drawn = list(pictures(workload, run.recording, parts))
    write_page(out / "report.html", TEMPLATES / "run.html.j2", result=result, pictures=drawn, url=workload.target.url)


def write_page(path: Path, template: Path, **content: Any) -> None:
    """Render a template that extends page.html.j2; the page needs no other file."""
    environment = Environment(
        loader=FileSystemLoader([template.parent, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["readable"] = _readable
    path.write_text(environment.get_template(template.name).render(**content), encoding="utf-8")


def _readable(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
