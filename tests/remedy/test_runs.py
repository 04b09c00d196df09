"""What a script does to a machine: applies, verifies, rolls back, stops, and takes it all back."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from ollama_audit.engine import evaluate
from ollama_audit.registry import load_rules
from ollama_audit.remedy.plan import plan
from ollama_audit.remedy.script import script
from ollama_audit.rule import Disruption, FileRole, Known, Remedy, Rule, Severity
from tests.hosts import MODELS, files, folder, host, namespace
from tests.remedy.sandbox import Said, available, play
from tests.remedy.test_plan import bad_rule

WHY_NOT = available()
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)

RULES = load_rules()
OPEN = host(namespaces=Known((namespace("0.0.0.0:11434"),), "/proc/*/ns/net"))

IN_A_DROP_IN = """
mkdir $unit.d
printf '[Service]\\nEnvironment=OLLAMA_HOST=0.0.0.0\\n' >$unit.d/override.conf
"""
IN_AN_ENVIRONMENT_FILE = """
mkdir $unit.d
printf '[Service]\\nEnvironmentFile=/srv/ollama.env\\n' >$unit.d/override.conf
echo OLLAMA_HOST=0.0.0.0:11434 >/srv/ollama.env
"""


def bind_script(*more: Rule) -> str:
    """The script that binds Ollama to loopback, and more steps."""
    rules = tuple(rule for rule in RULES if rule.name == "listens-beyond-loopback") + more
    return script(plan(evaluate(rules, OPEN), OPEN, rules), OPEN, rules)


def step(  # noqa: PLR0913 - one argument a block
    folder: Path,
    name: str,
    *,
    files: str = ":",
    apply: str = ":",
    verify: str = "false",
    restarts: bool = False,
) -> Rule:
    """A rule that fails, and a remedy of these commands."""
    rule = bad_rule(
        name,
        Remedy(
            name="test",
            title="test",
            applies=lambda _: True,
            disruption=Disruption.RESTART if restarts else Disruption.NONE,
            restarts=lambda _: ("ollama.service",) if restarts else (),
        ),
        severity=Severity.LOW,
    )
    template = rule.template(rule.remedies[0]).name
    blocks = {"files": files, "apply": apply, "verify": verify, "undo": ":"}
    text = "".join(f"{{% block {n} %}}\n{body}\n{{% endblock %}}\n" for n, body in blocks.items())
    (folder / template).write_text('{% extends "step.sh.j2" %}\n' + text)
    return Rule(
        name=rule.name,
        severity=rule.severity,
        check=rule.check,
        manual=rule.manual,
        path=folder / rule.path.name,
        remedies=rule.remedies,
    )


def steps_script(*rules: Rule) -> str:
    return script(plan(evaluate(rules, OPEN), OPEN, rules), OPEN, rules)


@pytest.mark.parametrize("how", [IN_A_DROP_IN, IN_AN_ENVIRONMENT_FILE])
def test_closes_stays_closed_and_can_be_undone(tmp_path: Path, how: str) -> None:
    said = play(
        tmp_path,
        bind_script(),
        how
        + """
