# --- The verbs of the steps ----------------------------------------------------------------------

# apply: the file $1 gets mode $2 and what is on standard input; missing folders are made.
write_file() {
  local path=$1 mode=$2 folder
  folder=${path%/*}
  if [[ $PREVIEW == yes ]]; then
    show_change "$path"
    return 0
  fi
  is_kept "$path" || return 1
  [[ -d $folder ]] || install --directory --mode=0755 -- "$folder"
  cat >"$path.ollama-audit"
  chmod "$mode" -- "$path.ollama-audit"
  mv --force --no-target-directory -- "$path.ollama-audit" "$path"
  say "  wrote $(printf '%q' "$path")"
}

show_change() {
  local old=$1
  [[ -e $old ]] || old=/dev/null
  diff --unified --label "$1 (now)" --label "$1 (after)" -- "$old" - | sed 's/^/    /' || true
}

# A step may only write what it had kept: a mistake in a step must not cost a file.
is_kept() {
  local entry path
  for entry in "$STEP"/kept/*; do
    [[ -e $entry/path ]] || continue
    read_path "$entry/path"
    [[ $path != "$1" ]] || return 0
  done
  say "  $(printf '%q' "$1") was not kept, so it is not written"
  return 1
}

has_kept_attributes() {
  local depth path from
  while IFS= read -r -d '' from && IFS= read -r -d '' path; do
    [[ $1 != "$path" ]] || return 0
  done < <(cat -- "$STEP/moved" 2>/dev/null)
  while IFS= read -r -d '' depth && IFS= read -r -d '' path; do
    [[ $1 != "$path" && ($depth == 0 || $1 != "$path"/*) ]] || return 0
  done < <(cat -- "$STEP/trees" 2>/dev/null)
  say "  owner and mode of $(printf '%q' "$1") were not kept, so they are not changed"
  return 1
}

# apply, in a pipe: adds to a drop-in what loads NVIDIA's modules and makes their devices, with all
# rights, before the service starts. CUDA has a set-user-ID program for that, which a service
# without new privileges cannot use.
with_nvidia_modules() {
  local program
  cat
  if program=$(command -v nvidia-modprobe); then
    printf 'ExecStartPre=+-%s -c 0 -u\n' "$program"
  fi
}

# apply: changes the mode of a path as chmod(1) does.
change_mode() {
  if [[ $PREVIEW == yes ]]; then
    say "  chmod $1 $(printf '%q' "$2")   (now $(stat --format='%A' -- "$2"))"
    return 0
  fi
  has_kept_attributes "$2" || return 1
  chmod "$1" -- "$2"
  say "  chmod $1 $(printf '%q' "$2")"
}

# apply: the same for everything below it; links are not followed.
change_tree_mode() {
  if [[ $PREVIEW == yes ]]; then
    say "  chmod -R $1 $(printf '%q' "$2")"
    return 0
  fi
  has_kept_attributes "$2" || return 1
  chmod --recursive "$1" -- "$2"
  say "  chmod -R $1 $(printf '%q' "$2")"
}

# apply: changes the owner of a path as chown(1) does.
change_owner() {
  if [[ $PREVIEW == yes ]]; then
    say "  chown $1 $(printf '%q' "$2")   (now $(stat --format='%U:%G' -- "$2"))"
    return 0
  fi
  has_kept_attributes "$2" || return 1
  chown --no-dereference "$1" -- "$2"
  say "  chown $1 $(printf '%q' "$2")"
}

# apply: the same for everything below it; links are not followed.
change_tree_owner() {
  if [[ $PREVIEW == yes ]]; then
    say "  chown -R $1 $(printf '%q' "$2")"
    return 0
  fi
  has_kept_attributes "$2" || return 1
  chown --recursive --no-dereference "$1" -- "$2"
  say "  chown -R $1 $(printf '%q' "$2")"
}

# apply: folder $1, if there is one with files in it, becomes $2, of `user:group` $3.
move_tree() {
  local from=$1 to=$2 owner=$3
  if [[ ! -d $from || -z $(find "$from" -type f -print -quit) ]]; then return 0; fi
  say "  mv $(printf '%q' "$from") $(printf '%q' "$to"), and chown -R $owner"
  [[ $PREVIEW == no ]] || return 0
  has_kept_attributes "$from" || return 1
  if [[ -n $(find "$to" -type f -print -quit 2>/dev/null) ]]; then
    say "  $(printf '%q' "$to") exists already: bring the two together by hand first"
    return 1
  fi
  make_folders "${to%/*}" "$owner" || return 1
  if [[ $(stat --format=%d -- "$from") != "$(stat --format=%d -- "${to%/*}")" ]]; then
    say "  $(printf '%q' "$to") is on another file system: move it by hand first"
    return 1
  fi
  printf '%s\0%s\0' "$from" "$to" >>"$STEP/moved"
  mv --no-clobber --no-target-directory -- "$from" "$to" || return 1
  chown --recursive --no-dereference "$owner" -- "$to"
}

# Makes a folder and those above it that are missing, for `user:group` $2.
make_folders() {
  [[ ! -d $1 ]] || return 0
  make_folders "${1%/*}" "$2" || return 1
  mkdir --mode=0755 -- "$1" && chown "$2" -- "$1"
}

# apply: there is a system user $1 with home $2, as Ollama's install script makes it.
make_user() {
  local group="" primary=--user-group
  ! getent passwd "$1" >/dev/null || return 0
  say "  useradd $1, home $(printf '%q' "$2")"
  [[ $PREVIEW == no ]] || return 0
  if group=$(getent group "$1"); then
    primary=--gid=$1
    group=$(cut -d: -f3 <<<"$group")
  fi
  printf '%s %s\n' "$1" "$group" >>"$STEP/users"
  copy_accounts "$STEP/accounts" || return 1
  useradd --system --shell /bin/false "$primary" --create-home --home-dir "$2" "$1" || return 1
  for group in render video; do
    ! getent group "$group" >/dev/null || usermod --append --groups "$group" "$1" || return 1
  done
}

# apply, undo: units are read again, and this one is restarted if it runs, once for all steps.
restart_unit() {
  if [[ $PREVIEW == yes ]]; then
    say "  restarts $1"
    return 0
  fi
  printf '%s\n' "$1" >>"$STEP/units"
}

# verify: what $1... says holds now or within the time that a start may take.
eventually() {
  local until=$((SECONDS + PATIENCE))
  until "$@"; do
    ((SECONDS < until)) || return 1
    sleep 0.2
  done
}

# verify: unit $1 has OLLAMA_HOST on loopback, for now and for its next start, and every socket
# that it listens on is on loopback.
on_loopback() {
  is_loaded "$1" || return 1
  local all
  all=$(configured "$1") || return 1
  means_loopback "$(value_of OLLAMA_HOST <<<"$all")" || return 1
  ! unit_is_active "$1" || eventually listens_on_loopback_only "$1"
}

listens_on_loopback_only() {
  local found
  found=$(listening "$1")
  [[ -n $found && -z $(beyond_loopback <<<"$found") ]]
}

# verify: systemd has property $2 of unit $1 as $3.
has_property() {
  is_loaded "$1" && [[ $(systemctl show --property="$2" --value -- "$1") == "$3" ]]
}

# Whether systemd has the files of unit $1 as they are on disk. If not, what it prints of the
# unit is not what a restart after the next reload would bring. NeedDaemonReload= alone does not
# say so of a folder of drop-ins that is new: systemd 252 keeps a list of folders (observed).
is_loaded() {
  local known file
  [[ $(systemctl show --property=NeedDaemonReload --value -- "$1") != yes ]] || return 1
  known=" $(systemctl show --property=DropInPaths --value -- "$1") "
  for file in {/etc,/run,/usr/local/lib,/usr/lib}/systemd/system/"$1".d/*.conf; do
    [[ ! -s $file || $known == *"/${file##*/} "* ]] || return 1
  done
}

