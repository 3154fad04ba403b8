"""What README, docs and the comments of configs name exists: targets, variables, options, keys, files, links, codes."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
TASKS = ("intent", "qa", "sentiment", "student")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z][A-Z0-9_]*) \?=|\$\$?\(?([A-Z][A-Z0-9_]*)\)?", MAKEFILE, re.MULTILINE))
# Variables of the environment, which are not make's.
FOREIGN = {"OMP_NUM_THREADS"}
# What takes the ARGS of a target, other than training.
ARGS_OF = {
    "evaluate": "archives evaluate",
    "compare": "lightning_modules compare",
    "loadtest": "loadtest",
    "slo": "loadtest.slo",
    "bench": "loadtest.bench",
}
# Variables with a choice of values, and the option that has it.
CHOICES = {
    "KIND": ("archives token", "--kind"),
    "PROFILE": ("archives serve", "--profile"),
    "DEVICE": ("archives serve", "--device"),
    "SHAPE": ("loadtest", "--shape"),
    "SWEEP": ("loadtest.bench", "--sweep"),
}
# Commands whose options may stand alone on a page, beside those that take ARGS.
COMMANDS = (
    *(f"archives {name}" for name in ("build", "verify", "serve", "stop", "logs", "token", "predict")),
    "lightning_modules tune",
    "lightning_modules.synthetic intents",
)
FOLDERS = r"configs|docs|handlers|archives|lightning_modules|loadtest|tests|\.ci|\.github"
PATH = re.compile(rf"(?<![\w./<-])(?:{FOLDERS})/[\w./<>*-]*")
KEY = re.compile(r"(?!.*\.onnx)(?:data|model|trainer|gate|export|tune|early_stopping|checkpoint)(?:\.[a-z_0-9]+)+")
OPTION = re.compile(r"(?<![\w-])--[a-z][\w.-]*")


def problems(text: str, folder: Path = ROOT) -> list[str]:
    """Return a line for each name on a page of Markdown that does not exist; links start at `folder`."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
    lines = [f"link {link}" for link in links if "://" not in link and not (folder / link).exists()]
    for code in codes(text):
        lines += [f"file {path}" for path in PATH.findall(code) if not exists(path)]
        if KEY.fullmatch(code) and not any(code in keys(task) for task in TASKS):
            lines.append(f"key {code}")
        if variable := re.match(r"([A-Z][A-Z0-9_]*)=", code):
            lines += variable_problems(variable[1], code[variable.end() :].strip('"'))
        argvs = list(commands(code))
        if not argvs and re.match(r"--[a-z]|[A-Z]+=\"?--", code):
            lines += [f"option {option}" for option in OPTION.findall(code) if option not in all_options()]
        for argv in argvs:
            lines += make_problems(argv[1:]) if argv[0] == "make" else python_problems(argv[2:])
    return lines


