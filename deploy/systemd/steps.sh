# Steps that install.sh, upgrade.sh and uninstall.sh share. Sourced, not run.
here=$(cd "$(dirname "$0")" && pwd)
package=$(cd "$here/../.." && pwd) # where bin/, lib/ and build/ of the package are
prefix=/usr/lib/spanwire
units=/etc/systemd/system
# What units find programs with; root's own PATH may have more.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

say() { printf 'spanwire: %s\n' "$*"; }
fail() {
  printf 'spanwire: %s\n' "$*" >&2
  exit 1
}

need_root() { [ "$(id -u)" = 0 ] || fail "needs root; run it with sudo"; }

need_program() { command -v "$1" >/dev/null || fail "no $1 in $PATH: $2"; }

need_node() {
  version=$(node --version 2>/dev/null | sed 's/^v//') || version=
  [ "${version%%.*}" -ge 24 ] 2>/dev/null || fail "needs Node 24 or newer in $PATH, found ${version:-none}"
}

# Whoever starts it sees the old program or the new one, never half of each; or none, for an instant, and units try again.
copy_program() {
  [ -e "$package/lib/spanwire/spanwire.mjs" ] || fail "$package is not an unpacked package of Spanwire"
  rm -rf "$prefix.new" "$prefix.old"
  mkdir -p "$prefix.new"
  cp -R "$package/bin" "$package/lib" "$package/build" "$package/deploy" "$prefix.new/"
  [ ! -d "$prefix" ] || mv "$prefix" "$prefix.old"
  mv "$prefix.new" "$prefix"
  rm -rf "$prefix.old"
}

ensure_user() { id "$1" >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin "$1"; }

# What a person has edited stays.
ensure_settings() {
  mkdir -p /etc/spanwire
  [ -e "/etc/spanwire/$1.yaml" ] || install -m 0640 -g "spanwire-$1" "$here/$1.yaml" "/etc/spanwire/$1.yaml"
}

# Those of the installed program, which may be older than this package.
install_units() {
  for unit in "$@"; do install -m 0644 "$prefix/deploy/systemd/$unit.service" "$units/$unit.service"; done
  systemctl daemon-reload
}

# Of the units named, those that are installed.
installed() {
  for unit in "$@"; do [ ! -e "$units/$unit.service" ] || printf '%s\n' "$unit"; done
}
