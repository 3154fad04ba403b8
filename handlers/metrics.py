"""TorchServe custom metrics, with the names and units of configs/serving/metrics.yaml.

Each emitted metric is one log line, which TorchServe's frontend reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNITS = {
    # Emitted once, by a worker that has loaded its model.
    "gauge": {
        "serving_fp32_fallback": "flag",
    },
    # The others once a batch.
    "histogram": {
        "handler_seconds": "seconds",
        "encode_seconds": "seconds",
        "run_seconds": "seconds",
        "decode_seconds": "seconds",
        "batch_fill": "ratio",
        "padding_ratio": "ratio",
        "batch_kilotokens": "kilotokens",
    },
    "counter": {
        "rows_total": "count",
        "tokens_total": "count",
        "padded_tokens_total": "count",
        "rejected_requests_total": "count",
    },
}


class BatchMetrics:
    """Emits through the metrics cache of a TorchServe context."""

    def __init__(self, cache: Any, model_name: str) -> None:
        # Imported here: the rest of the handler runs where TorchServe is not installed.
        from ts.metrics.metric_type_enum import MetricTypes

        # A server with a metrics.yaml of its own may not declare them.
        declared = set(cache.cache_keys())
        for kind, units in UNITS.items():
            for name, unit in units.items():
                if f"{kind}:{name}" not in declared:
                    cache.add_metric_to_cache(name, unit, ["ModelName", "Level"], MetricTypes(kind))
        self._metrics = {
            name: cache.get_metric(name, MetricTypes(kind)) for kind, units in UNITS.items() for name in units
        }
        self._dimensions = [model_name, "Model"]

    def emit(self, values: Mapping[str, float]) -> None:
        """Emits values by metric name. Counters that did not move are left out."""
        for name, value in values.items():
            if value or name not in UNITS["counter"]:
                self._metrics[name].add_or_update(round(value, 6), self._dimensions)
