"""Show that an archive works by itself: unpack it and replay its golden requests in a clean process.

python -m archives verify intent
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from archives.errors import ArchiveError
from handlers.golden import golden_mismatch

REPLAY = Path(__file__).parent / "replay.py"
TIMEOUT_SECONDS = 300


def verify_archive(mar: Path) -> None:
    """Replay every golden request with the packed code and model, and return if each gets its answer.

    The answers are compared by the rules of this version, so that an archive with older handlers can pass too.

    Raises:
        ArchiveError: the file is no archive, a packed file is damaged, the handler does not load, or an answer differs.
    """
    again = f"build it again with make archive NAME={mar.stem}"
    if not mar.is_file():
        raise ArchiveError(f"no archive {mar}: build it with make archive NAME={mar.stem}")
    with tempfile.TemporaryDirectory(prefix="verify-") as temporary:
        folder = Path(temporary, "model").resolve()
        try:
            with zipfile.ZipFile(mar) as archive:
                # Python would run packed bytecode instead of the source, and `check_integrity` skips bytecode folders.
                if bytecode := [name for name in archive.namelist() if "__pycache__" in Path(name).parts]:
                    raise ArchiveError(f"{mar} holds {bytecode[0]}: {again}")
                archive.extractall(folder)
        except zipfile.BadZipFile as error:
            raise ArchiveError(f"{mar} is damaged ({error}): {again}") from None
        answers = Path(temporary, "answers.json")
        warnings = _replay(mar, folder, answers)
        _compare(mar, folder / "golden.json", answers)
    for warning in warnings:
        print(f"{mar.name}: {warning}", file=sys.stderr)


def _replay(mar: Path, folder: Path, answers: Path) -> list[str]:
    """Run the packed handler in a process of its own and return the warnings it logged."""
    packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    # Isolated, and without site: nothing from PYTHONPATH, the working folder or this repository can be imported.
    command = [sys.executable, "-I", "-S", "-B", str(REPLAY), str(folder), str(answers), *packages]
    try:
        result = subprocess.run(
            command, cwd=folder.parent, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ArchiveError(f"{mar.name}: the golden requests took more than {TIMEOUT_SECONDS} seconds") from None
    if result.returncode:
        reason = result.stderr.strip().splitlines() or [f"the process ended with {result.returncode}"]
        raise ArchiveError(f"{mar.name}: {reason[-1]}")
    return [line for line in result.stderr.splitlines() if line.startswith("WARNING: ")]


def _compare(mar: Path, golden: Path, answers: Path) -> None:
    """Raise ArchiveError for the first answer that differs from the archive's golden one."""
    pairs = json.loads(golden.read_text(encoding="utf-8"))
    if not pairs:
        raise ArchiveError(f"{mar.name}: golden.json holds no request")
    replayed = json.loads(answers.read_text(encoding="utf-8"))
    for form, where in (("alone", ""), ("batched", ", in one batch with all others")):
        for i, (pair, answer) in enumerate(zip(pairs, replayed[form], strict=True)):
            if problem := golden_mismatch(answer, pair):
                raise ArchiveError(f"{mar.name}: golden.json[{i}]{where}: {problem}")
