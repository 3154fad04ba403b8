"""Run by archives/verify.py in a process of its own: an unpacked archive's handler answers its golden requests.

    python -I -S archives/replay.py FOLDER SITE_PACKAGES...

Without `site`, the only packages are those of the folder and of site-packages; an editable installation of this
repository is not found. Exit code 1 and the reason on standard error when an answer differs.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Scores may differ by this much: another processor rounds INT8 products differently.
TOLERANCE = 1e-3


def main(folder: Path) -> None:
    """Loads the handler, replays the golden requests one by one, and exits with the first difference."""
    import yaml

    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8"))["model"]
    config = yaml.safe_load((folder / manifest["configFile"]).read_text(encoding="utf-8"))
    context = SimpleNamespace(
        system_properties={"model_dir": str(folder), "batch_size": config["batchSize"], "gpu_id": None},
        model_name=manifest["modelName"],
        model_yaml_config=config,
        manifest={"model": manifest},
        metrics=None,
        set_response_content_type=lambda row, value: None,
        set_response_status=lambda code, phrase, row: None,
    )
    handler = load_handler(manifest["handler"])
    handler.initialize(context)
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    if not golden:
        sys.exit("golden.json holds no request")
    # One by one, as they were made: the range of dynamic INT8 depends on the whole batch.
    for i, pair in enumerate(golden):
        [answer] = handler.handle([{"body": pair["request"]}], context)
        found = difference(pair["response"], json.loads(answer), f"golden.json[{i}]")
        if found:
            sys.exit(found)


def load_handler(entry: str) -> Any:
    """An instance of the entry file's one class, found as TorchServe finds it."""
    module = importlib.import_module(Path(entry).stem)
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__]
    if len(classes) != 1:
        sys.exit(f"{entry} defines {len(classes)} classes; TorchServe needs exactly one")
    return classes[0]()


def difference(expected: Any, actual: Any, at: str) -> str | None:
    """The first place where two JSON values differ, numbers by more than `TOLERANCE`; None where they agree."""
    if isinstance(expected, float) and isinstance(actual, float):
        return None if abs(expected - actual) <= TOLERANCE else f"{at}: expected {expected}, answered {actual}"
    if isinstance(expected, dict) and isinstance(actual, dict) and expected.keys() == actual.keys():
        pairs = [(expected[key], actual[key], f"{at}.{key}") for key in expected]
    elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = [(left, right, f"{at}[{i}]") for i, (left, right) in enumerate(zip(expected, actual, strict=True))]
    else:
        return None if expected == actual else f"{at}: expected {expected}, answered {actual}"
    return next((found for pair in pairs if (found := difference(*pair))), None)


if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1]]
    sys.path += sys.argv[2:]
    main(Path(sys.argv[1]))