# verify: unit $1 has variable $2 as $3, for now and for its next start.
has_setting() {
  local all
  is_loaded "$1" || return 1
  all=$(configured "$1") || return 1
  [[ $(value_of "$2" <<<"$all") == "$3" ]] || return 1
  ! unit_is_active "$1" || [[ $(running "$1" | value_of "$2") == "$3" ]]
}

# verify: unit $1 runs with the variables that its files give it.
runs_as_configured() {
  local all
  is_loaded "$1" || return 1
  unit_is_active "$1" || return 0
  all=$(configured "$1") || return 1
  [[ $all == "$(running "$1")" ]] || return 1
  all=$(systemctl show --property=MainPID --value -- "$1")
  [[ $(readlink "/proc/$all/exe") != *' (deleted)' ]]
}

# verify: path $2, if there is one, is not read-only for the processes of unit $1.
may_write() {
  local pid
  [[ -e $2 ]] || return 0
  for pid in $(processes_of "$1"); do
    nsenter --target="$pid" --mount -- test -w "$2" || return 1
  done
}

# verify: the processes of unit $1 are of user $2, and so will the next be.
runs_as() {
  local pid
  has_property "$1" User "$2" || return 1
  for pid in $(processes_of "$1"); do
    [[ $(stat --format=%U "/proc/$pid") == "$2" ]] || return 1
  done
}

# verify: nobody but its owner has on this path what $1, `go-w` or `go-rwx`, takes away. The group
# bits of a mode are the mask of an access control list too (acl(5)).
lacks_mode() {
  [[ -z $(find "$2" -maxdepth 0 ! -type l -perm "$(bits_of "$1")") ]]
}

# verify: the same of everything below it.
lacks_mode_below() {
  [[ -z $(find "$2" ! -type l -perm "$(bits_of "$1")" -print -quit) ]]
}

bits_of() {
  case $1 in
    go-w) echo /022 ;;
    go-rwx) echo /077 ;;
    *) return 1 ;;
  esac
}

# verify: user $1 owns this path.
belongs_to() {
  [[ $(stat --format=%U -- "$2") == "$1" ]]
}
