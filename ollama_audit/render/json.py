"""Reports as JSON by the contracts `report/1` and `reach/1`.

Fields come in the order in which their records declare them and lists in the order in which
they were made, so two audits of one host differ in what differs.
"""

from __future__ import annotations

import msgspec

from ollama_audit.exposure.answer import ReachReport
from ollama_audit.report import Report


def render(document: Report | ReachReport) -> str:
    """`document` as indented JSON that ends in a newline."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"
