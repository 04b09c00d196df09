"""Apache's configuration language: lines to a tree of directives, includes resolved.

As httpd.apache.org, "Configuration Files" and "Configuration Sections" (2.4) describe it: names
without regard to case, a backslash at the end continues a line, sections nest.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import join

from ollama_audit.observed import Unknown
from ollama_audit.snapshot.configuration import Configuration

_DEEPEST = 40
# What is compiled in everywhere, or in Debian's and Red Hat's builds.
_BUILT_IN = {
    "core",
    "http_core",
    "mod_so",
    "mod_unixd",
    "mod_log_config",
    "mod_logio",
    "mod_version",
}


_REWRITING = {"rewritecond", "rewriterule"}


class SyntaxProblemError(Exception):
    """httpd itself would refuse this configuration, or it cannot be read; says where."""

    def __init__(self, message: str, cure: str = "") -> None:
        super().__init__(message)
        self.cure = cure


@dataclass(frozen=True, slots=True)
class Node:
    """A directive or, with a block, a section."""

    name: str
    """In lower case."""
    args: tuple[str, ...]
    at: str
    block: tuple[Node, ...] | None = None


def tree(found: Configuration) -> tuple[Node, ...]:
    """The whole configuration, without the sections whose condition does not hold.

    Raises:
        SyntaxProblemError: A file is missing, unreadable or not what httpd would read.
    """
    nodes = _settled(_file(found, found.main, 0), _Conditions())
    defined = dict(_defined(nodes))
    return _with_values(nodes, defined) if defined else nodes


def _defined(nodes: tuple[Node, ...]) -> Iterator[tuple[str, str]]:
    """What Define gives names, wherever it stands."""
    for node in nodes:
        if node.name == "define" and len(node.args) == 2:
            yield node.args[0], node.args[1]
        yield from _defined(node.block or ())


def _with_values(nodes: tuple[Node, ...], defined: dict[str, str]) -> tuple[Node, ...]:
    """The nodes with `${NAME}` replaced by what Define gave it."""

    def put(text: str) -> str:
        return re.sub(r"\$\{(\w+)\}", lambda name: defined.get(name[1], name[0]), text)

    return tuple(
        Node(
            node.name,
            tuple(map(put, node.args)),
            node.at,
            None if node.block is None else _with_values(node.block, defined),
        )
        for node in nodes
    )


def override(found: Configuration, folder: str) -> tuple[Node, ...]:
    """What the .htaccess of a folder says; nothing where there is none, or it is not understood."""
    path = join(folder, ".htaccess")
    try:
        return _file(found, path, 0) if found.file(path) else ()
    except SyntaxProblemError:
        return ()


def _file(  # noqa: C901, PLR0912 - one loop over the lines
    found: Configuration, path: str, depth: int
) -> tuple[Node, ...]:
    file = found.file(path)
    if file is None or isinstance(file.text, Unknown):
        reason = file.text.reason if file and isinstance(file.text, Unknown) else "was not read"
        cure = file.text.cure if file and isinstance(file.text, Unknown) else ""
        raise SyntaxProblemError(f"{path}: {reason}", cure)
    if depth > _DEEPEST:
        raise SyntaxProblemError(f"{path} includes itself")
    stack: list[tuple[Node, list[Node]]] = [(Node("", (), path), [])]
    pending, start = "", 0
    for number, text in enumerate(file.text.value.splitlines(), start=1):
        start = start if pending else number
        if text.endswith("\\"):
            pending += text[:-1]
            continue
        line, pending = (pending + text).strip(), ""
        at = f"{path}:{start}"
        if not line or line.startswith("#"):
            continue
        if line.startswith("</"):
            if len(stack) == 1 or line[2:].rstrip(">").strip().lower() != stack[-1][0].name:
                raise SyntaxProblemError(f"{at}: {line} closes nothing")
            opened, inside = stack.pop()
            stack[-1][1].append(Node(opened.name, opened.args, opened.at, tuple(inside)))
        elif line.startswith("<"):
            if not line.endswith(">"):
                raise SyntaxProblemError(f"{at}: {line} does not end")
            name, *args = _words(line[1:-1], at)
            stack.append((Node(name.lower(), tuple(args), at), []))
        else:
            name, *args = _words(line, at)
            if name.lower() in _REWRITING:
                # mod_rewrite splits its arguments itself, and spares an escaped space.
                args = [
                    word.replace("\0", " ") for word in _words(line.replace("\\ ", "\0"), at)[1:]
                ]
            if name.lower() in {"include", "includeoptional"} and args:
                stack[-1][1].extend(_included(found, name.lower(), args[0], depth, at))
            else:
                stack[-1][1].append(Node(name.lower(), tuple(args), at))
    if len(stack) > 1:
        raise SyntaxProblemError(f"{path}: <{stack[-1][0].name}> does not end")
    return tuple(stack[0][1])


def _words(line: str, at: str) -> list[str]:
    reader = shlex.shlex(line, posix=True, punctuation_chars="")
    reader.whitespace_split, reader.commenters, reader.escape = True, "", ""
    try:
        return list(reader) or [""]
    except ValueError:
        return line.split() or [at]


def _included(found: Configuration, kind: str, name: str, depth: int, at: str) -> list[Node]:
    path = join(found.base, name)
    if re.search(r"[*?\[]", path):
        matching = [
            file.path
            for file in found.files
            if file.path.count("/") == path.count("/") and fnmatchcase(file.path, path)
        ]
    elif found.file(path) is not None:
        matching = [path]
    else:
        inside = f"{path.rstrip('/')}/"
        matching = [file.path for file in found.files if file.path.startswith(inside)]
        if not matching and kind == "include":
            raise SyntaxProblemError(f"{at}: {path} was not read")
    return [node for each in sorted(matching) for node in _file(found, each, depth + 1)]


class _Conditions:
    """What <IfModule> and <IfDefine> ask for, as far as it was read."""

    def __init__(self) -> None:
        self.modules = set(_BUILT_IN)
        self.defined: set[str] = set()

    def hold(self, node: Node) -> bool:
        """Whether the content of a conditional section counts."""
        asked = node.args[0] if node.args else ""
        wanted = asked.lstrip("!")
        known = self.modules if node.name == "ifmodule" else self.defined
        return (wanted.removesuffix(".c") in known) != asked.startswith("!")


def _settled(nodes: tuple[Node, ...], conditions: _Conditions) -> tuple[Node, ...]:
    result: list[Node] = []
    for node in nodes:
        if node.name == "loadmodule" and len(node.args) == 2:
            file = node.args[1].rpartition("/")[2].removesuffix(".so")
            conditions.modules |= {node.args[0], file}
        elif node.name == "define" and node.args:
            conditions.defined.add(node.args[0])
        if node.block is None:
            result.append(node)
        elif node.name in {"ifmodule", "ifdefine"}:
            if conditions.hold(node):
                result += _settled(node.block, conditions)
        elif node.name in {"ifversion", "iffile", "ifdirective", "ifsection"}:
            result += _settled(node.block, conditions)
        else:
            result.append(Node(node.name, node.args, node.at, _settled(node.block, conditions)))
    return tuple(result)
