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

# Both engines: control groups writable, storage not on the overlay that the host lives on.
container_engine() {
  local group
  for group in /sys/fs/cgroup/*/; do mount -o remount,bind,rw "$group"; done
  mkdir -p /var/lib/docker /var/lib/containers
  mount -t tmpfs docker /var/lib/docker
  mount -t tmpfs containers /var/lib/containers
  systemctl disable -q --now ollama
  [ -e /dev/net/tun ] || { mkdir -p /dev/net && mknod /dev/net/tun c 10 200; }
  chmod 666 /dev/net/tun
  [ -e /dev/fuse ] || mknod /dev/fuse c 10 229
  chmod 666 /dev/fuse
}

image_changes=(
  -c 'ENV OLLAMA_HOST=0.0.0.0:11434' -c 'ENV PATH=/usr/local/bin:/usr/bin'
  -c 'ENTRYPOINT ["/usr/local/bin/ollama"]' -c 'CMD ["serve"]'
)

# with_docker [DAEMON.JSON]: start Docker with the image ollama/ollama.
with_docker() {
  container_engine
  if [ $# -gt 0 ]; then mkdir -p /etc/docker && echo "$1" >/etc/docker/daemon.json; fi
  systemctl start docker
  docker import "${image_changes[@]}" /usr/local/share/oa-lab/ollama.tar ollama/ollama >/dev/null
}

# nginx_image: the image nginx, which passes everything on to http://ollama:11434.
nginx_image() {
  local tree=/run/lab/nginx file
  mkdir -p "$tree"/{etc/nginx,var/log/nginx,var/lib/nginx,run,tmp}
  for file in /usr/sbin/nginx /lib64/ld-linux-x86-64.so.2 /usr/lib/*/libnss_dns.so.2 \
    /usr/lib/*/libnss_files.so.2 $(ldd /usr/sbin/nginx | grep -o '/[^ ]*'); do
    mkdir -p "$tree$(dirname "$file")"
    cp -L "$file" "$tree$file"
  done
  printf 'root:x:0:0::/:\nnobody:x:65534:65534::/:\n' >"$tree/etc/passwd"
  printf 'root:x:0:\nnogroup:x:65534:\n' >"$tree/etc/group"
  echo 'hosts: files dns' >"$tree/etc/nsswitch.conf"
  cat >"$tree/etc/nginx/nginx.conf" <<'END'
user nobody nogroup;
events {}
http {
  server {
    listen 80;
    location / {
      proxy_pass http://ollama:11434;
      proxy_set_header Host localhost;
    }
  }
}
END
  tar -C "$tree" -c . | docker import \
    -c 'ENTRYPOINT ["/usr/sbin/nginx", "-g", "daemon off;"]' - nginx >/dev/null
}

# with_podman [USER]: give this user's podman the image localhost/ollama.
with_podman() {
  container_engine
  as "${1:-root}" podman import -q "${image_changes[@]}" /usr/local/share/oa-lab/ollama.tar \
    localhost/ollama
}

# as USER COMMAND...: run by the user's own service manager; what it leaves running stays.
as() {
  local user=$1
  shift
  if [ "$user" = root ]; then "$@"; return; fi
  (
    cd "/home/$user" || exit
    setpriv --reuid="$user" --regid="$user" --init-groups \
      env HOME="/home/$user" USER="$user" XDG_RUNTIME_DIR="/run/user/$(id -u "$user")" \
      systemd-run --user --quiet --property=Type=oneshot --property=RemainAfterExit=yes "$@"
  )
}

# docker_client NAME: a container beside the server, and where the harness finds its namespace.
docker_client() {
  docker run -d --name "$1" --entrypoint /usr/bin/sleep ollama/ollama infinity >/dev/null
  docker inspect -f '{{.State.Pid}}' "$1" >"/run/lab/$1"
}
