"""Emit TorchServe custom metrics, with the names and units of configs/serving/metrics.yaml.

TorchServe's frontend reads them from a worker's standard output, a line each.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Mapping

logger = logging.getLogger(__name__)
# Units of each metric by its kind.
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
        "rows_total": "Count",
        "tokens_total": "Count",
        "padded_tokens_total": "Count",
        "rejected_requests_total": "Count",
    },
}


class BatchMetrics:
    """Emits the lines of a batch in one piece, where TorchServe's own metrics cache would write each by itself.

    The form of a line is ts/metrics/caching_metric.py's of TorchServe 0.12.0.
    """

    def __init__(self, model_name: str) -> None:
        end = f"#ModelName:{model_name},Level:Model|#type:{{}}|#hostname:{socket.gethostname()}"
        self._forms = {
            name: (f"[METRICS]{name}.{unit}:", f"|{end.format(kind.upper())}")
            for kind, units in UNITS.items()
            for name, unit in units.items()
        }

    def emit(self, values: Mapping[str, float]) -> None:
        """Emit values by metric name. Counters that did not move are left out."""
        now = int(time.time())
        lines = []
        for name, value in values.items():
            if value or name not in UNITS["counter"]:
                start, end = self._forms[name]
                lines.append(f"{start}{round(value, 6)}{end},{now}")
        logger.info("\n".join(lines))
