"""Explain in one sentence what is wrong with an option or a YAML key, and suggest the nearest valid one.

jsonargparse reports an error as a tree of everything it tried: the keys that it followed ("Parser key"), the classes
at those keys ("Problem with given class_path"), and the failure in each.
"""

import pkgutil
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

from jsonargparse import ArgumentParser

from lightning_modules.errors import UserError

RENAMED = {"least_steps": "min_steps_per_epoch"}  # keys of `data` in earlier versions
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "a text",
    "NoneType": "null",
    "list": "a list",
    "dict": "keys with their values",
}


class OptionError(UserError):
    """An option or a key is unknown, or its value has the wrong type."""


def explain(error: Exception, options: Collection[str]) -> str:
    """Return the sentence; `options` has the names of all options but the model's and the data's.

    If a constructor or a link raised a `UserError`, its message is returned unchanged.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UserError):
            return str(cause)
        cause = cause.__cause__
    message = str(error)
    for pattern, sentence in SENTENCES.items():
        if match := re.search(pattern, message):
            return sentence(match, options)
    return " ".join(message.split())


def suggestion(name: str, others: Iterable[str]) -> str:
    """Return `; did you mean …?` with the most similar of the other names, or "" if none is similar."""
    others = list(others)
    group, _, key = name.rpartition(".")
    nearest = [other for other in others if key in RENAMED and other == f"{group}.{RENAMED[key]}"]
    nearest = nearest or get_close_matches(name, others, n=1, cutoff=0.7)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def one_of(names: Sequence[str]) -> str:
    """Return `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}" if others else last


def _unrecognized(match: re.Match[str], options: Collection[str]) -> str:
    name = match[1].partition("=")[0]
    if not name.startswith("--"):
        return f"{match[1]!r} is no option: options begin with --, and a list of values follows its option"
    return f"there is no option {name}{suggestion(name, [f'--{option}' for option in options])}"


def _without_value(match: re.Match[str], options: Collection[str]) -> str:
    return f"{match[1]} needs a value"


def _missing_file(match: re.Match[str], options: Collection[str]) -> str:
    path = Path(match[1])
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    siblings = [str(shown.with_name(other.name)) for other in path.parent.glob("*") if other.suffix == path.suffix]
    return f"there is no file {shown}{suggestion(str(shown), siblings)}"


def _unknown_key(match: re.Match[str], options: Collection[str]) -> str:
    path = match.string[: match.start()]
    classes = re.findall(r"Problem with given class_path '([^']+)'", path)
    name = ".".join(part for part in (_dotted(path), match[1], match[2]) if part)
    names = [f"{_dotted(path)}.{parameter}" for parameter in _parameters(classes[-1])] if classes else options
    return f"there is no option --{name}{suggestion(f'--{name}', [f'--{other}' for other in names])}"


def _wrong_value(match: re.Match[str], options: Collection[str]) -> str:
    *_, innermost = re.split(r'(?=Parser key ")', match.string)
    kinds = re.findall(r"^( *(?:- )?)Expected an? (.+?)(?:\. Got value: .*)?$", innermost, re.MULTILINE)
    # A less indented line only says that the whole model or data could have been null.
    wanted = list(dict.fromkeys(word for indent, kind in kinds if indent == kinds[0][0] for word in _in_words(kind)))
    value = re.search(r"(?:Got|Given) value: (.*)$", innermost, re.MULTILINE)
    return f"--{_dotted(match.string)}{f' is {value[1]!r}' if value else ''}: give {one_of(wanted)}"


def _wrong_class(match: re.Match[str], options: Collection[str]) -> str:
    return f"--{_dotted(match.string)}: the class {match[1]!r} cannot be used: {match[2]}"


# The first pattern that matches the message decides which sentence explains it.
SENTENCES: dict[str, Callable[[re.Match[str], Collection[str]], str]] = {
    r"unrecognized arguments: (\S+)": _unrecognized,
    r"argument (\S+): expected": _without_value,
    r"File does not exist: '(.+)'": _missing_file,
    r"(?:Group '([^']+)'[^\n]*)?[oO]ption '([^']+)'": _unknown_key,
    r"Problem with given class_path '([^']*)':\s*(?!Parser key)(\S.*)": _wrong_class,
    r"Expected an? ": _wrong_value,
}


def _dotted(message: str) -> str:
    return ".".join(re.findall(r'Parser key "([^"]+)"', message))


def _in_words(kind: str) -> list[str]:
    if match := re.fullmatch(r"<class '(?:.*\.)?(\w+)'>", kind):
        return [TYPES.get(match[1], match[1])]
    if match := re.fullmatch(r"typing\.Literal\[(.+)\]", kind):
        return [choice.strip("'") for choice in match[1].split(", ")]
    return [kind]


def _parameters(class_path: str) -> Iterator[str]:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(pkgutil.resolve_name(class_path), fail_untyped=False)
    return parser.get_defaults().keys()
