"""Reads a bbolt database out of its bytes: podman's state before 5.0 (libpod/boltdb_state.go).

Layout as in bbolt's page.go, bucket.go and db.go (go.etcd.io/bbolt 1.3): pages of one size, of
which the first two are meta pages; the one with the newer transaction that is whole counts.
Writers copy pages and never change one that a meta page leads to, so that what was read in one go
is one state of it. The reader needs no lock, which podman would have to wait for.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_MAGIC = 0xED0CDAED
_META = struct.Struct("<IIIIQQQQQQ")
_HEADER = struct.Struct("<QHHI")
_BRANCH = struct.Struct("<IIQ")
_LEAF = struct.Struct("<IIII")
_BUCKET = struct.Struct("<QQ")
_IS_BRANCH, _IS_LEAF, _IS_BUCKET = 0x01, 0x02, 0x01

Item = tuple[bytes, "bytes | Bucket"]


class _Pages:
    """A file of pages, of which only so many are looked at as an honest one has."""

    def __init__(self, file: bytes, size: int) -> None:
        self._file, self._size = memoryview(file), size
        self._left = 8 + 4 * len(file) // max(size, 1)

    def page(self, number: int) -> memoryview:
        """A page, and the file from there on: large values go on in the pages behind it.

        Raises:
            ValueError: Too many were asked for, so that some lead to each other.
        """
        self._left -= 1
        if self._left < 0:
            raise ValueError("its pages lead to each other")
        return self._file[number * self._size :]


class Bucket:
    """One bucket: its keys, and what they hold: values or buckets."""

    def __init__(self, pages: _Pages, page: memoryview | int) -> None:
        """With the number of its page, or with its page itself."""
        self._pages, self._page = pages, page

    def __iter__(self) -> Iterator[Item]:
        """The keys in their order, and what each holds.

        Raises:
            ValueError: The database is damaged.
        """
        page = self._pages.page(self._page) if isinstance(self._page, int) else self._page
        try:
            yield from self._items(page)
        except struct.error as error:
            raise ValueError("a page is cut off") from error

    def get(self, key: bytes) -> bytes | Bucket | None:
        """What a key holds; None when there is no such key."""
        return next((value for name, value in self if name == key), None)

    def _items(self, page: memoryview) -> Iterator[Item]:
        _, flags, count, _ = _HEADER.unpack_from(page)
        for at in range(_HEADER.size, _HEADER.size + count * _LEAF.size, _LEAF.size):
            if flags & _IS_BRANCH:
                _, _, child = _BRANCH.unpack_from(page, at)
                yield from self._items(self._pages.page(child))
            elif flags & _IS_LEAF:
                kind, position, key, value = _LEAF.unpack_from(page, at)
                begin = at + position
                content = page[begin + key : begin + key + value]
                name = bytes(page[begin : begin + key])
                yield name, self._bucket(content) if kind & _IS_BUCKET else bytes(content)

    def _bucket(self, content: memoryview) -> Bucket:
        """A small bucket stands where its page would be named, with a page of its own inside."""
        root, _ = _BUCKET.unpack_from(content)
        return Bucket(self._pages, root or content[_BUCKET.size :])


def root(file: bytes) -> Bucket:
    """The outermost bucket of a database.

    Raises:
        ValueError: Not such a database.
    """
    try:
        first = _META.unpack_from(file, _HEADER.size)
        metas = [_meta(file, 0), _meta(file, first[2] or 4096)]
    except struct.error as error:
        raise ValueError("it is too short") from error
    whole = [meta for meta in metas if meta is not None]
    if not whole:
        raise ValueError("it is not a bbolt database")
    _, page, page_size = max(whole)
    return Bucket(_Pages(file, page_size), page)


def _meta(file: bytes, offset: int) -> tuple[int, int, int] | None:
    """Transaction, page of the root and size of pages; None when it is not whole."""
    begin = offset + _HEADER.size
    magic, version, size, _, page, _, _, _, transaction, checksum = _META.unpack_from(file, begin)
    if (magic, version) != (_MAGIC, 2) or checksum != _fnv(file[begin : begin + _META.size - 8]):
        return None
    return transaction, page, size


def _fnv(text: bytes) -> int:
    """FNV-1a of 64 bits, as meta.sum64() of bbolt's db.go."""
    total = 0xCBF29CE484222325
    for byte in text:
        total = (total ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return total
