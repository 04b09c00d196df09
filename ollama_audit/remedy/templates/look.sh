# --- What is in effect: units as systemd has them, sockets as the kernel has them ----------------

# The TCP sockets in state LISTEN that process $1 holds, one `ADDRESS:PORT` a line, in the hex of
# /proc/net/tcp (proc(5)); read through the process, so that its own network namespace is meant.
sockets_of() {
  local held line fields
  held=" $(find "/proc/$1/fd" -lname 'socket:*' -printf '%l ' 2>/dev/null || true)"
  while read -r line; do
    read -ra fields <<<"$line"
    [[ $held == *" socket:[${fields[9]}] "* ]] && printf '%s\n' "${fields[1]}"
  done < <(cat "/proc/$1/net/tcp" "/proc/$1/net/tcp6" 2>/dev/null |
    grep -E '^ *[0-9]+: [0-9A-F:]+ [0-9A-F]+:0000 0A ' || true)
  return 0
}

# The processes of unit $1: its main process and whatever is in its control group.
processes_of() {
  local main group
  main=$(systemctl show --property=MainPID --value -- "$1")
  group=$(systemctl show --property=ControlGroup --value -- "$1")
  {
    [[ ${main:-0} == 0 ]] || printf '%s\n' "$main"
    [[ -z $group ]] || grep -lF -e ":$group" /proc/[0-9]*/cgroup 2>/dev/null | cut -d/ -f3 || true
  } | sort -un
}

listening() {
  local pid
  for pid in $(processes_of "$1"); do sockets_of "$pid"; done | sort -u
}

# Every socket that some Ollama process of this machine listens on, whoever started it.
listening_everywhere() {
  local pid
  for pid in $(find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' \
    \( -lname '*/ollama' -o -lname '*/ollama (deleted)' -o -lname '*/ollama-*' \) \
    -printf '%h\n' 2>/dev/null | cut -d/ -f3 || true); do
    sockets_of "$pid"
  done | sort -u
}

# Keeps the lines that are not loopback: 127.0.0.0/8, ::1 and mapped 127.0.0.0/8.
# A little-endian machine prints 127.0.0.1 as 0100007F. What is not recognised is kept, which on
# a big-endian machine makes a step fail and be rolled back rather than pass unseen.
beyond_loopback() {
  grep -vE '^([0-9A-F]{6}7F|0{24}01000000|0{16}FFFF0000[0-9A-F]{6}7F):' || true
}

# For people: `*:11434`, `127.0.0.1:11434`.
readable() {
  local line hex port
  while IFS=: read -r hex port; do
    port=$((16#$port))
    case $hex in
      00000000) line="0.0.0.0" ;;
      00000000000000000000000000000000) line="*" ;;
      00000000000000000000000001000000) line="[::1]" ;;
      ????????)
        line="$((16#${hex:6:2})).$((16#${hex:4:2})).$((16#${hex:2:2})).$((16#${hex:0:2}))"
        ;;
      *) line="[$hex]" ;;
    esac
    printf '%s:%s\n' "$line" "$port"
  done | sort -u | paste -sd ' ' -
}

unit_is_active() {
  local state
  state=$(systemctl show --property=ActiveState --value -- "$1")
  [[ $state == active || $state == activating || $state == reloading ]]
}

# The OLLAMA_ variables that unit $1 would start with, `NAME=VALUE`, sorted. systemd itself works
# them out, in a transient unit with the same Environment=, EnvironmentFile=, ...: the last file
# wins over every Environment= line (systemd.exec(5)), and no parser of ours has to know that.
# Fails when systemd cannot tell, for instance because a file is missing.
configured() {
  local unit=$1 name line settings=()
  for name in Environment PassEnvironment UnsetEnvironment; do
    settings+=("--property=$name=$(systemctl show --property="$name" --value -- "$unit")")
  done
  while IFS= read -r line; do
    case $line in
      *' (ignore_errors=yes)') settings+=("--property=EnvironmentFile=-${line% (*}") ;;
      *' (ignore_errors=no)') settings+=("--property=EnvironmentFile=${line% (*}") ;;
    esac
  done < <(systemctl show --property=EnvironmentFiles --value -- "$unit")
  systemd-run --quiet --pipe --wait --collect "${settings[@]}" -- \
    /bin/sh -c 'env; echo OLLAMA_=' </dev/null 2>/dev/null | grep ^OLLAMA_ | sort
}

