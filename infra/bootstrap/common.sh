# Sourced by the set-up scripts: where things are, what they say, and how they become root.

root=$(cd "$here/../.." && pwd)
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin # an ordinary Debian user's PATH lacks them
export PATH

say() { printf 'sluice: %s\n' "$1" >&2; }
fail() {
  say "$1"
  exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

# need_root WHAT-FOR
need_root() {
  if [ "$(id -u)" = 0 ]; then
    as_root() { "$@"; }
  else
    has sudo || fail "needs root for $1, and sudo is missing; run it as root, or install sudo"
    sudo -n true 2>/dev/null || [ -t 0 ] ||
      fail "needs root for $1, and sudo asks for a password where there is no terminal; run it as root"
    as_root() { sudo "$@"; }
  fi
}
