"""What a router sends as XML, read strictly: no document types, so no entities, and not deep.

A document type declaration is what entity blow-ups and external entities are made with; neither
UPnP's descriptions nor its SOAP answers have one (UPnP Device Architecture 1.1, 2.3 and 3.1.2).
"""

from __future__ import annotations

from typing import NoReturn
from xml.parsers import expat

_DEEPEST = 32
_MOST = 4096
"""Elements."""


def records(document: bytes) -> list[dict[str, str]]:
    """The texts of childless elements, by local name and grouped by parent, in document order.

    Of equal names in one parent the first counts.

    Raises:
        ValueError: Not well-formed, with a document type, too deep, or too large.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = reader.refuse
    try:
        parser.Parse(document, True)  # noqa: FBT003 - positional only
    except expat.ExpatError as error:
        raise ValueError(f"it is not XML: {error}") from error
    return [record for record in reader.records if record]


class _Reader:
    """Collects texts as the parser meets them."""

    def __init__(self) -> None:
        self.records: list[dict[str, str]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        """Of each element that is open: its name, its children's texts, its own."""
        self._childless = False

    def start(self, name: str, _: object) -> None:
        if len(self._open) >= _DEEPEST or len(self.records) >= _MOST:
            raise ValueError("it has too many elements")
        inner: dict[str, str] = {}
        self.records.append(inner)
        self._open.append((name.rpartition(" ")[2], inner, []))
        self._childless = True

    def end(self, _: str) -> None:
        name, _inner, texts = self._open.pop()
        if self._childless and self._open:
            self._open[-1][1].setdefault(name, "".join(texts).strip())
        self._childless = False

    def text(self, data: str) -> None:
        if self._open:
            self._open[-1][2].append(data)

    def refuse(self, *_: object) -> NoReturn:
        raise ValueError("it declares a document type")
