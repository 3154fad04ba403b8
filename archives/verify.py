"""Shows that an archive works by itself: unpacks it and replays its golden requests in a clean process.

python -m archives verify intent
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from archives.errors import ArchiveError

REPLAY = Path(__file__).parent / "replay.py"
TIMEOUT_SECONDS = 300


def verify_archive(mar: Path) -> None:
    """Returns when every golden request got its answer from the packed code and model.

    Raises:
        ArchiveError: the file is no archive, a packed file is damaged, the handler does not load, or an answer differs.
    """
    if not mar.is_file():
        raise ArchiveError(f"no archive {mar}: build it with make archive NAME={mar.stem}")
    with tempfile.TemporaryDirectory(prefix="verify-") as temporary:
        folder = Path(temporary, "model").resolve()
        try:
            with zipfile.ZipFile(mar) as archive:
                _refuse_bytecode(archive, mar)
                archive.extractall(folder)
        except zipfile.BadZipFile as error:
            raise ArchiveError(
                f"{mar} is damaged ({error}): build it again with make archive NAME={mar.stem}"
            ) from None
        packages = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        # Isolated and without site: nothing of PYTHONPATH, the working folder or this repository can be imported.
        command = [sys.executable, "-I", "-S", "-B", str(REPLAY), str(folder), *packages]
        try:
            result = subprocess.run(
                command, cwd=temporary, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            raise ArchiveError(f"{mar.name}: the golden requests took more than {TIMEOUT_SECONDS} seconds") from None
    if result.returncode:
        reason = result.stderr.strip().splitlines() or [f"the process ended with {result.returncode}"]
        raise ArchiveError(f"{mar.name}: {reason[-1]}")
    for line in result.stderr.splitlines():
        if line.startswith("WARNING: "):
            print(f"{mar.name}: {line}", file=sys.stderr)


def _refuse_bytecode(archive: zipfile.ZipFile, mar: Path) -> None:
    """Python runs bytecode in place of the code beside it, and writes its own there: `check_integrity` skips it."""
    found = next((name for name in archive.namelist() if "__pycache__" in Path(name).parts), None)
    if found:
        raise ArchiveError(f"{mar} holds {found}: build it again with make archive NAME={mar.stem}")