def codes(text: str) -> Iterator[str]:
    """Yield the code of a page: fenced and indented blocks by lines, then what stands between backticks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks += re.findall(r"(?:^    \S.*\n)+", text, re.MULTILINE)
    text = re.sub(r"^    \S.*\n", "", text, flags=re.MULTILINE)
    for block in blocks:
        yield from (line.strip() for line in re.sub(r"\\\n\s*", " ", block).splitlines())
    yield from (" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text))


def commands(code: str) -> Iterator[list[str]]:
    """Yield the commands of make and of `python -m` in a line of code, also those in `$(…)`."""
    for part in [*re.findall(r"\$\(([^)]*)\)", code), *re.split(r"&&| \| ", re.sub(r"\$\([^)]*\)", "", code))]:
        try:
            argv = shlex.split(part, comments=True)
        except ValueError:
            continue
        while argv and (argv[0] == "time" or re.match(r"[A-Z_]+=", argv[0])):
            del argv[0]
        if argv and (argv[0] == "make" or (argv[0].endswith("python") and argv[1:2] == ["-m"])):
            yield argv


def make_problems(arguments: list[str]) -> Iterator[str]:
    variables = dict(argument.split("=", 1) for argument in arguments if "=" in argument)
    targets = [argument for argument in arguments if "=" not in argument]
    yield from (f"target {target}" for target in targets if target not in TARGETS)
    for name, value in variables.items():
        yield from variable_problems(name, value)
    given = OPTION.findall(variables.get("ARGS", ""))
    for target in targets:
        if given and target in {"train", "tune"}:
            known = keys(variables.get("TASK", "intent")) | (
                options("lightning_modules tune") if target == "tune" else set()
            )
            yield from (f"option {name} of {target}" for name in given if name[2:] not in known and name not in known)
        elif given and target in ARGS_OF:
            yield from (f"option {name} of {target}" for name in given if name not in options(ARGS_OF[target]))


def variable_problems(name: str, value: str) -> Iterator[str]:
    if name not in known_variables() | FOREIGN:
        yield f"variable {name}"
    if name == "TASK" and value and not (ROOT / "configs" / f"{value}.yaml").is_file():
        yield f"task {value}"
    if name in CHOICES and value not in {"", "…", *choices(*CHOICES[name])}:
        yield f"value {name}={value}"


def python_problems(arguments: list[str]) -> Iterator[str]:
    module, *rest = arguments
    path = ROOT / module.replace(".", "/")
    if not (path / "__main__.py").is_file() and not path.with_suffix(".py").is_file():
        yield f"module {module}"
    elif given := [option for option in OPTION.findall(" ".join(rest)) if option != "--help"]:
        command = f"{module} {rest[0]}" if re.fullmatch("[a-z]+", rest[0]) else module
        yield from (f"option {name} of {command}" for name in given if name not in options(command))


def exists(path: str) -> bool:
    """Take `<name>` and `*` for anything; what the bundle itself makes is not looked for."""
    pattern = re.sub(r"<\w+>", "*", path.rstrip("./"))
    return path.startswith("archives/store") or any(ROOT.glob(pattern))


def known_variables() -> set[str]:
    return {name for pair in VARIABLES for name in pair if name}


@cache
def help_of(command: str) -> str:
    """Return what a module's `--help` prints, where `command` is a module and maybe a command of it."""
    module, *rest = command.split()
    if module == "lightning_modules":  # in this process: importing torch takes seconds
        return help_of_training(rest)
    argv = [sys.executable, "-m", module, *rest, "--help"]
    environment = os.environ | {"COLUMNS": "200"}
    result = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}: {result.stderr}"
    return result.stdout


def help_of_training(arguments: list[str]) -> str:
    from lightning_modules import cli

    with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
        cli.main([*arguments, "--help"])
    return printed.getvalue()


def options(command: str) -> set[str]:
    return set(OPTION.findall(help_of(command)))


def choices(command: str, option: str) -> list[str]:
    match = re.search(rf"{option} {{([^}}]*)}}", help_of(command))
    assert match, f"{command} {option} has no choices"
    return match[1].split(",")


def all_options() -> set[str]:
    helps = {name for command in {*COMMANDS, *ARGS_OF.values()} for name in options(command)}
    return helps | {f"--{key}" for task in TASKS for key in keys(task)}


@cache
def keys(task: str) -> set[str]:
    """Return the dotted options of a task's training, as its classes and the trainer have them."""
    from lightning import Trainer

    from lightning_modules import cli

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["lightning_modules"])  # LightningCLI warns of arguments beside its own
        config = cli.SettingsCLI(args=[f"--config={ROOT / 'configs' / task}.yaml"], run=False).config
    return set(dotted(config.as_dict())) | {"config", *inspect.signature(Trainer.fit).parameters}


