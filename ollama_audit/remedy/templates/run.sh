# --- Runs: keep, apply, restart once, verify; or take it all back --------------------------------

say() {
  printf '%s\n' "$*"
}

complain() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
}

stop() {
  complain "$2"
  exit "$1"
}

# Calls a function of a step so that any command that fails in it ends it: `set -e` does nothing
# inside a condition, so the answer goes into ANSWER.
attempt() {
  set +e
  (
    set -e
    "$@"
  )
  ANSWER=$?
  set -e
}

begin_step() {
  STEP=$RUN/$1
  mkdir -p -- "$STEP/kept"
  echo applying >"$STEP/state"
  UNDER_WAY+=("$1")
}

# Applies these steps together, with one restart. On success they are marked as applied;
# on failure every one of them is rolled back, and ANSWER is 1.
run_together() {
  local id
  UNDER_WAY=()
  remember_before "$@"
  for id in "$@"; do
    say "step ${NUMBER[$id]}/$TOTAL ${NAME[$id]}: ${TITLE[$id]}"
    begin_step "$id"
    attempt "${id}_files"
    [[ $ANSWER != 0 ]] || attempt "${id}_apply"
    if [[ $ANSWER != 0 ]]; then
      take_back "applying failed"
      return
    fi
  done
  attempt settle
  if [[ $ANSWER != 0 ]]; then
    take_back "the service does not run with it"
    return
  fi
  for id in "$@"; do
    STEP=$RUN/$id
    attempt "${id}_verify"
    if [[ $ANSWER != 0 ]]; then
      take_back "${NAME[$id]} is not in effect"
      return
    fi
  done
  attempt nothing_opened
  if [[ $ANSWER != 0 ]]; then
    take_back "a socket was opened that other machines may reach"
    return
  fi
  for id in "$@"; do
    note_after "$RUN/$id"
    echo applied >"$RUN/$id/state"
    say "  ${NAME[$id]} is in effect"
  done
  UNDER_WAY=()
  ANSWER=0
}

# What must be the same, or better, afterwards.
remember_before() {
  local id unit
  listening_everywhere >"$WORK/listening"
  mkdir -p -- "$WORK/active" "$WORK/models" "$WORK/devices"
  for id in "$@"; do
    for unit in ${UNITS[$id]}; do
      [[ ! -e $WORK/active/$unit ]] || continue
      unit_is_active "$unit" || continue
      : >"$WORK/active/$unit"
      answers "$unit" && models_of "$unit" >"$WORK/models/$unit"
      compute_devices "$unit" >"$WORK/devices/$unit"
    done
  done
}

units_to_restart() {
  local id
  for id in "${UNDER_WAY[@]}"; do
    cat -- "$RUN/$id/units" 2>/dev/null || true
  done | sort -u
}

# Reads units again and restarts, once each, the ones that run.
settle() {
  local unit units
  units=$(units_to_restart)
  [[ -n $units ]] || return 0
  systemctl daemon-reload
  for unit in $units; do
    unit_is_active "$unit" || continue
    restart_is_safe "$unit" || return 1
    say "  restarting $unit"
    : >"$WORK/restarted"
    systemctl restart -- "$unit" || return 1
    comes_back "$unit" || return 1
  done
}

# A server that answered before its restart must answer after it, offer the same models and
# compute on the same devices; and only when it answers is it known what it listens on.
comes_back() {
  [[ -e $WORK/models/$1 ]] || return 0
  eventually answers "$1" || { say "  $1 does not answer any more" && return 1; }
  eventually has_its_models "$1" || { say "  $1 lost models that it offered" && return 1; }
  eventually has_its_devices "$1" || { say "  $1 lost a device to compute on" && return 1; }
}

has_its_models() {
  [[ -z $(comm -23 "$WORK/models/$1" <(models_of "$1")) ]]
}

has_its_devices() {
  [[ -z $(comm -23 "$WORK/devices/$1" <(compute_devices "$1")) ]]
}

nothing_opened() {
  local opened
  opened=$(comm -13 "$WORK/listening" <(listening_everywhere) | beyond_loopback)
  [[ -z $opened ]] || { say "  newly open: $(readable <<<"$opened")" && return 1; }
}

