"""The table that the four `reachable-from-...` rules share, for one zone."""

from __future__ import annotations

from msgspec.structs import replace

from ollama_audit.rule import (
    Extent,
    Family,
    Gap,
    Hop,
    Known,
    Login,
    Severity,
    Status,
    Unknown,
    Zone,
)
from tests.cases import Case
from tests.hosts import (
    GAP,
    HIDDEN,
    LOOPBACK,
    Reach,
    endpoint,
    exposure,
    host,
    model,
    part,
    server,
    servers,
)

RANKS = list(Severity)
NGINX = (
    Hop(kind="reverse-proxy", name="nginx", pid=5, detail="/etc/nginx/sites-enabled/ai:4"),
    Hop(kind="socket", name="ollama", pid=812),
)
DOCKER = (
    Hop(kind="dnat", name="DNAT to 172.17.0.2:11434", detail="nat DOCKER rule 2"),
    Hop(kind="socket", name="ollama", pid=2001),
)
TUNNEL = Gap(subject="cloudflared (process 77)", reason="only its provider knows where it leads")


def at(zone: Zone, reach: Reach) -> dict[str, Reach]:
    """The argument of `endpoint` for a zone."""
    return {str(zone): reach}


def reach_cases(zone: Zone, declared: Severity) -> list[Case]:
    """What a rule of reach must say, whichever its zone."""
    return [*_open(zone, declared), *_shut(zone), *_doubtful(zone)]


def _raised(severity: Severity, steps: int) -> Severity:
    return RANKS[min(severity.rank + steps, Severity.CRITICAL.rank)]


def _open(zone: Zone, declared: Severity) -> list[Case]:
    everybody = endpoint(**at(zone, Extent.ALL))  # type: ignore[arg-type]
    one = endpoint(
        **at(  # type: ignore[arg-type]
            zone,
            (
                part(zone, Family.IPV4, Extent.SOME, networks=("192.0.2.7/32",)),
                part(zone, Family.IPV6, Extent.NONE),
            ),
        )
    )
    half = endpoint(
        **at(  # type: ignore[arg-type]
            zone,
            (
                part(zone, Family.IPV4, Extent.SOME, networks=("192.0.2.0/25",)),
                part(zone, Family.IPV6, Extent.NONE),
            ),
        )
    )
    tools = servers(server(models=Known((model("qwen3:8b", "tools"),), "GET /api/tags")))
    proxied = endpoint("0.0.0.0:80", hops=NGINX, **at(zone, Extent.ALL))  # type: ignore[arg-type]
    published = endpoint("[::]:11434", hops=DOCKER, **at(zone, Extent.ALL))  # type: ignore[arg-type]
    v6 = endpoint(**at(zone, (Extent.NONE, Extent.ALL)))  # type: ignore[arg-type]
    return [
        Case(
            "open to all", host(exposure=exposure(everybody)), Status.FAIL, "ufw rule 1", declared
        ),
        Case(
            "open to all, with models that call tools",
            host(exposure=exposure(everybody), servers=tools),
            Status.FAIL,
            severity=_raised(declared, 1),
        ),
        Case("open by IPv6 alone", host(exposure=exposure(v6)), Status.FAIL, "IPv6 from"),
        Case(
            "open to part of a network",
            host(exposure=exposure(half)),
            Status.FAIL,
            "192.0.2.0/25",
            declared,
        ),
        Case(
            "open to one address",
            host(exposure=exposure(one)),
            Status.FAIL,
            "192.0.2.7)",
            RANKS[declared.rank - 1],
        ),
        Case(
            "open on part of the API, the rest behind a login",
            host(exposure=exposure(replace(proxied, open_paths=("/api/tags",)))),
            Status.FAIL,
            "can use part of Ollama's API (/api/tags) at 0.0.0.0:80 without a login",
        ),
        Case(
            "the same beside a way to all of it",
            host(exposure=exposure(everybody, replace(proxied, open_paths=("/api/tags",)))),
            Status.FAIL,
            "can use, replace or delete your models at 0.0.0.0:11434 without a login",
        ),
        Case(
            "open through a proxy, Ollama itself on loopback",
            host(exposure=exposure(LOOPBACK, proxied)),
            Status.FAIL,
            "nginx (/etc/nginx/sites-enabled/ai:4) > ollama",
        ),
        Case(
            "open through a published container port",
            host(exposure=exposure(published)),
            Status.FAIL,
            "DNAT to 172.17.0.2:11434",
        ),
        Case(
            "open, and a tunnel that nobody can judge",
            host(exposure=exposure(everybody, gaps=(TUNNEL,))),
            Status.FAIL,
        ),
        Case(
            "open, and processes that hide",
            host(exposure=exposure(everybody), unseen=9),
            Status.FAIL,
        ),
    ]


def _shut(zone: Zone) -> list[Case]:
    locked = endpoint("0.0.0.0:443", login=Login.REQUIRED, **at(zone, Extent.ALL))  # type: ignore[arg-type]
    vague = endpoint(login=Login.REQUIRED, **at(zone, Extent.UNKNOWN))  # type: ignore[arg-type]
    return [
        Case("as installed", host(), Status.PASS, "Nobody gets to Ollama"),
        Case(
            "every address, shut by the firewall",
            host(exposure=exposure(endpoint(**at(zone, Extent.NONE)))),  # type: ignore[arg-type]
            Status.PASS,
        ),
        Case(
            "no way to that zone at all",
            host(exposure=exposure(endpoint(**at(zone, Extent.ABSENT)))),  # type: ignore[arg-type]
            Status.PASS,
        ),
        Case("behind a login", host(exposure=exposure(locked)), Status.PASS, "must log in"),
        Case("behind a login, filter unclear", host(exposure=exposure(vague)), Status.PASS),
        Case("no server", host(servers=servers(), exposure=exposure()), Status.NOT_APPLICABLE),
    ]


def _doubtful(zone: Zone) -> list[Case]:
    limited = endpoint(
        **at(  # type: ignore[arg-type]
            zone,
            (
                part(
                    zone,
                    Family.IPV4,
                    Extent.UNKNOWN,
                    because=("ufw rule 1: LIMIT",),
                    cure="nft list ruleset",
                ),
                part(zone, Family.IPV6, Extent.NONE),
            ),
        )
    )
    half_locked = endpoint(login=Login.UNKNOWN, **at(zone, Extent.ALL))  # type: ignore[arg-type]
    perhaps = endpoint(certain=False, **at(zone, Extent.ALL))  # type: ignore[arg-type]
    return [
        Case("filter unclear", host(exposure=exposure(limited)), Status.UNKNOWN, "LIMIT"),
        Case("login unclear", host(exposure=exposure(half_locked)), Status.UNKNOWN, "login"),
        Case("perhaps not Ollama", host(exposure=exposure(perhaps)), Status.UNKNOWN, "leads to"),
        Case(
            "a tunnel that nobody can judge",
            host(exposure=exposure(LOOPBACK, gaps=(TUNNEL,))),
            Status.UNKNOWN,
            "only its provider knows",
        ),
        Case(
            "firewall unread",
            host(exposure=exposure(endpoint(), gaps=(GAP,))),
            Status.UNKNOWN,
            "only root",
        ),
        Case("processes unread", host(servers=HIDDEN, exposure=exposure()), Status.UNKNOWN),
        Case("processes that hide", host(unseen=31), Status.UNKNOWN, "31 processes"),
        Case(
            "number of hidden processes unread",
            host(unseen=Unknown("no /proc", "/proc")),
            Status.UNKNOWN,
            "no /proc",
        ),
    ]
