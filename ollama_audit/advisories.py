"""Known vulnerabilities of the Ollama server, curated by hand.

Automatic feeds flag every version for ever: several records have no fixed version, and the one
on missing authentication (CVE-2025-63389) is no matter of versions but of who gets in, which
other rules judge. Ranges were checked against Ollama's tags where `confirmed` says so.
"""

from __future__ import annotations

from datetime import date

import msgspec
from packaging.version import InvalidVersion, Version

DATA_OF = date(2026, 11, 23)
"""Advisories published later are not in this table."""

STALE_AFTER_DAYS = 180


class Advisory(msgspec.Struct, frozen=True, kw_only=True):
    """One vulnerability and the versions that have it."""

    id: str
    what: str
    fixed: str
    """The first version without it; empty when there is none."""
    since: str = ""
    """The first version with it; empty for all before `fixed`."""
    score: float
    """CVSS v3 base score as recorded at GHSA or NVD."""
    confirmed: bool
    """Fix commit and first tag were checked, or the range in the Go vulnerability database is
    exact. Without it a match is shown and decides nothing."""
    platform: str = ""
    """`Windows` where only that is affected."""
    reference: str


ADVISORIES = (
    Advisory(
        id="CVE-2024-28224",
        what="DNS rebinding gives a web page the whole API",
        fixed="0.1.29",
        score=8.8,
        confirmed=True,
        reference="GO-2024-2699",
    ),
    Advisory(
        id="CVE-2024-37032",
        what="path traversal by a digest, code execution (Probllama)",
        fixed="0.1.34",
        score=8.8,
        confirmed=True,
        reference="GO-2024-2901",
    ),
    Advisory(
        id="CVE-2024-39721",
        what="/api/create on a device file, denial of service",
        fixed="0.1.34",
        score=7.5,
        confirmed=True,
        reference="NVD (Oligo)",
    ),
    Advisory(
        id="CVE-2025-44779",
        what="files deleted by /api/pull",
        fixed="0.1.34",
        score=6.6,
        confirmed=True,
        reference="GO-2025-3851",
    ),
    Advisory(
        id="CVE-2024-39720",
        what="a four-byte model file crashes the server",
        fixed="0.1.46",
        score=8.2,
        confirmed=True,
        reference="GO-2024-3245",
    ),
    Advisory(
        id="CVE-2024-39722",
        what="/api/push tells which files exist",
        fixed="0.1.46",
        score=7.5,
        confirmed=True,
        reference="NVD (Oligo)",
    ),
    Advisory(
        id="CVE-2024-45436",
        what="files written outside by an archive in /api/create",
        fixed="0.1.47",
        score=7.5,
        confirmed=True,
        reference="GO-2024-3104",
    ),
    Advisory(
        id="CVE-2024-7773",
        what="code execution by an archive in /api/create",
        fixed="0.1.47",
        score=9.1,
        confirmed=True,
        reference="huntr",
    ),
    Advisory(
        id="CVE-2024-39719",
        what="/api/create tells which files exist",
        fixed="0.5.5",
        score=7.5,
        confirmed=False,
        reference="NVD",
    ),
    Advisory(
        id="CVE-2025-1975",
        what="an answer of a registry crashes /api/pull",
        fixed="0.8.0",
        score=7.5,
        confirmed=False,
        reference="GO-2025-3695",
    ),
    Advisory(
        id="CVE-2026-15685",
        what="an answer of a registry crashes a download",
        fixed="0.8.0",
        score=7.5,
        confirmed=False,
        reference="ZDI-26-403",
    ),
    Advisory(
        id="CVE-2025-51471",
        what="the registry token goes to a foreign host",
        fixed="0.14.3",
        score=6.9,
        confirmed=True,
        reference="GO-2025-3824",
    ),
    Advisory(
        id="CVE-2026-7482",
        what="a model file reads the server's memory (Bleeding Llama)",
        fixed="0.17.1",
        score=9.1,
        confirmed=True,
        reference="GO-2026-5748",
    ),
    Advisory(
        id="CVE-2026-5757",
        what="memory read while a model is quantised",
        fixed="0.17.1",
        score=7.5,
        confirmed=False,
        reference="CERT/CC VU#518910",
    ),
    Advisory(
        id="CVE-2026-42248",
        what="the updater checks no signature",
        fixed="0.23.3",
        since="0.12.10",
        score=9.8,
        confirmed=True,
        platform="Windows",
        reference="CERT Polska",
    ),
    Advisory(
        id="CVE-2026-42249",
        what="the updater writes outside its folder",
        fixed="0.23.3",
        since="0.12.10",
        score=9.8,
        confirmed=True,
        platform="Windows",
        reference="CERT Polska",
    ),
    Advisory(
        id="CVE-2025-15514",
        what="an image in /api/chat crashes the server",
        fixed="0.30.0",
        since="0.11.5",
        score=7.5,
        confirmed=False,
        reference="VulnCheck",
    ),
    Advisory(
        id="CVE-2025-66959",
        what="a model file crashes the decoder",
        fixed="0.31.2",
        score=7.5,
        confirmed=False,
        reference="NVD",
    ),
    Advisory(
        id="CVE-2025-0317",
        what="a model file divides by zero",
        fixed="0.31.2",
        score=7.5,
        confirmed=False,
        reference="GO-2025-3559",
    ),
    Advisory(
        id="CVE-2026-7020",
        what="path traversal in the transfer of tensors; not fixed yet",
        fixed="",
        since="0.20.0",
        score=3.7,
        confirmed=False,  # it is, but nobody can act on it, so it decides nothing
        reference="GO-2026-5750",
    ),
    Advisory(
        id="CVE-2026-85180",
        what="a registry redirects requests of the server to other hosts",
        fixed="",
        since="0.30.0",
        score=7.5,
        confirmed=False,
        reference="VulnCheck",
    ),
)
"""Oldest fix first."""


def before(version: str, other: str) -> bool:
    """Whether a version comes before another; False for what is not a version of a release."""
    try:
        return Version("0.0.0") < Version(version) < Version(other)
    except InvalidVersion:
        return False


def advisories_for(version: str, system: str) -> tuple[Advisory, ...]:
    """The advisories that a version has on a system (`Linux`, ...), gravest first.

    Release candidates come before their release, as semantic versioning orders them.

    Raises:
        ValueError: Not a version of a release: malformed, or the `0.0.0` of a development build.
    """
    try:
        running = Version(version)
    except InvalidVersion as error:
        raise ValueError(f"{version!r} is not a version") from error
    if running == Version("0.0.0"):
        raise ValueError("0.0.0 is a development build")
    found = [
        advisory
        for advisory in ADVISORIES
        if advisory.platform in ("", system)
        and (not advisory.fixed or running < Version(advisory.fixed))
        and (not advisory.since or running >= Version(advisory.since))
    ]
    return tuple(sorted(found, key=lambda advisory: (-advisory.score, advisory.id)))
