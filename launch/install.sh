#!/bin/sh
# Creates .venv and installs the project into it: editable, at the versions of constraints.txt.
#
#   install.sh               installs what is missing; says nothing when all is there
#   install.sh constraints   writes constraints.txt anew from pyproject.toml, keeping the versions that
#                            still fit; a package name, or all, as second word moves those up
#
# Needs a Python of 3.11 to 3.13 and nothing else. PYTHON=/path/to/python chooses one.
# An install that did not finish leaves .venv/unfinished behind, and the next one starts from nothing.

set -u
CDPATH='' cd -- "$(dirname -- "$0")/.." || exit 1
unset PYTHONPATH PYTHONHOME # Another project's packages have no business in this one.
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0

log=.venv/install.log
wanted='3.11, 3.12 or 3.13'
probe='import sys; print("%d.%d.%d" % sys.version_info[:3])'

say() { printf '%s\n' "$*"; }

fail() {
    printf 'install: %s\n' "$*" >&2
    exit 1
}

fits() { # VERSION
    case $1 in 3.11.* | 3.12.* | 3.13.*) ;; *) return 1 ;; esac
}

candidates() { # Every Python that might do, best first, one path a line.
    if [ -n "${PYTHON:-}" ]; then
        command -v -- "$PYTHON" || say "$PYTHON"
        return
    fi
    for name in python3.13 python3.12 python3.11 python3 python; do
        printf '%s\n' "$PATH" | tr ':' '\n' | while read -r folder; do
            [ -x "$folder/$name" ] && say "$folder/$name"
        done
    done
}

find_python() { # Prints the first candidate that runs and fits; tells on stderr what was found if none does.
    candidates | {
        seen=''
        while read -r python; do
            [ "$(dirname -- "$python")" -ef .venv/bin ] && continue # It would be deleted under itself.
            version=$("$python" -c "$probe" 2>/dev/null </dev/null) || version='does not run'
            if ! fits "$version"; then
                seen="$seen
  $python: $version"
            elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null </dev/null; then
                seen="$seen
  $python: $version, without venv (Debian and Ubuntu: apt-get install python3-venv)"
            else
                say "$python"
                exit 0
            fi
        done
        say "needs Python $wanted; found: ${seen:-none}" >&2
        say "Install one of them, or name it: PYTHON=/path/to/python make install" >&2
        exit 1
    }
}

place() { # Where .venv stands and on which Python; empty when it holds none that fits.
    version=$(.venv/bin/python -c "$probe" 2>/dev/null) && fits "$version" && say "$version in $PWD"
}

content() { # What is asked for.
    cat pyproject.toml constraints.txt launch/install.sh | cksum
}

create() {
    python=$(find_python) || exit 1
    say "Creating .venv with $("$python" -V) ($python); this takes a few minutes"
    rm -rf .venv && mkdir .venv && : >.venv/unfinished || fail "cannot write .venv in $PWD"
    "$python" -m venv .venv >"$log" 2>&1 || fail "could not create .venv:
$(tail -n 5 "$log")"
}

prepare() { # Leaves a .venv that works; what is in it already is kept where that is safe.
    here=$(place)
    if [ ! -d .venv ] || [ -e .venv/unfinished ]; then
        create
    elif [ -z "$here" ] && [ ! -e .venv/stamp ]; then
        fail ".venv was not made here and holds no Python $wanted; move it away and try again."
    elif [ -e .venv/stamp ] && [ "$(head -n 1 .venv/stamp)" != "$here" ]; then
        create # Another Python, or the folder was moved: its scripts name paths that are gone.
    fi
    : >.venv/unfinished
    rm -f .venv/stamp
}

progress() { # What pip is doing, read off its log.
    if grep -q '^Installing collected' "$log"; then
        total=$(grep '^Installing collected' "$log" | tail -n 1 | tr ',' '\n' | wc -l)
        done=$(find .venv/lib/python*/site-packages -maxdepth 1 -name '*.dist-info' -newer "$log.start" | wc -l)
        say "unpacking $done of $total packages"
    else
        last=$(grep -E '^(Collecting|Requirement already satisfied:)' "$log" | tail -n 1)
        last=${last##*: }
        last=${last#Collecting }
        say "${last:+fetching, $(grep -c '^Collecting' "$log") packages so far, now at }${last%%[ <>=!~;]*}"
    fi
}

pip_install() { # ARGUMENT...  Runs pip quietly and shows how far it is.
    : >"$log"
    : >"$log.start"
    .venv/bin/python -m pip install -c constraints.txt "$@" >>"$log" 2>&1 </dev/null &
    pid=$!
    trap 'kill $pid 2>/dev/null; say; fail "interrupted; the next make install starts over."' INT TERM HUP
    while kill -0 $pid 2>/dev/null; do
        seconds=$(($(date +%s) - began))
        if [ -t 1 ]; then
            printf '\r\033[K  %3d s  %s' $seconds "$(progress)"
        elif [ $seconds -ge $due ]; then
            printf '  %3d s  %s\n' $seconds "$(progress)"
            due=$((seconds + 10))
        fi
        sleep 1
    done
    trap - INT TERM HUP
    [ -t 1 ] && printf '\r\033[K'
    wait $pid && return
    rm -f .venv/unfinished # pip undoes what it began, so the next install may go on from here.
    fail "pip failed; all it said is in $log, which ends with:
$(grep -v '^WARNING' "$log" | tail -n 15)"
}

install() {
    here=$(place)
    [ -n "$here" ] && [ "$(cat .venv/stamp 2>/dev/null)" = "$here
$(content)" ] && return
    prepare
    say "Installing the versions of constraints.txt"
    began=$(date +%s) due=10
    # The build tools first: what has no wheel is then built with pinned ones, not with the newest.
    pip_install hatchling editables setuptools
    pip_install --no-build-isolation -e '.[dev]'
    printf '%s\n%s\n' "$(place)" "$(content)" >.venv/stamp.new && mv .venv/stamp.new .venv/stamp
    rm .venv/unfinished
    say "Installed in $(($(date +%s) - began)) s: $(ls -d .venv/lib/python*/site-packages/*.dist-info | wc -l) packages in .venv"
}

constraints() { # [NAME|all]
    python=$(find_python) || exit 1
    scratch=$(mktemp -d) || fail "cannot make a temporary folder"
    trap 'rm -rf "$scratch"' EXIT
    say "Resolving pyproject.toml for Python $wanted"
    "$python" -m venv "$scratch/venv" && "$scratch/venv/bin/python" -m pip install -q uv 2>"$scratch/log" ||
        fail "could not install uv: $(tail -n 5 "$scratch/log")"
    case ${1:-} in
        '') upgrade='' ;;
        all) upgrade=--upgrade ;;
        *) upgrade=--upgrade-package=$1 ;;
    esac
    # The public index, and no local builds of torch: the pins must hold on every machine.
    "$scratch/venv/bin/uv" pip compile --quiet --universal --python-version 3.11 --all-extras \
        --system-certs --annotation-style line --no-header $upgrade pyproject.toml -o constraints.txt ||
        fail "the versions that pyproject.toml asks for do not go together"
    say "constraints.txt: $(grep -c '==' constraints.txt) versions"
}

if command -v flock >/dev/null; then # Two at once would write into each other's .venv.
    exec 9<.
    flock -n 9 || { say "Waiting for another install in this folder"; flock 9; }
fi
case ${1:-install} in
    install) install ;;
    constraints) constraints "${2:-}" ;;
    *) fail "knows install and constraints, not '$1'" ;;
esac
