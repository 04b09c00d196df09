# --- Backups: what each step may change, kept before it changes anything -------------------------
#
# RUN/state                  applying, applied, rolled-back or undone
# RUN/harden.sh              the script that made the run, and can take it back
# RUN/folders.after          folders beside which files came and went, with their times at the end
# RUN/STEP/state             as above, of one step
# RUN/STEP/kept/N/path       a file that the step may write, make or remove
#               /copy        its contents, mode, owner, times, ACL and attributes; none if missing
#               /after       its fingerprint when the step had been verified
# RUN/STEP/trees, attributes.before, .after      owner and mode of paths, NUL after each record
# RUN/STEP/created           folders that did not exist, outermost first, NUL after each
# RUN/STEP/folders           the same folders, with their times before the step
# RUN/STEP/units             units to be restarted
# RUN/STEP/moved             folders that were moved, from and to, NUL after each
# RUN/STEP/users             users that were made, each with the id of its group if that was there

readonly STORE=/var/backups/ollama-audit

# One line that changes when the file's contents, kind, mode or owner do.
fingerprint() {
  if [[ -L $1 ]]; then
    stat --format='link %u %g ' -- "$1"
    readlink -- "$1"
  elif [[ -f $1 ]]; then
    stat --format='file %a %u %g' -- "$1"
    sha256sum <"$1"
  elif [[ -e $1 ]]; then
    stat --format='%F %a %u %g' -- "$1"
  else
    echo missing
  fi
}

read_path() {
  IFS= read -r -d '' path <"$1" || true
}

# Verb of the block `files`: the step may write, make or remove this file.
keep() {
  local path=$1 entry
  if [[ $PREVIEW == yes ]]; then
    say "  keeps $(printf '%q' "$path")"
    return 0
  fi
  if [[ -d $path && ! -L $path ]]; then
    say "  $(printf '%q' "$path") is a folder, where a file was expected"
    return 1
  fi
  entry=$STEP/kept/$(find "$STEP/kept" -mindepth 1 -maxdepth 1 | wc -l)
  mkdir -- "$entry"
  printf '%s' "$path" >"$entry/path"
  if [[ -e $path || -L $path ]]; then
    cp --archive --preserve=all --no-target-directory -- "$path" "$entry/copy"
  fi
  keep_place "$path"
}

# Notes the folder that a path is or will be in: the ones that do not exist yet, and the time of
# the one that does.
keep_place() {
  local folder=${1%/*}
  while [[ -n $folder && ! -d $folder ]]; do
    printf '%s\0' "$folder" >>"$STEP/created"
    folder=${folder%/*}
  done
  printf '%s\0%s\0' "$(stat --format=%y -- "${folder:-/}")" "${folder:-/}" >>"$STEP/folders"
}

# Verb of the block `files`: the step may move folder $1, if there is one, to $2.
keep_move() {
  if [[ $PREVIEW == yes ]]; then
    [[ ! -d $1 ]] || say "  keeps owners and modes of $(printf '%q' "$1") and all below"
    return 0
  fi
  [[ -d $1 ]] || return 0
  keep_tree "$1"
  keep_place "$1"
  keep_place "$2"
}

# Verb of the block `files`: the step may change owner and mode of this path, not its contents.
keep_attributes() {
  keep_found 0 "$1"
}

# Verb of the block `files`: the same, of everything below it too. Links are not followed.
keep_tree() {
  keep_found 99 "$1"
}

keep_found() {
  if [[ $PREVIEW == yes ]]; then
    say "  keeps owner and mode of $(printf '%q' "$2")$([[ $1 == 0 ]] || echo ' and all below')"
    return 0
  fi
  printf '%s\0%s\0' "$1" "$2" >>"$STEP/trees"
  attributes "$1" "$2" >>"$STEP/attributes.before"
}

# `UID GID MODE PATH`, NUL after each; of a link, its own owner.
attributes() {
  find "$2" -maxdepth "$1" -printf '%U %G %m %p\0'
}

all_attributes() {
  local depth root
  [[ -e $1/trees ]] || return 0
  while IFS= read -r -d '' depth && IFS= read -r -d '' root; do
    if [[ -e $root || -L $root ]]; then attributes "$depth" "$root"; fi
  done <"$1/trees" | sort -zu
}

# Notes how the step left everything, so that undo can tell whether somebody changed it since.
note_after() {
  local step=$1 entry path time
  for entry in "$step"/kept/*; do
    [[ -e $entry ]] || continue
    read_path "$entry/path"
    fingerprint "$path" >"$entry/after"
  done
  all_attributes "$step" >"$step/attributes.after"
  [[ -e $step/folders ]] || return 0
  while IFS= read -r -d '' time && IFS= read -r -d '' path; do
    if [[ -d $path ]]; then printf '%s\0%s\0' "$(stat --format=%y -- "$path")" "$path"; fi
  done <"$step/folders" >>"$RUN/folders.after"
}

# Names what is neither as the step left it nor as it was before.
changed_since() {
  local step=$1 entry path now record
  local -A left=() before=()
  for entry in "$step"/kept/*; do
    [[ -e $entry/after ]] || continue
    read_path "$entry/path"
    now=$(fingerprint "$path")
    if [[ $now != "$(<"$entry/after")" && $now != "$(fingerprint "$entry/copy")" ]]; then
      printf '%q\n' "$path"
    fi
  done
  [[ -s $step/attributes.after ]] || return 0
  while IFS= read -r -d '' record; do left[${record#* * * }]=$record; done <"$step/attributes.after"
  while IFS= read -r -d '' record; do before[${record#* * * }]=$record; done <"$step/attributes.before"
  # An entry that is gone, or that is new, is somebody's model and no conflict.
  while IFS= read -r -d '' record; do
    path=${record#* * * }
    [[ ${left[$path]-$record} == "$record" || ${before[$path]-} == "$record" ]] || printf '%q\n' "$path"
  done < <(all_attributes "$step")
}

# Puts back files, owners, modes, folders and times of one step. Fails when something cannot be.
put_back() {
  local step=$1 entry path failed=0
  put_back_moved "$step" || failed=1
  while IFS= read -r entry; do
    read_path "$entry/path"
    put_back_file "$entry" "$path" || { say "  could not put back $(printf '%q' "$path")" && failed=1; }
  done < <(find "$step/kept" -mindepth 1 -maxdepth 1 | sort -rV)
  put_back_attributes "$step" || failed=1
  # The home of a user that the step made goes with the user.
  [[ -e $step/users ]] || remove_created "$step"
  put_back_times "$step"
  return "$failed"
}

remove_created() {
  local path
  [[ -e $1/created ]] || return 0
  while IFS= read -r -d '' path; do
    if [[ -d $path ]] && ! rmdir -- "$path" 2>/dev/null; then
      say "  left $(printf '%q' "$path"), which is not empty"
    fi
  done < <(sort -zru "$1/created")
}

put_back_moved() {
  local from to
  [[ -e $1/moved ]] || return 0
  while IFS= read -r -d '' from && IFS= read -r -d '' to; do
    if [[ ! -d $to && -d $from ]]; then continue; fi
    mv --no-clobber --no-target-directory -- "$to" "$from" && [[ ! -e $to ]] || {
      say "  could not move $(printf '%q' "$to") back to $(printf '%q' "$from")"
      return 1
    }
  done <"$1/moved"
}

ACCOUNTS=(passwd shadow group gshadow subuid subgid)

# The account files, and the copy of each that useradd(8) and its kin leave behind: `passwd-`.
copy_accounts() {
  local name file
  [[ ! -d $1 ]] || return 0
  mkdir -- "$1" || return 1
  for name in "${ACCOUNTS[@]}"; do
    for file in "/etc/$name" "/etc/$name-"; do
      [[ ! -e $file ]] || cp --archive --no-target-directory -- "$file" "$1/${file##*/}" || return 1
    done
  done
}

