# Sourced by the scripts of dev/: how they get what is missing. Package registries only, through their own clients.

cache="${PGSPINE_CACHE:-$HOME/.cache/pgspine}"

have() { command -v "$1" >/dev/null 2>&1; }

# need PACKAGE…: Debian packages; silent when all are there.
need() {
  local package missing=()
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  if [ "$(id -u)" != 0 ] || ! have apt-get; then
    echo "missing, and only root on Debian can install it here: ${missing[*]}" >&2
    exit 1
  fi
  echo "installing ${missing[*]}" >&2
  # One at a time: scripts that run side by side wait for each other.
  (
    flock 9
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq >&2
    apt-get install -qq -y --no-install-recommends -o Dpkg::Options::=--force-confold "${missing[@]}" >&2
  ) 9>/var/lock/pgspine-need
}

# python_with REQUIREMENT…: puts a Python with these packages into $python; made once for each set of them.
python_with() {
  local folder
  folder="$cache/python-$(printf '%s\n' "$@" | sha256sum | cut -c1-16)"
  python="$folder/bin/python"
  [ ! -e "$folder/complete" ] || return 0
  have python3 && python3 -c 'import venv, ensurepip' 2>/dev/null || need python3-venv
  mkdir -p "$cache"
  (
    flock 9
    [ ! -e "$folder/complete" ] || exit 0
    echo "installing $*" >&2
    rm -rf "$folder"
    python3 -m venv "$folder"
    "$folder/bin/pip" install -q --disable-pip-version-check "$@" >&2
    touch "$folder/complete"
  ) 9>"$cache/python.lock"
}
