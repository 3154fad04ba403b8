"""Run by archives/verify.py in a process of its own: an unpacked archive's handler answers its golden requests.

    python -I -S archives/replay.py FOLDER SITE_PACKAGES...

Without `site`, the only packages are those of the folder and of site-packages; an editable installation of this
repository is not found. Exit code 1 and the reason on standard error when an answer does not agree.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any


def main(folder: Path) -> None:
    """Loads the handler, replays the golden requests one by one and all in one batch; exits at the first difference."""
    import yaml

    manifest = json.loads((folder / "MAR-INF" / "MANIFEST.json").read_text(encoding="utf-8"))["model"]
    config = yaml.safe_load((folder / manifest["configFile"]).read_text(encoding="utf-8"))
    context = SimpleNamespace(
        system_properties={"model_dir": str(folder), "batch_size": 1, "gpu_id": None},
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
    # Only now: the handler has checked the archive's files.
    from handlers.golden import golden_fault

    rows = [{"body": pair["request"]} for pair in golden]
    alone = [handler.handle([row], context)[0] for row in rows]
    for answers, where in ((alone, ""), (handler.handle(rows, context), ", in one batch with all others")):
        for i, (pair, answer) in enumerate(zip(golden, answers, strict=True)):
            if found := golden_fault(pair, json.loads(answer)):
                sys.exit(f"golden.json[{i}]{where}: {found}")


def load_handler(entry: str) -> Any:
    """An instance of the entry file's one class, found as TorchServe finds it."""
    module = importlib.import_module(Path(entry).stem)
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__]
    if len(classes) != 1:
        sys.exit(f"{entry} defines {len(classes)} classes; TorchServe needs exactly one")
    return classes[0]()


if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1]]
    sys.path += sys.argv[2:]
    main(Path(sys.argv[1]))
