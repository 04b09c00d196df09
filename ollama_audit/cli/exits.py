"""Exit codes, and the errors that are the caller's to mend."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from ollama_audit.outcome import Severity, Status
from ollama_audit.report import Finding


class ExitCode(IntEnum):
    """What the program's exit says; the README's table is compared with this."""

    OK = 0
    FINDING = 1
    USAGE = 2
    INCOMPLETE = 3
    INTERNAL_ERROR = 4
    NO_OLLAMA = 5
    ROLLED_BACK = 6
    ROLLBACK_FAILED = 7
    INTERRUPTED = 130

    @property
    def meaning(self) -> str:
        """For people."""
        return MEANINGS[self]


MEANINGS = {
    ExitCode.OK: "complete, and nothing at or above `--fail-on`",
    ExitCode.FINDING: "a finding at or above `--fail-on` (default `high`)",
    ExitCode.USAGE: "usage: an unknown option, rule or format, a bad input file, or an output "
    "that cannot be written",
    ExitCode.INCOMPLETE: "incomplete: something unread could reach `--fail-on` "
    "(`--allow-incomplete` turns this off)",
    ExitCode.INTERNAL_ERROR: "internal error",
    ExitCode.NO_OLLAMA: "no Ollama found; nothing was rated",
    ExitCode.ROLLED_BACK: "a remedy failed and was rolled back",
    ExitCode.ROLLBACK_FAILED: "rolling back failed",
    ExitCode.INTERRUPTED: "interrupted",
}


class UsageProblem(Exception):  # noqa: N818  # it is what it says; "Error" would be added noise
    """Something that whoever called the program can mend; the message says what. Exit 2."""


UNREAD = (Status.UNKNOWN, Status.ERROR)


def verdict_code(
    findings: Iterable[Finding], threshold: Severity | None, *, allow_incomplete: bool = False
) -> ExitCode:
    """The exit code that findings earn: 1 before 3 before 0; `threshold` None never fails.

    An unread rule counts with the greater of its declared and effective severity: what it would
    have found is not known, so neither is that circumstances would have lowered it.
    """
    if threshold is None:
        return ExitCode.OK
    code = ExitCode.OK
    for finding in findings:
        if finding.status is Status.FAIL and finding.severity.rank >= threshold.rank:
            return ExitCode.FINDING
        worst = max(finding.severity.rank, finding.declared_severity.rank)
        if finding.status in UNREAD and worst >= threshold.rank and not allow_incomplete:
            code = ExitCode.INCOMPLETE
    return code
