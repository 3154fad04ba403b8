"""Explain in one line the failures that are no bug: memory, disk, permissions, network and settings."""

import errno
import os
import socket
import tempfile
import threading
from argparse import ArgumentError
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
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS}
# Messages of writers whose errors carry no errno: safetensors, torch, datasets and SQLite.
FULL_WORDS = (*map(os.strerror, FULL), "enforce fail at inline_container", "Not enough disk space", "disk is full")
MEMORY_WORDS = ("MPS backend out of memory", "ALLOC_FAILED", "Failed to allocate memory")  # in RuntimeErrors
SETTINGS = (UserError, MisconfigurationException, ArgumentError)
NETWORK = (ConnectionError, socket.gaierror, URLError, requests.RequestException)
HUB = (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled)
# The hub's HTTP client has changed from version to version; it has been one of these.
NETWORK_PACKAGES = ("httpx", "httpx2", "httpcore", "urllib3")
SCARCE = 10**9  # bytes of free space, below which a usual folder is listed
RESUME = "Finished epochs are saved: fit goes on with --ckpt_path last, distil and tune with the same command"


def find_mendable(error: BaseException) -> str | None:
    """Return one line for an error that the user can fix: what, where, and what to do. Return None for a bug.

    The argument parser wraps the errors of constructors, and libraries wrap those of the system, so the whole chain of
    causes is searched. A full disk or memory takes precedence over the errors that it led to.
    """
    chain = list(_chain(error))
    for explain in (_memory, _disk, _setting, _refused, _network):
        for cause in chain:
            if line := explain(cause):
                return " ".join(line.split())
    return None


def quiet_libraries() -> None:
    """Silence what repeats the command's one line: the hub's log of attempts, and stack traces of TensorBoard's thread.

    An error in that thread is raised again in the main thread, at the next use of the writer.
    """

    def hook(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value is None or find_mendable(arguments.exc_value) is None:
            threading.__excepthook__(arguments)

    threading.excepthook = hook
    set_verbosity_error()


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _memory(error: BaseException) -> str | None:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError) or is_oom_error(error)
    if not known and not (isinstance(error, RuntimeError) and _says(error, MEMORY_WORDS)):
        return None
    return (
        f"out of memory: {_detail(error, 'the system has no more')}. Run fewer rows at a time (--data.batch_size, or "
        f"--auto_batch_size true) or shorter ones (--data.max_length). {RESUME}"
    )


def _disk(error: BaseException) -> str | None:
    known = isinstance(error, OSError) and error.errno in FULL
    if not known and (isinstance(error, UserError) or not _says(error, FULL_WORDS)):
        return None
    free = ", ".join(
        f"{place} has {disk_usage(place).free / 1e9:.2f} GB free"
        for place in _places(error.filename if isinstance(error, OSError) else None)
    )
    return (
        f"the disk is full: {_detail(error, 'a file could not be written')}{f' ({free})' if free else ''}. Make room, "
        f"or write elsewhere (--runs_dir, HF_HOME, TMPDIR). {RESUME}"
    )


def _setting(error: BaseException) -> str | None:
    return str(error) if isinstance(error, SETTINGS) else None


def _refused(error: BaseException) -> str | None:
    if isinstance(error, OSError) and error.errno in REFUSED and error.filename:
        return f"{error.filename}: {error.strerror}. Change the permissions, or give another folder"
    return None


def _network(error: BaseException) -> str | None:
    known = isinstance(error, NETWORK + HUB) or type(error).__module__.split(".")[0] in NETWORK_PACKAGES
    if not known or isinstance(error, BrokenPipeError):
        return None
    try:
        place = f" at {error.request.url}"  # type: ignore[attr-defined]  # some have no request
    except (AttributeError, RuntimeError):  # httpx raises RuntimeError if there was no request
        place = ""
    return (
        f"the network failed{place}: {_detail(error, type(error).__name__)}. Try again, or do without the hub: "
        f"local folders and files, --model.backbone=embedded. {RESUME}"
    )


def _says(error: BaseException, words: tuple[str, ...]) -> bool:
    return any(word in str(error) for word in words)


def _detail(error: BaseException, otherwise: str) -> str:
    return shorten(str(error).strip(), 300, placeholder=" …").rstrip(".") or otherwise


def _places(name: str | None) -> list[Path]:
    """Return the folder of the file that could not be written, or the usual folders with little free space."""
    if name:
        return [next(folder for folder in Path(name).absolute().parents if folder.exists())]
    usual = [Path.cwd(), Path(datasets.config.HF_DATASETS_CACHE), Path(tempfile.gettempdir())]
    return [folder for folder in usual if folder.exists() and disk_usage(folder).free < SCARCE]
