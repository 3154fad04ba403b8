"""Answer the golden requests of an unpacked archive with its own packed handler, in a process of its own.

    python -I -S archives/replay.py FOLDER ANSWERS SITE_PACKAGES...

`archives/verify.py` runs it and compares the answers, so that an archive of an earlier version of the handlers is held
to today's rules. Without `site`, the only packages are those of the folder and of site-packages; an editable
installation of this repository is not importable. Writes `{"alone": [...], "batched": [...]}` to ANSWERS; ends with
exit code 1 and the reason on standard error where the handler does not load.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def main(folder: Path, answers: Path) -> None:
    """Load the handler, and ask it the golden requests one by one and all in one batch."""
    import yaml

    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8"))["model"]
    context = SimpleNamespace(
        system_properties={"model_dir": str(folder), "batch_size": 1, "gpu_id": None},
        model_name=manifest["modelName"],
        model_yaml_config=yaml.safe_load((folder / manifest["configFile"]).read_text(encoding="utf-8")),
        manifest={"model": manifest},
        metrics=None,
        set_response_content_type=lambda row, value: None,
        set_response_status=lambda code, phrase, row: None,
    )
    handler = load_handler(manifest["handler"])
    handler.initialize(context)  # it checks the archive's files, so they are read after it
    rows = [{"body": pair["request"]} for pair in json.loads((folder / "golden.json").read_text(encoding="utf-8"))]
    alone = [json.loads(handler.handle([row], context)[0]) for row in rows]
    batched = [json.loads(answer) for answer in handler.handle(rows, context)] if rows else []
    answers.write_text(json.dumps({"alone": alone, "batched": batched}), encoding="utf-8")


def load_handler(entry: str) -> Any:
    """Return an instance of the entry file's one class, chosen as TorchServe chooses it."""
    module = importlib.import_module(Path(entry).stem)
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__]
    if len(classes) != 1:
        sys.exit(f"{entry} defines {len(classes)} classes; TorchServe needs exactly one")
    return classes[0]()


if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1]]
    sys.path += sys.argv[3:]
    main(Path(sys.argv[1]), Path(sys.argv[2]))
