"""Writes a run's page and figures into its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from loadtest.generator import Run
from loadtest.json_file import write_json
from loadtest.plan import Job
from loadtest.report.pictures import pictures
from loadtest.timeline import Part, write_csv


def write(out: Path, job: Job, run: Run, parts: Sequence[Part], result: Mapping[str, Any]) -> None:
    """report.html, summary.json (`result`), timeline.csv and requests.csv.gz."""
    write_json(out / "summary.json", result)
    write_csv(parts, out / "timeline.csv")
    run.recording.write_csv(out / "requests.csv.gz", job.models)
    drawn = list(pictures(job, run.recording, parts))
    write_page(out / "report.html", "run.html.j2", result=result, pictures=drawn, url=job.target.url)


def write_page(path: Path, template: str, **content: Any) -> None:
    """Renders a template of this folder; the page needs no other file."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    path.write_text(environment.get_template(template).render(**content), encoding="utf-8")


def _figure(value: Any) -> str:
    """A number as people read it."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