up; remember; listening
echo FIRST; harden; listening; look >/tmp/mended
echo SECOND; harden; look | diff /tmp/mended - && echo UNCHANGED; run_of | wc -l
echo UNDO; harden --undo; same; listening
""",
    )

    assert said.text.startswith("0.0.0.0:11434\n")
    first = said.after("FIRST").partition("SECOND")[0]
    assert "EXIT 0\n127.0.0.1:11434\n" in first
    second = said.after("SECOND").partition("UNDO")[0]
    assert "nothing to change\nEXIT 0\nUNCHANGED\n1\n" in second
    assert "EXIT 0\nSAME\n0.0.0.0:11434\n" in said.after("UNDO")


def test_a_dry_run_shows_and_changes_nothing(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        bind_script(),
        IN_A_DROP_IN
        + "up; remember; harden --dry-run; same; listening; run_of; ls -A /var/backups",
    )

    assert "+OLLAMA_HOST=127.0.0.1:11434\n" in said
    assert "restarts ollama.service\nnothing was changed\nEXIT 0\nSAME\n0.0.0.0:11434\n" in said
    assert said.text.endswith("No such file or directory\n")


@pytest.mark.parametrize(
    "knob", ["wide-open", "mute", "dies", "restart-fails", "opens-another", "forgets"]
)
def test_what_does_not_work_is_rolled_back(tmp_path: Path, knob: str) -> None:
    said = play(
        tmp_path,
        bind_script().replace("PATIENCE=60", "PATIENCE=1"),
        IN_A_DROP_IN + f"up; remember; touch /run/stub/{knob}; harden; rm -f /run/stub/*-*; same",
    )

    assert "rolling back" in said
    assert "EXIT 6\nSAME\n" in said


def test_a_new_socket_for_others_is_not_let_pass(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        steps_script(
            step(
                tmp_path,
                "is-bad",
                files="keep /srv/made",
                apply="echo x | write_file /srv/made 0644\nrestart_unit ollama.service",
                verify="[[ -e /srv/made ]]",
                restarts=True,
            )
        ),
        "up; remember; touch /run/stub/wide-open; harden; same",
    )

    assert "newly open: 0.0.0.0:11434" in said
    assert "EXIT 6\nSAME\n" in said


def test_a_restart_that_would_open_is_refused(tmp_path: Path) -> None:
    """The files say more than the running server: a restart for any reason would open it."""
    said = play(
        tmp_path,
        steps_script(step(tmp_path, "is-bad", apply="restart_unit ollama.service", restarts=True)),
        "up\n" + IN_A_DROP_IN + "remember; harden; same; listening; cat /run/stub/log",
    )

    assert "would take OLLAMA_HOST=0.0.0.0 from its files" in said
    assert said.text.endswith("EXIT 6\nSAME\n127.0.0.1:11434\nrestart ollama.service\n")


def test_closing_comes_before_what_would_open(tmp_path: Path) -> None:
    """With the bind among the steps, the same host can be restarted.

    systemd has not read the drop-in yet, so that its own answer still is that all is well.
    """
    more = step(
        tmp_path,
        "is-bad",
        files="keep /srv/made",
        apply="echo x | write_file /srv/made 0644\nrestart_unit ollama.service",
        verify="[[ -e /srv/made ]]",
        restarts=True,
    )
    said = play(
        tmp_path,
        bind_script(more),
        "up\n" + IN_A_DROP_IN + "harden; listening; cat /run/stub/log",
    )

    assert said.text.endswith("EXIT 0\n127.0.0.1:11434\n" + "restart ollama.service\n" * 2)


def test_one_restart_for_all_and_one_by_one_if_that_fails(tmp_path: Path) -> None:
    """A bad step costs the others nothing."""
    bad = step(
        tmp_path,
        "is-bad",
        files="keep /srv/bad",
        apply="echo x | write_file /srv/bad 0644\nrestart_unit ollama.service",
        restarts=True,
    )
    said = play(
        tmp_path,
        bind_script(bad),
        IN_A_DROP_IN + "up; harden; listening; ls /srv; echo UNDO; rm -f /tmp/was; harden --undo; "
        "listening",
    )

    assert "once more, one by one" in said
    assert "failed and rolled back: is-bad.test\nEXIT 6\n127.0.0.1:11434\nUNDO\n" in said
    assert said.text.endswith("EXIT 0\n0.0.0.0:11434\n")


def test_a_command_that_fails_midway_ends_the_step(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        steps_script(
            step(
                tmp_path,
                "is-bad",
                files="keep /srv/one\nkeep /srv/two",
                apply="echo x | write_file /srv/one 0644\nfalse\necho x | write_file /srv/two 0644",
                verify="[[ -e /srv/two ]]",
            )
        ),
        "remember; harden; same",
    )

    assert "wrote /srv/one" in said
    assert "wrote /srv/two" not in said
    assert "EXIT 6\nSAME\n" in said


def test_nothing_is_written_that_was_not_kept(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        steps_script(
            step(
                tmp_path,
                "is-bad",
                files="keep /srv/one",
                apply="echo x | write_file /srv/two 0644",
                verify="[[ -e /srv/two ]]",
            ),
            step(
                tmp_path,
                "is-worse",
                files="keep_attributes /srv/file",
                apply="change_mode 0777 /srv",
                verify="[[ -e /srv/two ]]",
            ),
        ),
        "touch /srv/file; remember; harden; same",
    )

    assert "/srv/two was not kept" in said
    assert "owner and mode of /srv were not kept" in said
    assert "EXIT 6\nSAME\n" in said


FILES = r"""
mkdir -p '/srv/a b/$(touch x)' /srv/tree/deep
printf 'old\n' >'/srv/a b/$(touch x)/new
line'
chown 12:34 '/srv/a b/$(touch x)/new
line'
chmod 4751 '/srv/a b/$(touch x)/new
line'
ln -s nowhere /srv/link
printf x >/srv/tree/deep/file; chmod 6777 /srv/tree/deep/file; chown -h 55:66 /srv/tree/deep/file
chmod 1777 /srv/tree
ln -s /etc/passwd /srv/tree/deep/link
touch -d 2020-01-01 /srv/tree /srv/tree/deep /srv/tree/deep/file /srv /srv/a*/*/*
"""


def everything(folder: Path) -> Rule:
    """A step that changes all kinds of things."""
    return step(
        folder,
        "is-bad",
        files=r"""
keep '/srv/a b/$(touch x)/new
line'
keep /srv/link
keep /srv/not/yet/there
keep_tree /srv/tree""",
        apply=r"""
echo new | write_file '/srv/a b/$(touch x)/new
line' 0600
echo new | write_file /srv/link 0600
echo new | write_file /srv/not/yet/there 0600
change_tree_owner 1:1 /srv/tree
change_tree_mode go-w /srv/tree""",
        verify="[[ -f /srv/link && -e /srv/not/yet/there && $(stat -c %u /srv/tree) == 1 ]]",
    )


def test_every_byte_mode_owner_and_time_comes_back(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        steps_script(everything(tmp_path)),
        FILES + "remember; harden; look | diff /tmp/was - | wc -l; harden --undo; same; "
        "ls -l /etc/passwd; stat -c %a /var/backups/ollama-audit /var/backups/ollama-audit/*",
    )

    assert "EXIT 0\n0\n" not in said
    assert "EXIT 0\nSAME\n-rw-r--r--" in said
    assert " root root " in said.after("SAME")
    assert said.text.endswith("700\n700\n")


def test_undo_does_not_overwrite_what_somebody_changed(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        steps_script(everything(tmp_path)),
        FILES
        + "remember; harden; echo mine >/srv/not/yet/there; chmod 700 /srv/tree/deep\n"
        + "echo UNDO; harden --undo; cat /srv/not/yet/there; stat -c %a /srv/tree/deep\n"
        + "echo FORCE; harden --undo --force; same",
    )

    refused = said.after("UNDO").partition("FORCE")[0]
    assert "changed since the run" in refused
    assert "  /srv/not/yet/there\n" in refused
    assert "  /srv/tree/deep\n" in refused
    assert refused.endswith("EXIT 2\nmine\n700\n")
    assert "EXIT 0\nSAME\n" in said.after("FORCE")


def test_models_come_and_go_between_a_run_and_its_undo(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        steps_script(everything(tmp_path)),
        FILES
        + "harden; cd /srv/tree/deep; rm file; touch more; chown 1:1 more\n"
        + "harden --undo; ls /srv/tree/deep; stat -c '%u %a' /srv/tree",
    )

    assert said.text.endswith("EXIT 0\nlink\nmore\n0 1777\n")


def test_a_folder_that_somebody_uses_now_is_left(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        steps_script(everything(tmp_path)),
        FILES + "harden; echo mine >/srv/not/mine; harden --undo; find /srv/not",
    )

    assert "left /srv/not, which is not empty" in said
    assert said.text.endswith("EXIT 0\n/srv/not\n/srv/not/mine\n")


def test_a_hostile_path_is_only_a_path(tmp_path: Path) -> None:
    """Whoever names the models folder may not thereby run a command as root."""
    name = "/srv/$(touch x)`id`';\"\n$HOME"
    at = host(
        files=files({name: (FileRole.MODELS, folder(0o777, user="ollama"))}, without=[MODELS])
    )
    text = script(
        plan(evaluate(RULES, at), at, RULES, only=["models-writable-by-others"]), at, RULES
    )
    said = play(
        tmp_path,
        text,
        f"models={shlex.quote(name)}\n"
        'mkdir "$models"; chmod 777 "$models"; : >"$models/blob"; chmod 666 "$models/blob"\n'
        'remember; harden; stat -c %a "$models" "$models/blob"; find /tmp /srv -name x\n'
        "harden --undo; same",
    )

    assert "EXIT 0\n755\n644\n" in said
    assert "/x\n" not in said
    assert said.text.endswith("EXIT 0\nSAME\n")


@pytest.mark.parametrize("signal", ["INT", "TERM", "HUP"])
def test_an_interrupted_run_is_rolled_back(tmp_path: Path, signal: str) -> None:
    said = play(
        tmp_path,
        bind_script(),
        IN_A_DROP_IN
        + f"""
up; remember; touch /run/stub/slow-restart; set -m
bash /tmp/harden.sh </dev/null &
until [ -e /run/stub/restarting ]; do sleep 0.02; done
rm /run/stub/slow-restart
kill -s {signal} -- -$!; wait $!; echo EXIT $?
same; listening; bash /tmp/harden.sh --list
""",
    )

    assert "interrupted: rolling back" in said
    assert "EXIT 130\nSAME\n0.0.0.0:11434\n" in said
    assert said.text.endswith("rolled-back\n")


def test_a_run_that_was_cut_off_must_be_undone_first(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        bind_script(),
        IN_A_DROP_IN
        + """
up; remember; touch /run/stub/slow-restart; set -m
bash /tmp/harden.sh </dev/null &
until [ -e /run/stub/restarting ]; do sleep 0.02; done
rm /run/stub/slow-restart
kill -s KILL -- -$!; wait $!
echo AGAIN; harden
echo UNDO; harden --undo; same; listening
""",
    )

    assert "was cut off: bash /var/backups/ollama-audit/" in said.after("AGAIN")
    assert "EXIT 2\n" in said.after("AGAIN")
    assert "EXIT 0\nSAME\n0.0.0.0:11434\n" in said.after("UNDO")


def test_an_older_script_is_undone_by_its_own_copy(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        bind_script(),
        IN_A_DROP_IN + "up; remember; harden; echo '# another' >>harden.sh; harden --undo; same",
    )

    assert "EXIT 0\nSAME\n" in said


def test_a_stopped_service_is_not_started(tmp_path: Path) -> None:
    said = play(
        tmp_path,
        bind_script(),
        IN_A_DROP_IN
        + "systemctl daemon-reload; remember; harden; cat /run/stub/log; harden\n"
        + "harden --undo; same",
    )

    assert "/run/stub/log: No such file" in said
    assert "already in effect\nnothing to change\nEXIT 0\n" in said
    assert "EXIT 0\nSAME\n" in said


@pytest.mark.parametrize(
    ("before", "arguments", "says"),
    [
        ("hostname other;", "", "made for host neo, and this is other"),
        ("", "--only nonsense", "no step nonsense; there are listens-beyond-loopback.systemd"),
        ("", "--undo", "no run is kept"),
        ("", "--undo ../..", "no run is kept"),
        ("", "--nonsense", "usage: bash harden.sh"),
    ],
)
def test_wrong_use_is_refused(tmp_path: Path, before: str, arguments: str, says: str) -> None:
    said = play(
        tmp_path,
        bind_script(),
        f"{IN_A_DROP_IN} up; {before} remember; harden {arguments}; same",
    )

    assert says in said
    assert "EXIT 2\nSAME\n" in said


def test_any_host_and_one_step(tmp_path: Path) -> None:
    said: Said = play(
        tmp_path,
        bind_script(step(tmp_path, "is-bad")),
        IN_A_DROP_IN + "up; hostname other; harden --any-host --only 2; harden --any-host --only "
        "listens-beyond-loopback; listening",
    )

    assert "EXIT 6\n" not in said.after("EXIT 0")
    assert said.text.endswith("EXIT 0\n127.0.0.1:11434\n")
