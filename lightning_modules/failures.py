"""What ends a command though its settings are right: memory, disk and network, each told in one line."""

import errno
import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from shutil import disk_usage
from textwrap import shorten
from urllib.error import URLError

import datasets
import requests
import torch
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils.logging import set_verbosity_error
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.memory import is_oom_error

from lightning_modules.errors import UserError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Writers that are not Python's own give no number, or hide it.
FULL_WORDS = (
    "No space left on device",
    "Not enough disk space",
    "Disk quota exceeded",
    "File too large",
    "disk is full",
    "enforce fail at inline_container",
)
SCARCE = 10**9  # bytes
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
MEMORY_WORDS = ("MPS backend out of memory", "ALLOC_FAILED", "Failed to allocate memory")
NETWORK = (
    ConnectionError,
    socket.gaierror,
    URLError,
    requests.RequestException,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
)
NETWORK_PACKAGES = ("httpx", "httpx2", "httpcore", "urllib3")
# What Lightning raises as an error of its own, though a setting is wrong.
SETTING_WORDS = ("Early stopping conditioned on metric", "Checkpoint file not found")
KEPT = "Finished epochs are kept: fit goes on with --ckpt_path last, distil and tune with the same command"


def find_mendable(error: BaseException) -> str | None:
    """One line for what a person can mend: what, where, and what to do; None for an error of the program.

    The argument parser wraps what constructors raise, and libraries wrap what the system does, so all exceptions count
    that this one is or was raised from. A full disk or memory is told before what others made of it.
    """
    chain = list(_chain(error))
    for told in (_memory, _disk, _setting, _refused, _network):
        for cause in chain:
            if line := told(cause):
                return " ".join(line.split())
    return None


def quiet_libraries() -> None:
    """Leaves the telling to the command's one line: the hub repeats every attempt, TensorBoard's thread its stack.

    What fails in a thread is raised again in the main one, at the next use of the writer.
    """

    def told(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is None or find_mendable(arguments.exc_value) is None:
            threading.__excepthook__(arguments)

    threading.excepthook = told
    set_verbosity_error()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _memory(error: BaseException) -> str | None:
    full = isinstance(error, MemoryError | torch.OutOfMemoryError) or is_oom_error(error)
    if not full and not (isinstance(error, RuntimeError) and _says(error, MEMORY_WORDS)):
        return None
    return (
        f"out of memory: {_detail(error, 'the system has no more')}. Run fewer rows at a time (--data.batch_size, or "
        f"--auto_batch_size true) or shorter ones (--data.max_length). {KEPT}"
    )


def _disk(error: BaseException) -> str | None:
    full = isinstance(error, OSError) and error.errno in FULL
    if not full and (isinstance(error, UserError) or not _says(error, FULL_WORDS)):
        return None
    name = error.filename if isinstance(error, OSError) else None
    free = {place: disk_usage(place).free / 1e9 for place in _places(name)}
    told = ", ".join(f"{place} has {gigabytes:.2f} GB free" for place, gigabytes in free.items())
    return (
        f"the disk is full: {_detail(error, 'a file could not be written')}{f' ({told})' if told else ''}. Make room, "
        f"or write elsewhere (--runs_dir, HF_HOME, TMPDIR). {KEPT}"
    )


def _setting(error: BaseException) -> str | None:
    if isinstance(error, UserError | MisconfigurationException) or _says(error, SETTING_WORDS):
        return str(error)
    return None


def _refused(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno in REFUSED and error.filename:
        return f"{error.filename}: {error.strerror}. Correct who may write there, or give another folder"
    return None


def _network(error: BaseException) -> str | None:
    reached = isinstance(error, NETWORK) or type(error).__module__.split(".")[0] in NETWORK_PACKAGES
    if not reached or isinstance(error, BrokenPipeError):
        return None
    url = _url(error)
    return (
        f"the network failed{f' at {url}' if url else ''}: {_detail(error, type(error).__name__)}. Try again, or do "
        f"without the hub: local folders and files, --model.backbone=embedded. {KEPT}"
    )


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    return any(word in str(error) for word in words)


def _detail(error: BaseException, otherwise: str) -> str:
    return shorten(str(error).strip(), 300, placeholder=" …").rstrip(".") or otherwise


def _places(name: str | None) -> list[Path]:
    """The folder of the file that could not be written; where its name is not known, those that may be meant."""
    if name:
        path = Path(name).absolute()
        return [next(folder for folder in path.parents if folder.exists())]
    usual = [Path.cwd(), Path(datasets.config.HF_DATASETS_CACHE), Path(tempfile.gettempdir())]
    return [folder for folder in usual if folder.exists() and disk_usage(folder).free < SCARCE]


def _url(error: BaseException) -> str | None:
    try:
        return str(error.request.url)  # type: ignore[attr-defined]  # of those that have it
    except (AttributeError, RuntimeError):  # httpx raises the latter where there was none
        return None
