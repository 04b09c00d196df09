# shellcheck shell=bash
# Shell functions for the set-up of scenarios.

# until_open PORT [ADDRESS]: wait until something accepts connections there.
until_open() {
  local tries=200
  until (exec 3<>"/dev/tcp/${2:-127.0.0.1}/$1") 2>/dev/null; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { echo "nothing listens on ${2:-127.0.0.1}:$1" >&2; ss -ltnp >&2; return 1; }
    sleep 0.1
  done
}

# ollama_host VALUE: set OLLAMA_HOST in a drop-in, as Ollama's documentation says, and restart.
ollama_host() {
  mkdir -p /etc/systemd/system/ollama.service.d
  printf '[Service]\nEnvironment="OLLAMA_HOST=%s"\n' "$1" \
    >/etc/systemd/system/ollama.service.d/override.conf
  systemctl daemon-reload
  systemctl restart ollama
}
