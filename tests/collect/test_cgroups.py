"""Control groups as the kernel lists them on hosts of each kind."""

from __future__ import annotations

import pytest

from ollama_audit.collect.cgroups import Membership, membership

ID = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("", Membership()),
        ("0::/\n", Membership()),
        ("0::/init.scope\n", Membership("init.scope")),
        ("0::/system.slice/ollama.service\n", Membership("ollama.service")),
        ("0::/system.slice/ollama.service/sub/group\n", Membership("ollama.service")),
        (
            "0::/system.slice/system-ollama.slice/ollama@b.service\n",
            Membership("ollama@b.service"),
        ),
        (
            "12:pids:/system.slice/ollama.service\n1:name=systemd:/system.slice/ollama.service\n0::/\n",
            Membership("ollama.service"),
        ),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/app.slice/ollama.service\n",
            Membership("ollama.service", 1000),
        ),
        (
            "0::/user.slice/user-1000.slice/user@1000.service/init.scope\n",
            Membership("init.scope", 1000),
        ),
        (
            "0::/user.slice/user-1000.slice/user@1000.service\n",
            Membership("user@1000.service"),
        ),
        ("0::/user.slice/user-0.slice/session-3.scope\n", Membership("session-3.scope")),
        (
            f"0::/system.slice/docker-{ID}.scope\n",
            Membership(f"docker-{ID}.scope", container=ID),
        ),
        (f"11:devices:/docker/{ID}\n0::/\n", Membership(container=ID)),
        (
            f"0::/system.slice/docker-{ID}.scope/system.slice/ollama.service\n",
            Membership(f"docker-{ID}.scope", container=ID),
        ),
        (
            f"0::/machine.slice/libpod-{ID}.scope/container\n",
            Membership(f"libpod-{ID}.scope", container=ID),
        ),
        (
            f"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope\n",
            Membership(f"libpod-{ID}.scope", 1000, ID),
        ),
        (
            f"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope\n",
            Membership(f"cri-containerd-{ID}.scope", container=ID),
        ),
        (f"0::/kubepods/besteffort/pod1/{ID}\n", Membership(container=ID)),
        ("0::/lxc.payload.web1/system.slice/ollama.service\n", Membership(container="web1")),
        ("1:name=systemd:/lxc/web1\n", Membership(container="web1")),
        (
            "0::/machine.slice/machine-my\\x2dhost.scope/payload/system.slice/ollama.service\n",
            Membership("machine-my\\x2dhost.scope", container="my-host"),
        ),
        (
            "0::/machine.slice/systemd-nspawn@deb.service/payload/init.scope\n",
            Membership("systemd-nspawn@deb.service", container="deb"),
        ),
    ],
)
def test_membership(listing: str, expected: Membership) -> None:
    assert membership(listing) == expected
