"""Reports to print: an ordinary one, and one argument for each way in which it may differ."""

from __future__ import annotations

from datetime import UTC, datetime

from ollama_audit.exposure.model import (
    Encryption,
    Endpoint,
    Extent,
    Gap,
    Hop,
    Login,
    Zone,
    ZoneReach,
)
from ollama_audit.outcome import Evidence, Severity, Status
from ollama_audit.report import Finding, FindingRemedy, Report, ReportHost, Tool
from ollama_audit.rule import Disruption
from ollama_audit.score import rate
from ollama_audit.snapshot.network import Family

V4, V6 = Family.IPV4, Family.IPV6
LAN4 = "192.0.2.0/24"
LAN6 = "2001:db8:7::/64"


def reach(
    zone: Zone,
    family: Family,
    extent: Extent,
    *networks: str,
    because: tuple[str, ...] = (),
    cure: str = "",
) -> ZoneReach:
    sure = extent in (Extent.ALL, Extent.SOME)
    return ZoneReach(
        zone=zone,
        family=family,
        extent=extent,
        networks=networks if sure else (),
        uncertain=networks if extent is Extent.UNKNOWN else (),
        because=because,
        cure=cure,
    )


def endpoint(  # noqa: PLR0913  # one argument a difference
    *parts: ZoneReach,
    address: str = "127.0.0.1",
    port: int = 11434,
    families: tuple[Family, ...] = (V4,),
    login: Login = Login.NONE,
    login_because: tuple[str, ...] = (),
    open_paths: tuple[str, ...] = (),
    hops: tuple[Hop, ...] = (Hop(kind="socket", name="ollama", pid=812),),
    certain: bool = True,
) -> Endpoint:
    local = tuple(reach(Zone.HOST, family, Extent.ALL) for family in families)
    return Endpoint(
        id=f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
        address=address,
        port=port,
        families=families,
        server=812,
        hops=hops,
        login=login,
        login_because=login_because,
        open_paths=open_paths,
        tls=Encryption.PLAIN,
        reach=(*local, *parts),
        certain=certain,
    )


LOOPBACK = endpoint()

OPEN = endpoint(
    reach(Zone.LAN, V4, Extent.ALL, LAN4),
    reach(Zone.LAN, V6, Extent.ALL, LAN6),
    address="::",
    families=(V4, V6),
)


def finding(  # noqa: PLR0913
    rule: str,
    status: Status = Status.PASS,
    *,
    area: str = "exposure",
    severity: Severity = Severity.HIGH,
    declared: Severity | None = None,
    summary: str = "",
    evidence: tuple[Evidence, ...] = (),
    caused_by: str = "",
    cure: str = "",
    remedy: str = "",
) -> Finding:
    remedies = (FindingRemedy(name="systemd", title=remedy, disruption=Disruption.RESTART),)
    return Finding(
        rule=rule,
        title=f"{rule} is so",
        area=area,
        status=status,
        severity=severity,
        declared_severity=declared or severity,
        summary=summary or f"{rule} was judged {status}",
        evidence=evidence,
        cure=cure,
        cause=caused_by,
        caused_by=caused_by,
        remedies=remedies if remedy else (),
    )


def report(
    *findings: Finding,
    endpoints: tuple[Endpoint, ...] = (LOOPBACK,),
    gaps: tuple[Gap, ...] = (),
    beyond_host: tuple[str, ...] = (),
    unrated: str = "",
    privileged: bool = True,
) -> Report:
    score, why = (None, unrated) if unrated else rate(findings)
    return Report(
        tool=Tool(version="0.1.0", ruleset_version="1", ruleset_digest="0" * 64),
        host=ReportHost(
            hostname="neo",
            name="Debian GNU/Linux 12 (bookworm)",
            kernel="6.1.0",
            machine="x86_64",
            ollama_versions=("0.9.3",),
        ),
        started_at=datetime(2026, 11, 24, 9, 0, tzinfo=UTC),
        duration_s=0.4,
        privileged=privileged,
        score=score,
        unrated=why,
        endpoints=endpoints,
        gaps=gaps,
        beyond_host=beyond_host,
        findings=findings,
    )
