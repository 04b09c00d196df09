"""The files of a running proxy are found as it finds them, and nothing is run for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ollama_audit.collect.configurations import applications, read_configurations, start
from ollama_audit.collect.rooted import Rooted
from ollama_audit.collect.run import children_started
from ollama_audit.observed import Known, Observed
from ollama_audit.snapshot.process import Process
from tests.hosts import process

TREE = {
    "etc/nginx/nginx.conf": "http { include /etc/nginx/sites/*; include parts/a.inc; }",
    "etc/nginx/available/ai": "server { }",
    "etc/nginx/parts/a.inc": "# empty",
    "etc/nginx/sites/.hidden": "server { }",
    "etc/hosts": "127.0.0.1 localhost\n10.0.0.5 ai-box AI # a name\n",
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file system of its own, in which one site is an absolute link."""
    for name, text in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "etc/nginx/sites/ai").symlink_to("/etc/nginx/available/ai")

    def start(self: Rooted, _: Process, *, ours: bool = False) -> None:
        del ours
        self._root = str(tmp_path)

    monkeypatch.setattr(Rooted, "__init__", start)
    return tmp_path


def arguments(*words: str) -> object:
    """A replacement for reading the command line."""

    def read(_: int) -> Observed[tuple[str, ...]]:
        return Known(words, "/proc/50/cmdline")

    return read


@pytest.mark.usefixtures("root")
def test_nginx_and_its_includes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "raw_arguments", arguments("nginx: master process nginx"))
    before = children_started()
    (found,) = read_configurations([process(50, name="nginx", parent=0)])
    assert [file.path for file in found.files] == [
        "/etc/nginx/nginx.conf",
        "/etc/nginx/sites/ai",
        "/etc/nginx/parts/a.inc",
    ]
    assert found.files[1].text == Known("server { }", "/etc/nginx/sites/ai")
    assert found.names["ai"] == ("10.0.0.5",)
    assert children_started() == before


def test_lighttpd_and_names_made_of_variables(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = {
        "lighttpd.conf": 'var.conf_dir = "/etc/lighttpd"\ninclude conf_dir + "/conf.d/*.conf"\n',
        "conf.d/a.conf": '$HTTP["url"] =~ "^/" { include "more/b.conf"\n }\n',
        "more/b.conf": "",
    }
    for name, text in tree.items():
        path = root / "etc/lighttpd" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(start, "raw_arguments", arguments("lighttpd", "-D"))
    (found,) = read_configurations([process(50, name="lighttpd", parent=0)])
    assert [file.path for file in found.files] == [f"/etc/lighttpd/{name}" for name in tree]


@pytest.mark.usefixtures("root")
def test_nothing_is_kept_of_open_webui_but_its_login(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"name": "ours", "features": {"auth": True, "enable_signup": False, "x": 1}}

    def answered(*_: object) -> Observed[dict[str, object]]:
        return Known({"/api/config": told}, "GET /api/config")

    monkeypatch.setattr(applications, "documents", answered)
    (found,) = read_configurations([process(50, name="open-webui", parent=0)])
    assert found.running == Known(
        '{"auth": true, "enable_signup": false, "onboarding": false}', "GET /api/config"
    )
    (unasked,) = read_configurations([process(50, name="open-webui", parent=0)], probe=False)
    assert unasked.running is None


@pytest.mark.usefixtures("root")
def test_litellm_reads_from_its_own_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "raw_arguments", arguments("litellm", "--config", "a.yaml"))
    monkeypatch.setattr(applications, "folder", lambda _: "/srv/ai")
    (found,) = read_configurations([process(50, name="litellm", parent=0)])
    assert found.main == "/srv/ai/a.yaml"


@pytest.mark.usefixtures("root")
def test_the_file_that_was_named(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ("nginx: master process nginx -c /srv/other.conf",)
    monkeypatch.setattr(start, "raw_arguments", arguments(*words))
    (found,) = read_configurations([process(50, name="nginx", parent=0)])
    assert found.main == "/srv/other.conf"
    assert not isinstance(found.files[0].text, Known)


def test_links_do_not_lead_out(root: Path) -> None:
    (root / "etc/out").symlink_to("../../../../../../etc/hosts")
    rooted = Rooted(process(50))
    assert rooted.real("/etc/out") == f"{root}/etc/hosts"
    (root / "etc/loop").symlink_to("loop")
    assert not rooted.exists("/etc/loop")


def test_others_are_left_alone() -> None:
    assert read_configurations([process(51, name="postgres", parent=0)]) == ()
