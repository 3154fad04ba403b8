"""The whole way on a tiny backbone: a user's CSV file, training, archive, server, answer."""

import json
import subprocess
import sys
from pathlib import Path

from archives.build import build_archive
from archives.serving import record
from tests.support.served import archives, serve

WORDS = {"weather": ["rain", "sun", "wind"], "food": ["bread", "soup", "rice"]}


def test_a_users_file_becomes_a_served_model(tmp_path: Path, tiny_backbone: Path, servers: Path) -> None:
    rows = [
        f"{first} and {second} {i},{label}"
        for label, words in WORDS.items()
        for first in words
        for second in words
        for i in range(10)
    ]
    (tmp_path / "mine.csv").write_text("\n".join(["question,topic", *rows]))
    trained = subprocess.run(
        [
            *(sys.executable, "-m", "lightning_modules", "fit", "--config=configs/intent.yaml", "--name=mine"),
            *(f"--runs_dir={tmp_path}", f"--model.backbone={tiny_backbone}", "--model.learning_rate=0.01"),
            *(f"--data.train_file={tmp_path / 'mine.csv'}", "--data.text_column=question"),
            *(
                "--data.label_column=topic",
                "--data.max_length=32",
                "--data.min_steps_per_epoch=1",
                "--trainer.max_epochs=4",
                "--trainer.enable_progress_bar=false",
            ),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert trained.returncode == 0, trained.stdout + trained.stderr
    build_archive("mine", tmp_path, tmp_path / "store")
    server, _ = serve(tmp_path / "store", servers)
    where = ("--servers", servers, "--port", str(server.port))
    answer = archives("predict", *where, "--model", "mine", "--text", "soup and rice")
    assert json.loads(answer.stdout)["label"] == "food", answer.stdout + answer.stderr
    assert archives("stop", *where).returncode == 0
    assert server.port not in {entry.port for entry in record.recorded(servers)}
