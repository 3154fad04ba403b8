"""Build archives of trained models and serve them. `python -m archives --help` lists the commands.

python -m archives build intent
python -m archives serve --models intent
python -m archives predict --model intent --text "translate this into French"
python -m archives predict --model qa --question "Who wrote it?" --context "The letter was written by Ada."
python -m archives stop
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

# Only modules without third-party packages: each command imports what it needs.
from archives import store
from archives.errors import ArchiveError, ServerError, drop_output, require
from archives.serving import command, diagnosis, record

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
        drop_output()
        if arguments.command is _logs:  # `logs | head` is a normal use
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

    verify = commands.add_parser("verify", help="load an archive as a worker does and check its golden requests")
    verify.add_argument("name")
    verify.set_defaults(command=_verify)

    serve = commands.add_parser("serve", help="start TorchServe; returns when every model has answered")
    command.add_arguments(serve)
    serve.set_defaults(command=_serve)

    stop = commands.add_parser("stop", help="stop a running server once its requests in flight are answered")
    command.add_drain(stop)
    stop.set_defaults(command=_stop)

    status = commands.add_parser("status", help="list the running servers")
    status.set_defaults(command=_status)

    logs = commands.add_parser("logs", help="show the logs of a running server, or those of its last run")
    logs.add_argument("-n", "--lines", type=int, default=20, help="number of lines of each file (default: %(default)s)")
    logs.add_argument("-f", "--follow", action="store_true", help="keep printing lines as they are appended")
    logs.set_defaults(command=_logs)

    token = commands.add_parser("token", help="print the Authorization header for a running server")
    token.add_argument("--kind", choices=["inference", "management"], default="inference", help="default: %(default)s")
    token.set_defaults(command=_token)

    predict = commands.add_parser("predict", help="ask a served model once and print its answer as JSON")
    predict.add_argument("--model", required=True)
    source = predict.add_mutually_exclusive_group(required=True)
    source.add_argument("--text", help="a text to classify")
    source.add_argument("--context", help="the text that answers the --question")
    source.add_argument("--file", type=Path, help="a text file, sent as one text, or as the context of the --question")
    source.add_argument("--json", help='a whole request, such as \'{"text": "...", "top_k": 1}\'')
    predict.add_argument("--question", help="for a question-answering model, with --context or --file")
    predict.set_defaults(command=_predict)

    evaluate = commands.add_parser(
        "evaluate",
        help="measure a served model: accuracy on a labelled .csv, .tsv, .json, .jsonl or .parquet file, "
        "or exact match and F1 on questions with answers, .json, .jsonl or .parquet",
    )
    evaluate.add_argument("--model", required=True)
    evaluate.add_argument("--file", type=Path, required=True)
    evaluate.add_argument("--text-column", default="text", help="default: %(default)s")
    evaluate.add_argument("--label-column", default="label", help="default: %(default)s")
    evaluate.add_argument("--predictions", type=Path, help="write the answers to questions to this file: id -> text")
    evaluate.set_defaults(command=_evaluate)

    for one in (build, serve):
        one.add_argument("--runs", type=Path, default=RUNS, help="folder of the runs (default: %(default)s)")
    for one in (build, verify, serve):
        one.add_argument("--store", type=Path, default=store.STORE, help="folder of the archives")
    for one in (serve, stop, status, logs, token, predict, evaluate):
        one.add_argument("--servers", type=Path, default=record.SERVERS, help="folder of the servers' records")
    for one in (stop, logs, token, predict, evaluate):
        one.add_argument("--port", type=int, help="port of the server; needed only when several are running")
    return parser


def _build(arguments: argparse.Namespace) -> None:
    from archives import build

    for name in build.not_skipped(arguments.names or build.trained_names(arguments.runs), arguments.runs):
        print(build.build_verified(name, arguments.runs, arguments.store))


def _verify(arguments: argparse.Namespace) -> None:
    from archives.verify import verify_archive

    verify_archive(arguments.store / f"{arguments.name}.mar")


def _serve(arguments: argparse.Namespace) -> None:
    require("psutil", "ts", extra="serve")
    from archives.build import not_skipped

    wanted = arguments.models or store.names(arguments.store)
    arguments.models = list(not_skipped(wanted, arguments.runs))
    if wanted and not arguments.models:
        print("no model is left to serve")
    else:
        command.run(arguments)


def _stop(arguments: argparse.Namespace) -> None:
    require("psutil", extra="serve")
    from archives.serving.stop import find_stoppable, stop

    stop(find_stoppable(arguments.port, arguments.servers), drain=arguments.drain)


def _status(arguments: argparse.Namespace) -> None:
    servers = record.running(arguments.servers)
    for server in servers:
        models = ", ".join(f"{name} {version}" for name, version in server.models.items())
        print(f"{server.url}  {models}  {server.workers} worker(s) each  process {server.pid}")
    if not servers:
        print("no server is running")


def _logs(arguments: argparse.Namespace) -> None:
    folder = diagnosis.find_logs(arguments.port, arguments.servers)
    for line in diagnosis.tail(folder, arguments.lines):
        print(line)
    if arguments.follow:
        sys.stdout.flush()
        for line in diagnosis.follow(folder, lambda: False):
            print(line, flush=True)


def _token(arguments: argparse.Namespace) -> None:
    server = record.find(arguments.port, arguments.servers)
    from archives.serving import tokens

    print(f"Authorization: {tokens.bearer(server, arguments.kind)}")


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
    """Yield a client of the running server, and turn its errors into those that end a command in one line."""
    server = record.find(arguments.port, arguments.servers)
    from archives.client import Client
    from archives.client_errors import ClientError

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
    text = arguments.context if arguments.question is not None else arguments.text
    if arguments.file is not None:
        try:
            text = arguments.file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ServerError(f"--file {arguments.file}: {error}") from error
    if text is None:
        raise ServerError("--question and --context (or --file) belong together")
    return {"text": text} if arguments.question is None else {"question": arguments.question, "context": text}


if __name__ == "__main__":
    sys.exit(main())