# The same of the running main process of unit $1, as they were when it started.
running() {
  local main
  main=$(systemctl show --property=MainPID --value -- "$1")
  {
    echo OLLAMA_=
    tr '\0' '\n' <"/proc/$main/environ" | grep ^OLLAMA_ || true
  } 2>/dev/null | sort
}

# The value of variable $1 among `NAME=VALUE` lines; the first of equal names, as Go reads them.
value_of() {
  sed -n "s/^$1=//p" | head -n 1
}

# Whether this value of OLLAMA_HOST surely means loopback; unset and empty do
# (Ollama envconfig/config.go Host()).
means_loopback() {
  local value=$1
  local loopback='^["'\'' ]*((https?://)?(127(\.[0-9]{1,3}){3}|localhost|\[::1\])(:[0-9]*)?(/.*)?|::1)?["'\'' ]*$'
  [[ $value =~ $loopback ]]
}

# Whether a restart of unit $1 cannot widen who reaches Ollama: what it would start with means
# loopback, or is what it runs with already.
restart_is_safe() {
  local unit=$1 host
  if ! host=$(configured "$unit"); then
    say "  systemd cannot say which OLLAMA_HOST $unit would start with"
    return 1
  fi
  host=$(value_of OLLAMA_HOST <<<"$host")
  means_loopback "$host" && return 0
  [[ $host == "$(running "$unit" | value_of OLLAMA_HOST)" ]] && return 0
  say "  a restart of $unit would take OLLAMA_HOST=$host from its files, which may let in more"
  say "  than now; set OLLAMA_HOST to a loopback address first"
  return 1
}

# Prints what unit $1 answers to `GET $2`, status line first, on whichever of its sockets answers.
# Asked in the network namespace of the process, on loopback where the socket is on every address.
ask() {
  local pid line address inside
  unit_is_active "$1" || return 1
  for pid in $(processes_of "$1"); do
    inside=()
    if [[ $(readlink "/proc/$pid/ns/net") != "$(readlink /proc/self/ns/net)" ]]; then
      inside=(nsenter "--target=$pid" --net --)
    fi
    for line in $(sockets_of "$pid"); do
      address=$(readable <<<"$line")
      address=${address%:*}
      case $address in
        '*' | 0.0.0.0) address=127.0.0.1 ;;
        \[*) address=${address:1:-1} ;;
      esac
      # shellcheck disable=SC2016  # the inner bash expands it
      "${inside[@]}" timeout 5 bash -c '
        exec 3<>"/dev/tcp/$1/$2" || exit 1
        printf "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" "$3" >&3
        IFS= read -r status <&3 && [[ $status == HTTP/*" 200"* ]] || exit 1
        printf "%s\n" "$status"
        cat <&3' - "$address" "$((16#${line#*:}))" "$2" 2>/dev/null && return 0
    done
  done
  return 1
}

answers() {
  ask "$1" /api/version >/dev/null
}

# The names of the models that unit $1 offers.
models_of() {
  ask "$1" /api/tags | grep -o '"name":"[^"]*"' | sort -u || true
}

# What the running server of unit $1 said it computes on, from its own log; empty if it did not.
compute_devices() {
  local main
  main=$(systemctl show --property=MainPID --value -- "$1")
  journalctl --quiet --boot --output=cat "_PID=$main" 2>/dev/null |
    sed -n 's/.*msg="inference compute"//p' |
    grep -oE ' (id|library|name)=("[^"]*"|[^ ]*)' | sort -u || true
}