# Puts back the copies that are left behind, where the account file is as it was before.
put_back_accounts() {
  local name
  [[ -d $1 ]] || return 0
  for name in "${ACCOUNTS[@]}"; do
    [[ -e $1/$name && -e /etc/$name && $(<"$1/$name") == "$(<"/etc/$name")" ]] || continue
    if [[ -e $1/$name- ]]; then
      cp --archive --no-target-directory -- "$1/$name-" "/etc/$name-" || return 1
    else
      rm --force -- "/etc/$name-" || return 1
    fi
  done
}

# Takes away the users that a step made, when no process is theirs any more.
remove_users() {
  local user group
  [[ -e $1/users ]] || return 0
  while read -r user group; do
    say "  userdel $user"
    ! getent passwd "$user" >/dev/null || userdel --remove "$user" 2>/dev/null || return 1
    # userdel(8) takes a group of the same name along, if nobody else is in it.
    [[ -z $group ]] || getent group "$user" >/dev/null || groupadd --gid "$group" "$user" || return 1
  done <"$1/users"
  put_back_accounts "$1/accounts" || return 1
  remove_created "$1"
  put_back_times "$1"
}

put_back_file() {
  local entry=$1 path=$2
  if [[ ! -e $entry/copy && ! -L $entry/copy ]]; then
    rm --force -- "$path" || return 1
  elif [[ $(fingerprint "$path") != "$(fingerprint "$entry/copy")" ]]; then
    mkdir --parents -- "${path%/*}" || return 1
    cp --archive --preserve=all --no-target-directory -- "$entry/copy" "$path.ollama-audit" ||
      return 1
    mv --force --no-target-directory -- "$path.ollama-audit" "$path" || return 1
  fi
  [[ $(fingerprint "$path") == "$(fingerprint "$entry/copy")" ]]
}

put_back_attributes() {
  local step=$1 record uid gid mode path failed=0
  [[ -e $step/trees ]] || return 0
  while IFS= read -r -d '' record; do
    read -r uid gid mode _ <<<"$record"
    path=${record#* * * }
    [[ -e $path || -L $path ]] || continue
    # chown(2) clears set-user-ID bits, so the mode comes after it. A link has no mode to set.
    if ! chown --no-dereference "$uid:$gid" -- "$path" ||
      { [[ ! -L $path ]] && ! chmod "$mode" -- "$path"; }; then
      say "  could not put back owner and mode of $(printf '%q' "$path")"
      failed=1
    fi
  done < <(comm -z -23 <(sort -zu "$step/attributes.before") <(all_attributes "$step"))
  return "$failed"
}

# The time of a folder is put back only where nothing but this script has changed the folder.
put_back_times() {
  local step=$1 time path
  [[ -e $step/folders ]] || return 0
  while IFS= read -r -d '' time && IFS= read -r -d '' path; do
    if [[ -d $path && ${UNTOUCHED[$path]-yes} == yes ]]; then
      touch --no-create --date="$time" -- "$path"
    fi
  done <"$step/folders"
}

# Which folders somebody else has changed since the run.
declare -A UNTOUCHED=()
compare_folders() {
  local time path
  [[ -e $1/folders.after ]] || return 0
  while IFS= read -r -d '' time && IFS= read -r -d '' path; do
    UNTOUCHED[$path]=no
    if [[ -d $path && $(stat --format=%y -- "$path") == "$time" ]]; then UNTOUCHED[$path]=yes; fi
  done <"$1/folders.after"
}
