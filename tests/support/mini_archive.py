"""Write a real archive in a few lines: its handler returns each request's text, so a server starts in seconds."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

CONFIG = "batchSize: 8\nmaxBatchDelay: 1\n"
ECHO = """
import json


class Echo:
    def initialize(self, context):
        self.initialized = True

    def handle(self, rows, context):
        return [{"label": self._request(row)["text"], "score": 1.0} for row in rows]

    def _request(self, row):
        body = row.get("body") or row.get("data")
        return body if isinstance(body, dict) else json.loads(body)
"""


def write_archive(
    store: Path, name: str, *, handler: str = ECHO, version: str = "1.0", label: str = "hello", config: str = CONFIG
) -> Path:
    """Write `<name>.mar`; `label` is the answer expected to its one golden request, the text `hello`."""
    store.mkdir(parents=True, exist_ok=True)
    manifest = {
        "createdOn": "01/01/2024 00:00:00",
        "runtime": "python",
        "model": {
            "modelName": name,
            "modelVersion": version,
            "handler": "handler.py",
            "configFile": "model-config.yaml",
        },
        "archiverVersion": "0.12.0",
    }
    golden = [{"request": {"text": "hello"}, "response": {"label": label, "score": 1.0}}]
    archive = store / f"{name}.mar"
    with zipfile.ZipFile(archive, "w") as mar:
        mar.writestr("MAR-INF/MANIFEST.json", json.dumps(manifest))
        mar.writestr("handler.py", handler)
        mar.writestr("golden.json", json.dumps(golden))
        mar.writestr("model-config.yaml", config)
    return archive
