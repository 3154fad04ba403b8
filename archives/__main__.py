"""Archives and their server, from the command line. `python -m archives --help` lists the commands.

python -m archives build intent
python -m archives serve --models intent
python -m archives predict --model intent --text "translate this into French"
python -m archives predict --model qa --question "Who wrote it?" --context "The letter was written by Ada."
python -m archives stop
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from archives import output, store
from archives.errors import ArchiveError, ServerError
from archives.serving import record
from archives.serving.arguments import add_arguments, add_drain

if TYPE_CHECKING:
    from archives.client import Client

RUNS = Path("runs")


def main() -> int:
    arguments = _parser().parse_args()
    try:
        arguments.command(arguments)
        sys.stdout.flush()
    except (ArchiveError, ServerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        output.drop()
        if arguments.command is _logs:  # of `logs | head`
            return 0
        print("error: nobody reads the output any more", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m archives", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    build = commands.add_parser("build", help="pack runs/<NAME>/export into the store and verify it")
    build.add_argument("names", nargs="*", metavar="NAME", help="default: every trained model")
    build.set_defaults(command=_build)

    verify = commands.add_parser("verify", help="load a built archive as a worker does and ask its golden requests")
    verify.add_argument("name")
    verify.set_defaults(command=_verify)

    serve = commands.add_parser("serve", help="start TorchServe; returns when every model has answered")
    add_arguments(serve)
    serve.set_defaults(command=_serve)

    stop = commands.add_parser("stop", help="stop a running server after its requests in flight")
    add_drain(stop)
    stop.set_defaults(command=_stop)

    status = commands.add_parser("status", help="list the running servers")
    status.set_defaults(command=_status)

    logs = commands.add_parser("logs", help="show the logs of a running server, or of its last run")
    logs.add_argument("-n", "--lines", type=int, default=20, help="of each file")
    logs.add_argument("-f", "--follow", action="store_true")
    logs.set_defaults(command=_logs)

    token = commands.add_parser("token", help="print the header Authorization of a running server")
    token.add_argument("--kind", choices=["inference", "management"], default="inference")
    token.set_defaults(command=_token)

    predict = commands.add_parser("predict", help="one prediction by a served model, as JSON")
    predict.add_argument("--model", required=True)
    given = predict.add_mutually_exclusive_group(required=True)
    given.add_argument("--text")
    given.add_argument("--context", help="what answers the --question")
    given.add_argument("--file", type=Path, help="a text file, sent as one text, or as the context of the --question")
    given.add_argument("--json", help='a whole request, e.g. \'{"text": "...", "top_k": 1}\'')
    predict.add_argument("--question", help="to a question-answering model, with --context or --file")
    predict.set_defaults(command=_predict)

    evaluate = commands.add_parser(
        "evaluate",
        help="accuracy of a served model on a labelled .csv, .tsv, .json, .jsonl or .parquet file, "
        "or exact match and F1 on questions with answers, .json, .jsonl or .parquet",
    )
    evaluate.add_argument("--model", required=True)
    evaluate.add_argument("--file", type=Path, required=True)
    evaluate.add_argument("--text-column", default="text", help="default: %(default)s")
    evaluate.add_argument("--label-column", default="label", help="default: %(default)s")
    evaluate.add_argument("--predictions", type=Path, help="where to write the answers to questions: id -> text")
    evaluate.set_defaults(command=_evaluate)

    for command in (build, serve):
        command.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs, some of them skipped")
    for command in (build, verify, serve):
        command.add_argument("--store", type=Path, default=store.STORE)
    for command in (serve, stop, status, logs, token, predict, evaluate):
        command.add_argument("--servers", type=Path, default=record.SERVERS, help="where servers keep their files")
    for command in (stop, logs, token, predict, evaluate):
        command.add_argument("--port", type=int, help="of the server; not needed when one is running")
    return parser


def _build(arguments: argparse.Namespace) -> None:
    from archives.build import trained_names

    for name in _not_skipped(arguments.names or trained_names(arguments.runs), arguments.runs):
        _build_one(name, arguments.runs, arguments.store)


def _build_one(name: str, runs: Path, store_dir: Path) -> None:
    from archives.build import build_archive
    from archives.verify import verify_archive

    store_dir.mkdir(parents=True, exist_ok=True)
    # Beside the store's archives until it is verified: a bad one must not take the place of a good one.
    with tempfile.TemporaryDirectory(prefix=".building-", dir=store_dir) as temporary:
        built = build_archive(name, runs, Path(temporary))
        verify_archive(built)
        print(built.replace(store_dir / built.name))


def _not_skipped(names: Sequence[str], runs: Path) -> Iterator[str]:
    """Those whose latest run was not skipped; says of the others why it was."""
    from archives.build import why_skipped

    for name in names:
        why = why_skipped(name, runs)
        if why is None:
            yield name
        else:
            print(f"{name}: skipped: {why}", flush=True)


def _verify(arguments: argparse.Namespace) -> None:
    from archives.verify import verify_archive

    verify_archive(arguments.store / f"{arguments.name}.mar")


def _serve(arguments: argparse.Namespace) -> None:
    _require_server_packages()
    from archives.serving import command

    wanted = arguments.models or store.names(arguments.store)
    arguments.models = list(_not_skipped(wanted, arguments.runs))
    if wanted and not arguments.models:
        print("no model is left to serve")
    else:
        command.run(arguments)


def _stop(arguments: argparse.Namespace) -> None:
    _require_server_packages()
    from archives.serving import lifecycle, processes

    known = [entry for entry in record.recorded(arguments.servers) if arguments.port in {None, entry.port}]
    chosen = [entry for entry in known if processes.is_alive(entry)] if len(known) > 1 else known
    if len(chosen) > 1:
        listed = ", ".join(str(entry.port) for entry in chosen)
        raise ServerError(f"servers are running on the ports {listed}: choose one with --port (PORT=)")
    if not chosen:
        raise ServerError("no server is running")
    lifecycle.stop(chosen[0], drain=arguments.drain)


def _status(arguments: argparse.Namespace) -> None:
    _require_server_packages()
    from archives.serving import processes

    alive = [entry for entry in record.recorded(arguments.servers) if processes.is_alive(entry)]
    for entry in alive:
        models = ", ".join(f"{name} {version}" for name, version in entry.models.items())
        print(f"{entry.url}  {models}  {entry.workers} worker(s) each  process {entry.pid}")
    if not alive:
        print("no server is running")


def _logs(arguments: argparse.Namespace) -> None:
    from archives.serving import logs

    folder = _logs_folder(arguments)
    for line in logs.tail(folder, arguments.lines):
        print(line)
    if arguments.follow:
        sys.stdout.flush()
        for line in logs.follow(folder, lambda: False):
            print(line, flush=True)


def _logs_folder(arguments: argparse.Namespace) -> Path:
    """Logs outlive their server, so that one can see why it ended."""
    with contextlib.suppress(ServerError):
        return record.find(arguments.port, arguments.servers).logs
    folder = arguments.servers / str(arguments.port or record.DEFAULT_PORT) / "logs"
    if not folder.is_dir():
        raise ServerError(f"no server is running, and there are no logs in {folder}")
    return Path(folder)


def _token(arguments: argparse.Namespace) -> None:
    from archives.serving import tokens

    print(f"Authorization: {tokens.bearer(record.find(arguments.port, arguments.servers), arguments.kind)}")


def _predict(arguments: argparse.Namespace) -> None:
    with _client(arguments) as client:
        answer = client.predict(_request(arguments))
    print(json.dumps(answer, indent=2, ensure_ascii=False))


def _evaluate(arguments: argparse.Namespace) -> None:
    from archives.evaluate import evaluate

    with _client(arguments) as client:
        columns = arguments.text_column, arguments.label_column
        metrics = evaluate(client, arguments.file, *columns, arguments.predictions)
    print(json.dumps(metrics))


@contextlib.contextmanager
def _client(arguments: argparse.Namespace) -> Iterator[Client]:
    """A client of the running server; what it raises ends the command as one line."""
    from archives.client import Client
    from archives.client_errors import ClientError

    server = record.find(arguments.port, arguments.servers)
    try:
        with Client(server.url, model=arguments.model, timeout=120, servers=arguments.servers) as client:
            yield client
    except ClientError as error:
        raise ServerError(f"{type(error).__name__}: {error}") from error


def _request(arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.json is not None:
        try:
            request = json.loads(arguments.json)
        except ValueError as error:
            raise ServerError(f"--json: {error}") from error
        if not isinstance(request, dict):
            raise ServerError(f"--json: expected an object, got {arguments.json}")
        return request
    asks = arguments.question is not None
    if arguments.file is not None:
        text = _read_text(arguments.file)
    elif asks is (arguments.context is not None):
        text = arguments.context if asks else arguments.text
    else:
        raise ServerError("--question and --context (or --file) belong together")
    return {"question": arguments.question, "context": text} if asks else {"text": text}


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ServerError(f"--file {path}: {error}") from error


def _require_server_packages() -> None:
    missing = [name for name in ("psutil", "ts") if importlib.util.find_spec(name) is None]
    if missing:
        raise ServerError(
            f"not installed here: {', '.join(missing)}; install the extra: pip install 'torchserve-text-bundle[serve]'"
        )


if __name__ == "__main__":
    sys.exit(main())
