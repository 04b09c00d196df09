"""Ollama runs with another configuration than its unit now gives.

## What it checks

The Ollama variables and the user of a running server are those that its unit, drop-ins and
environment files give today, and systemd has loaded those files as they are. A program file that
was replaced since the start counts as well.

## Why it matters

What you read in the files is not what runs. A server that looks closed may be open, and the next
restart, perhaps at night by an update, brings the other configuration to life.

## Fix by hand

    sudo systemctl daemon-reload
    sudo systemctl restart ollama

Look first at what the files say: where they are more open than the running server, a restart
opens it.

## Limits

Only servers that systemd runs have files to compare with. Values that a snapshot withholds are
not compared. Specifiers (`%h`) are not resolved.

## References

- NIST CSF 2.0 PR.PS-01
- NIST SP 800-53 CM-6, CM-3
- CIS Controls v8.1 4.1 Establish and Maintain a Secure Configuration Process
- BSI OPS.1.1.1.A8 Regelmäßiger Soll-Ist-Vergleich
"""

from __future__ import annotations

from ollama_audit.rule import (
    BindScope,
    Disruption,
    Evidence,
    Host,
    ManagedServer,
    Outcome,
    Remedy,
    Setting,
    Severity,
    Unknown,
    UnobservedError,
    bind_of,
    failed,
    managed_servers,
    need,
    not_applicable,
    on_disk,
    passed,
    place,
    rule,
    unread,
    unseen,
    variable,
)


def _restartable(host: Host) -> tuple[str, ...]:
    """Units that differ, if no restart opens a server more than it is now; else none."""
    found = []
    for each in managed_servers(host.snapshot):
        if any(file.ignored_from for file in each.unit.files):
            return ()  # reading it again changes nothing
        try:
            if not _stale(each) and not _differing(each):
                continue
            will_be = on_disk(each.unit).get("OLLAMA_HOST")
            is_now = variable(each.server, "OLLAMA_HOST")
        except UnobservedError:
            return ()
        value = will_be.value if will_be else None
        # A value that is withheld, or has a specifier in it, is not judged.
        if will_be and (value is None or "%" in value):
            return ()
        if value != is_now and bind_of(value).scope is not BindScope.LOOPBACK:
            return ()
        found.append(each.unit.name)
    return tuple(found)


@rule(
    severity=Severity.MEDIUM,
    remedies=(
        Remedy(
            name="restart",
            title="read the unit again and restart",
            applies=lambda host: bool(_restartable(host)),
            disruption=Disruption.RESTART,
            values=lambda host: {"units": _restartable(host)},
            restarts=_restartable,
        ),
    ),
)
def running_configuration_differs(host: Host) -> Outcome:
    """Compare every managed server with the files of its unit."""
    managed = managed_servers(host.snapshot)
    evidence: list[Evidence] = []
    doubts: list[Unknown] = []
    about_bind = False
    for each in managed:
        evidence += _stale(each)
        try:
            differing = _differing(each)
        except UnobservedError as unobserved:
            doubts.append(unobserved.fact)
            continue
        about_bind = about_bind or "OLLAMA_HOST" in differing
        evidence += differing.values()
    if evidence:
        units = ", ".join(dict.fromkeys(each.unit.name for each in managed))
        return failed(
            f"What runs is not what the files of {units} say",
            tuple(evidence),
            severity=Severity.HIGH if about_bind else None,
        )
    need(host.snapshot.servers)
    need(host.snapshot.units)
    if doubts := [*doubts, *unseen(host.snapshot)]:
        return unread(*doubts)
    if not managed:
        return not_applicable("no running server belongs to a systemd unit")
    return passed("Ollama runs as the files of its unit say")


def _stale(each: ManagedServer) -> list[Evidence]:
    found = [
        Evidence(
            f"{file.path}:{file.ignored_from}",
            "this line is not UTF-8, and systemd ignores it and the rest of the file",
        )
        for file in each.unit.files
        if file.ignored_from
    ]
    if each.unit.need_daemon_reload:
        text = "files changed since systemd loaded them (NeedDaemonReload=yes)"
        found.append(Evidence(each.unit.name, text))
    if each.server.process.executable_deleted:
        text = "the program file was replaced or removed since the start"
        found.append(Evidence(f"process {each.server.pid}", text))
    return found


def _differing(each: ManagedServer) -> dict[str, Evidence]:
    """What differs, by variable; `User` for the user."""
    given = on_disk(each.unit)
    # Of equal names Go reads the first.
    running = {setting.name: setting for setting in reversed(need(each.server.environment))}
    # systemd.exec(5): taken from the manager, or taken away after everything else.
    passed_on = each.unit.properties.get("PassEnvironment", "").split()
    for name in each.unit.properties.get("UnsetEnvironment", "").split():
        given.pop(name.partition("=")[0], None)
    names = sorted(
        name
        for name in given.keys() | running.keys()
        if name.startswith("OLLAMA_") and name not in passed_on
    )
    found: dict[str, Evidence] = {}
    for name in names:
        now, then = given.get(name), running.get(name)
        withheld = (now and now.value is None) or (then and then.value is None)
        specifier = now is not None and "%" in (now.value or "")
        if withheld or specifier or _alike(name, now, then):
            continue
        source = place(now) if now else each.unit.name
        will_be = now.value if now else "not set"
        is_now = then.value if then else "not set"
        found[name] = Evidence(
            source, f"{name}: {will_be} in the files, {is_now} in process {each.server.pid}"
        )
    user, written = each.server.process.user, each.unit.user or "root"
    uid = need(each.server.process.uid)
    is_it = written in (user, str(uid)) or (written == "root" and uid == 0)
    if user and not is_it and not each.unit.dynamic_user:
        found["User"] = Evidence(each.unit.name, f"User={written}, and {user} runs it")
    return found


def _alike(name: str, one: Setting | None, two: Setting | None) -> bool:
    """Whether Ollama takes both for the same; nothing and the empty text are."""
    left, right = (one.value or "") if one else "", (two.value or "") if two else ""
    if name == "OLLAMA_HOST":
        written, running = bind_of(left), bind_of(right)
        return (written.host, written.port) == (running.host, running.port)
    return left == right