# Rolls back the steps under way, last first.
take_back() {
  local index id failed=0
  say "  $1: rolling back"
  for ((index = ${#UNDER_WAY[@]} - 1; index >= 0; index--)); do
    id=${UNDER_WAY[index]}
    STEP=$RUN/$id
    put_back "$STEP" || failed=1
    attempt "${id}_undo"
    [[ $ANSWER == 0 ]] || failed=1
  done
  if [[ $failed == 0 ]]; then
    attempt settle_back
    failed=$ANSWER
  fi
  for id in "${UNDER_WAY[@]}"; do
    [[ $failed != 0 ]] || remove_users "$RUN/$id" || failed=1
  done
  for id in "${UNDER_WAY[@]}"; do
    if [[ $failed == 0 ]]; then echo rolled-back >"$RUN/$id/state"; fi
  done
  if [[ $failed != 0 ]]; then
    complain "rolling back did not succeed. What was kept is in $RUN: put back each kept/N/copy at"
    complain "the path in kept/N/path by hand, then: systemctl daemon-reload"
    exit 7
  fi
  UNDER_WAY=()
  ANSWER=1
}

# As settle, after the files are back. A service that would open up by this is left as it is.
settle_back() {
  local unit units
  units=$(units_to_restart)
  [[ -n $units ]] || return 0
  systemctl daemon-reload
  [[ -e $WORK/restarted ]] || return 0
  for unit in $units; do
    [[ -e $WORK/active/$unit ]] || continue
    if unit_is_active "$unit" && ! restart_is_safe "$unit" && ! was_open; then
      say "  $unit keeps running as it is; it was not open before, and its files would open it"
      continue
    fi
    say "  restarting $unit"
    systemctl restart -- "$unit" || return 1
    comes_back "$unit" || say "  it did before the run"
  done
  rm -f -- "$WORK/restarted"
}

was_open() {
  [[ -n $(beyond_loopback <"$WORK/listening") ]]
}

on_signal() {
  trap '' INT TERM HUP
  complain "interrupted"
  if [[ ${#UNDER_WAY[@]} != 0 ]]; then take_back "interrupted"; fi
  finish_run
  exit 130
}

finish_run() {
  local state=rolled-back step
  [[ -n $RUN && -d $RUN ]] || return 0
  for step in "$RUN"/step_*; do
    [[ -e $step/state && $(<"$step/state") == applied ]] && state=applied
  done
  echo "$state" >"$RUN/state"
}

# The steps that are not in effect yet, into PENDING.
find_pending() {
  local id
  PENDING=()
  for id in "${STEPS[@]}"; do
    chosen "$id" || continue
    PATIENCE=0
    attempt "${id}_verify" 2>/dev/null
    PATIENCE=60
    if [[ $ANSWER == 0 ]]; then
      say "step ${NUMBER[$id]}/$TOTAL ${NAME[$id]}: already in effect"
    else
      PENDING+=("$id")
    fi
  done
}

chosen() {
  local id=$1 wanted
  [[ ${#ONLY[@]} != 0 ]] || return 0
  for wanted in "${ONLY[@]}"; do
    [[ $wanted == "${NUMBER[$id]}" || $wanted == "${NAME[$id]}" || $wanted == "${NAME[$id]%.*}" ]] &&
      return 0
  done
  return 1
}

apply_all() {
  local id alone=() together=() missed=()
  find_pending
  if [[ ${#PENDING[@]} == 0 ]]; then
    say "nothing to change"
    return 0
  fi
  confirm
  start_run
  for id in "${PENDING[@]}"; do
    if [[ -n ${UNITS[$id]} ]]; then together+=("$id"); else alone+=("$id"); fi
  done
  for id in "${alone[@]}"; do
    run_together "$id"
    [[ $ANSWER == 0 ]] || missed+=("${NAME[$id]}")
  done
  if [[ ${#together[@]} != 0 ]]; then
    run_together "${together[@]}"
    if [[ $ANSWER != 0 && ${#together[@]} == 1 ]]; then
      missed+=("${NAME[${together[0]}]}")
    elif [[ $ANSWER != 0 ]]; then
      say "once more, one by one"
      for id in "${together[@]}"; do
        run_together "$id"
        [[ $ANSWER == 0 ]] || missed+=("${NAME[$id]}")
      done
    fi
  fi
  finish_run
  if [[ $(<"$RUN/state") == applied ]]; then
    say "to take this run back: bash $RUN/harden.sh --undo ${RUN##*/}"
  fi
  [[ ${#missed[@]} == 0 ]] || stop 6 "failed and rolled back: ${missed[*]}"
}

confirm() {
  local answer
  [[ $YES == no && -t 0 && -t 1 ]] || return 0
  read -rp "Apply ${#PENDING[@]} of $TOTAL steps? [y/N] " answer
  [[ $answer == [yY]* ]] || stop 2 "nothing was changed"
}

start_run() {
  local cut_off=""
  [[ -f ${BASH_SOURCE[0]} ]] || stop 2 "save this script to a file, so that the run can be undone"
  install --directory --mode=0700 -- "$STORE"
  lock
  cut_off=$(runs applying | tail -n 1)
  [[ -z $cut_off ]] || stop 2 "run $cut_off was cut off: bash $STORE/$cut_off/harden.sh --undo $cut_off"
  RUN=$STORE/$(date -u +%Y%m%dT%H%M%SZ)-$$
  mkdir -m 0700 -- "$RUN"
  echo applying >"$RUN/state"
  cp -- "${BASH_SOURCE[0]}" "$RUN/harden.sh"
  trap on_signal INT TERM HUP
  say "run ${RUN##*/}; backups in $RUN"
}

lock() {
  exec 9>"$STORE/.lock"
  ! command -v flock >/dev/null || flock --nonblock 9 || stop 2 "another run is under way"
}

# The runs in state $1, oldest first.
runs() {
  local run
  for run in "$STORE"/*/; do
    run=${run%/}
    if [[ -e $run/state && $(<"$run/state") == "$1" ]]; then printf '%s\n' "${run##*/}"; fi
  done
}

list_runs() {
  local run
  for run in "$STORE"/*/; do
    run=${run%/}
    [[ -e $run/state ]] || continue
    say "${run##*/}  $(<"$run/state")"
  done
}

preview_all() {
  local id
  find_pending
  PREVIEW=yes
  for id in "${PENDING[@]}"; do
    say "step ${NUMBER[$id]}/$TOTAL ${NAME[$id]}: ${TITLE[$id]}"
    attempt "${id}_files"
    attempt "${id}_apply"
  done
  say "nothing was changed"
}

undo_run() {
  local wanted=$1 changed id index
  [[ -d $STORE ]] || stop 2 "no run is kept in $STORE"
  if [[ -z $wanted ]]; then
    wanted=$({ runs applied && runs applying; } | sort | tail -n 1)
    [[ -n $wanted ]] || stop 2 "no run is left to undo"
  fi
  RUN=$STORE/$wanted
  [[ $wanted != */* && -e $RUN/state ]] || stop 2 "no run $wanted; see --list"
  case $(<"$RUN/state") in
    undone | rolled-back) stop 2 "run $wanted is $(<"$RUN/state") already" ;;
  esac
  if ! cmp --quiet -- "${BASH_SOURCE[0]}" "$RUN/harden.sh"; then
    exec bash "$RUN/harden.sh" --undo "$wanted" "${PASS_ON[@]}"
  fi
  lock
  UNDER_WAY=()
  for id in "${STEPS[@]}"; do
    [[ -e $RUN/$id/state && $(<"$RUN/$id/state") == appl* ]] && UNDER_WAY+=("$id")
  done
  changed=$(for id in "${UNDER_WAY[@]}"; do changed_since "$RUN/$id"; done | sort -u | sed 's/^/  /')
  if [[ -n $changed && $FORCE == no ]]; then
    complain "changed since the run; nothing was undone, --force puts back what was before:"
    printf '%s\n' "$changed" >&2
    exit 2
  fi
  compare_folders "$RUN"
  take_all_back
  echo undone >"$RUN/state"
  say "run $wanted is undone: every file, owner and mode is as it was before"
}

take_all_back() {
  local index id unit failed=0
  for ((index = ${#UNDER_WAY[@]} - 1; index >= 0; index--)); do
    id=${UNDER_WAY[index]}
    STEP=$RUN/$id
    say "undoing ${NAME[$id]}"
    put_back "$STEP" || failed=1
    attempt "${id}_undo"
    [[ $ANSWER == 0 ]] || failed=1
  done
  attempt restart_after_undo
  for id in "${UNDER_WAY[@]}"; do remove_users "$RUN/$id" || failed=1; done
  [[ $ANSWER == 0 && $failed == 0 ]] || stop 7 "not all could be undone; what was kept is in $RUN"
  for id in "${UNDER_WAY[@]}"; do echo undone >"$RUN/$id/state"; done
}

restart_after_undo() {
  local unit units open
  units=$(units_to_restart)
  [[ -n $units ]] || return 0
  systemctl daemon-reload
  for unit in $units; do
    unit_is_active "$unit" || continue
    say "  restarting $unit"
    systemctl restart -- "$unit"
    eventually answers "$unit" || say "  $unit does not answer yet"
    open=$(listening "$unit" | beyond_loopback)
    [[ -z $open ]] || say "  $unit listens on $(readable <<<"$open") again"
  done
}

usage() {
  cat <<'USAGE'
usage: bash harden.sh [--yes] [--only STEP]...    apply, verify, roll back what fails
       bash harden.sh --dry-run [--only STEP]...  show what would change, change nothing
       bash harden.sh --undo [RUN] [--force]      put everything back; the newest run if none named
       bash harden.sh --list                      the runs that were made
       bash harden.sh --any-host ...              also on a host other than the audited one

STEP is a number, a rule or RULE.REMEDY. --force undoes files that were changed since, too.
Exit: 0 done or nothing to do, 2 usage, 6 a step failed and was rolled back, 7 rolling back
failed, 130 interrupted and rolled back.
USAGE
}

check_host() {
  local here
  here=$(</proc/sys/kernel/hostname)
  [[ $ANY_HOST == yes || $here == "$HOST" ]] ||
    stop 2 "made for host $HOST, and this is $here; --any-host runs it anyway"
  [[ $EUID == 0 ]] || stop 2 "must be run as root"
}

check_only() {
  local wanted id found
  for wanted in "${ONLY[@]}"; do
    found=no
    for id in "${STEPS[@]}"; do
      [[ $wanted == "${NUMBER[$id]}" || $wanted == "${NAME[$id]}" || $wanted == "${NAME[$id]%.*}" ]] &&
        found=yes
    done
    [[ $found == yes ]] || stop 2 "no step $wanted; there are ${NAME[*]}"
  done
}

main() {
  local action=apply run=""
  while [[ $# != 0 ]]; do
    case $1 in
      --yes | -y) YES=yes ;;
      --dry-run | -n) action=preview ;;
      --list) action=list ;;
      --any-host) ANY_HOST=yes && PASS_ON+=(--any-host) ;;
      --force) FORCE=yes && PASS_ON+=(--force) ;;
      --only)
        [[ $# -ge 2 ]] || stop 2 "--only needs a step"
        ONLY+=("$2") && shift
        ;;
      --undo)
        action=undo
        if [[ $# -ge 2 && $2 != -* ]]; then run=$2 && shift; fi
        ;;
      --help | -h) usage && exit 0 ;;
      *) usage >&2 && exit 2 ;;
    esac
    shift
  done
  check_host
  check_only
  WORK=$(mktemp -d 2>/dev/null) || stop 2 "cannot write in ${TMPDIR:-/tmp}: set TMPDIR to a folder"
  trap 'rm -rf -- "$WORK"' EXIT
  case $action in
    apply) apply_all ;;
    preview) preview_all ;;
    list) list_runs ;;
    undo) undo_run "$run" ;;
  esac
}
