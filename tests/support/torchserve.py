"""Hand batches to a service as TorchServe's worker does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ts.context import Context, RequestProcessor
from ts.metrics.metric_cache_yaml_impl import MetricsCacheYamlImpl

from handlers.batch import BatchService

METRICS_YAML = Path(__file__).parents[2] / "configs" / "serving" / "metrics.yaml"


def new_context(metrics_yaml: Path = METRICS_YAML) -> Context:
    metrics = MetricsCacheYamlImpl(str(metrics_yaml))
    metrics.initialize_cache()
    return Context("tiny", "", {}, 4, None, "0.12.0", metrics=metrics, model_yaml_config={})


def ask(service: BatchService, context: Context, *bodies: Any) -> list[tuple[int, Any]]:
    """Return the status and the parsed answer of each row."""
    context.request_processor = [RequestProcessor({}) for _ in bodies]
    texts = service.handle([{"body": body} for body in bodies], context)
    assert all(context.get_response_content_type(i) == "application/json" for i in range(len(bodies)))
    return [(context.get_response_status(i)[0], json.loads(text)) for i, text in enumerate(texts)]
