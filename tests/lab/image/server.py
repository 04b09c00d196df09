"""Put a real Ollama server into a tree, laid out as Ollama's installer leaves it.

The server is Ollama 0.9.3 from the wheel `bigdl-core-cpp`; Ollama itself is in no registry that a
test machine can be expected to reach. Its libraries want Intel's run-time libraries, which are
wheels too, and a GPU backend, in whose place `sycl_stub.c` stands.
"""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

from tests.lab.image.tiny_model import write_tiny_model
from tests.lab.outer import LabError, cache, command

WHEELS = (
    "bigdl-core-cpp==2.7.0b20260110",
    "intel-cmplr-lib-rt==2025.0.5",
    "intel-sycl-rt==2025.0.5",
    "intel-cmplr-lib-ur==2025.0.5",
)

LIBRARIES = (
    "libggml-base.so",
    "libggml.so",
    "libllama.so",
    "libllava_shared.so",
    "libmtmd_shared.so",
    "libsample.so",
    "libimf.so",
    "libsvml.so",
    "libirng.so",
    "libintlc.so.5",
    "libsycl.so.8",
    "libur_loader.so.0",
)
"""What `ollama serve` is linked with; the processor backends are left out, no model is ever run."""

UNIT = """\
[Unit]
Description=Ollama Service
After=network-online.target

[Service]
ExecStart=/usr/local/bin/ollama serve
User=ollama
Group=ollama
Restart=always
RestartSec=3
Environment="PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

[Install]
WantedBy=default.target
"""
"""/etc/systemd/system/ollama.service as scripts/install.sh (lines 216-231) writes it."""

TOOL_TEMPLATE = "{{ if .Tools }}{{ .Tools }}{{ end }}{{ .Prompt }}"
"""A template that uses `.Tools` is what makes Ollama list a model as able to call tools."""

CREATE_MODELS = r"""
set -eu
ip link set lo up
export HOME=/usr/share/ollama
setpriv --reuid=ollama --regid=ollama --init-groups \
  /usr/local/bin/ollama serve >/tmp/serve.log 2>&1 &
server=$!
until curl -fs http://127.0.0.1:11434/api/version >/dev/null; do
  kill -0 $server || { cat /tmp/serve.log; exit 1; }
  sleep 0.1
done
cd /tmp
ollama create tiny -f tiny.modelfile
ollama create tiny-tools -f tools.modelfile
kill $server
wait $server || true
"""


def install_server(tree: Path) -> None:
    """Install the server, its user and unit, two tiny models, and a container image of it."""
    _install_binaries(tree)
    _install_service(tree)
    _create_models(tree)
    _container_image(tree)


def wheels() -> Path:
    """The folder with the downloaded wheels of `WHEELS`."""
    folder = cache() / "wheels" / "ollama"
    if not (folder / "complete").exists():
        argv = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--pre"]
        command([*argv, "-d", str(folder), *WHEELS])
        (folder / "complete").touch()
    return folder


def _install_binaries(tree: Path) -> None:
    binary = tree / "usr/local/bin/ollama"
    libraries = tree / "usr/local/lib/ollama"
    libraries.mkdir(parents=True)
    wanted = set(LIBRARIES)
    for wheel in sorted(wheels().glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for member in archive.namelist():
                name = Path(member).name
                if "/llama_cpp/" in member or (name not in wanted and name != "ollama-lib"):
                    continue
                target = binary if name == "ollama-lib" else libraries / name
                with archive.open(member) as source, target.open("wb") as sink:
                    shutil.copyfileobj(source, sink)
                wanted.discard(name)
    if wanted:
        raise LabError(f"the wheels hold no {', '.join(sorted(wanted))}")
    binary.chmod(0o755)
    stub = Path(__file__).with_name("sycl_stub.c")
    command(["gcc", "-shared", "-fPIC", "-o", str(libraries / "libggml-sycl.so"), str(stub)])
    (tree / "etc/ld.so.conf.d/ollama.conf").write_text("/usr/local/lib/ollama\n")
    command(["chroot", str(tree), "ldconfig"])


def _install_service(tree: Path) -> None:
    """The steps of Ollama's scripts/install.sh, lines 197-249."""
    inside = ["chroot", str(tree)]
    home = "/usr/share/ollama"
    command([*inside, "useradd", "-r", "-s", "/bin/false", "-U", "-m", "-d", home, "ollama"])
    command([*inside, "usermod", "-a", "-G", "video", "ollama"])
    command([*inside, "usermod", "-a", "-G", "ollama", "ada"])
    (tree / "etc/systemd/system/ollama.service").write_text(UNIT)
    command(["systemctl", f"--root={tree}", "enable", "--quiet", "ollama"])


def _create_models(tree: Path) -> None:
    scratch = tree / "tmp"
    write_tiny_model(scratch / "tiny.gguf")
    (scratch / "tiny.modelfile").write_text("FROM ./tiny.gguf\n")
    (scratch / "tools.modelfile").write_text(f"FROM ./tiny.gguf\nTEMPLATE {TOOL_TEMPLATE}\n")
    isolated = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL"]
    mounted = f'mount -t proc proc "{tree}/proc" && exec chroot "{tree}" bash -s'
    command([*isolated, "bash", "-c", mounted], given=CREATE_MODELS, timeout=120)
    for path in scratch.iterdir():
        path.unlink()


def _container_image(tree: Path) -> None:
    """Keep a tar of just the server and its libraries: the lab's stand-in for `ollama/ollama`."""
    loader = "ldd /usr/local/bin/ollama /usr/bin/sleep | grep -o '/[^ ]*' | sort -u"
    needed = command(["chroot", str(tree), "bash", "-c", loader]).split()
    paths = sorted({path.rstrip(":").lstrip("/") for path in needed})
    extra = ["etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/ld.so.cache"]
    folder = tree / "usr/local/share/oa-lab"
    folder.mkdir(parents=True)
    tar = ["tar", "-C", str(tree), "-chf", str(folder / "ollama.tar"), "--hard-dereference"]
    command([*tar, *paths, *extra])