def dotted(values: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    """Yield `data.synthetic.folder` for a class's `data.init_args.synthetic.init_args.folder`."""
    for name, value in values.items():
        inner = prefix if name == "init_args" else f"{prefix}{name}"
        if name not in {"init_args", "class_path"}:
            yield inner
        if isinstance(value, Mapping):
            yield from dotted(value, f"{inner.rstrip('.')}." if inner else "")


def read_page(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.name == "CHANGELOG.md":  # the first cell of a row is what the name was
        return re.sub(r"^\| [^|]* \|", "|", text, flags=re.MULTILINE)
    return text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_a_page_names_exists(path: Path) -> None:
    assert problems(read_page(path), path.parent) == []


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.relative_to(ROOT / "configs").as_posix())
def test_what_a_comment_of_a_config_names_exists(path: Path) -> None:
    comments = re.findall(r"^ *# ?(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    text = "\n".join(f"    {line}" if line.startswith(("make ", "python ")) else line for line in comments)
    assert problems(f"{text}\n") == []


@pytest.mark.parametrize("task", TASKS)
def test_the_commands_of_a_pipeline_exist(task: str) -> None:
    stages = yaml.safe_load((ROOT / "configs" / "dvc" / task / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    commands = [stage["cmd"] for stage in stages.values()]
    lines = [line for cmd in commands for line in (cmd if isinstance(cmd, list) else [cmd])]
    assert [problem for line in lines for problem in problems(f"`{line}`")] == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("`make trian`", "target trian"),
        ("`make serve PROT=8090`", "variable PROT"),
        ("`PROT=8090`", "variable PROT"),
        ("`make train TASK=intend`", "task intend"),
        ("`make serve PROFILE=fast`", "value PROFILE=fast"),
        ('    make train TASK=intent ARGS="--data.max_lenght=8"\n', "option --data.max_lenght of train"),
        ('    make build && make evaluate FILE=a.csv ARGS="--label_column b"\n', "option --label_column of evaluate"),
        ("`--data.least_steps`", "option --data.least_steps"),
        ("`data.least_steps`", "key data.least_steps"),
        ("`python -m loadtest.growth`", "module loadtest.growth"),
        ("`.venv/bin/python -m archives stop --drian 4`", "option --drian of archives stop"),
        ("```\ncat handlers/service.py\n```\n", "file handlers/service.py"),
        ("`configs/dvc/<task>/dvc.yml`", "file configs/dvc/<task>/dvc.yml"),
        ("[data](docs/date.md)", "link docs/date.md"),
    ],
)
def test_a_name_that_does_not_exist_is_a_problem(text: str, problem: str) -> None:
    assert problem in problems(text)


def test_every_target_has_a_short_line_of_help() -> None:
    result = subprocess.run(["make", "-s", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    lines = [line for line in result.stdout.splitlines() if line.startswith("make ")]
    assert {line.split()[1] for line in lines} == TARGETS
    assert [line for line in lines if len(line) > 70] == []


def test_every_error_code_and_metric_of_the_handlers_is_documented() -> None:
    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "handlers").rglob("*.py"))
    raised = {(int(status), code) for status, code in re.findall(r'RequestError\(\s*(\d{3}), "(\w+)"', source)}
    rows = {
        (int(row[0]), code)
        for row in re.findall(r"^\| (\d{3}) \| (`.*?) \|", page, re.MULTILINE)
        for code in re.findall(r"`(\w+)`", row[1])
    }
    assert len(raised) > 10
    assert raised <= rows
    metrics = yaml.safe_load((ROOT / "configs" / "serving" / "metrics.yaml").read_text(encoding="utf-8"))[
        "model_metrics"
    ]
    for kind, entries in metrics.items():
        for entry in entries:
            assert re.search(rf"\| .*`{entry['name']}`.* \| {kind} \| {entry['unit']} \|", page), entry["name"]


def test_the_python_of_a_page_can_be_imported() -> None:
    imports = [
        found for page in PAGES for found in re.findall(r"^from (\S+) import (\w+)", page.read_text(), re.MULTILINE)
    ]
    assert imports
    assert [pair for pair in imports if not hasattr(importlib.import_module(pair[0]), pair[1])] == []


def test_the_jar_holds_what_the_page_on_security_says() -> None:
    """A flaw of log4j counts where another layout or a network appender is used."""
    page = (ROOT / "docs" / "SECURITY.md").read_text(encoding="utf-8")
    ts = importlib.util.find_spec("ts")
    if ts is None or not ts.submodule_search_locations:
        pytest.skip("torchserve is not installed here")
    with zipfile.ZipFile(Path(ts.submodule_search_locations[0], "frontend", "model-server.jar")) as jar:
        netty = jar.read("META-INF/io.netty.versions.properties").decode()
        others = jar.read("META-INF/DEPENDENCIES").decode()
    assert set(re.findall(r"netty-codec-http2?\.version=(.*)", netty)) == {"4.1.53.Final"}
    assert re.findall(r"log4j-core:jar:([\d.]+)", others) == ["2.17.1"]
    assert "| 4.1.53.Final (2020) |" in page
    assert "| log4j | 2.17.1 |" in page
    log4j = (ROOT / "configs" / "serving" / "log4j2.xml").read_text(encoding="utf-8")
    assert set(re.findall(r"<(\w+Layout|\w+Appender|RollingFile|Socket|Syslog|SMTP|Http)\b", log4j)) == {
        "PatternLayout",
        "RollingFile",
    }
