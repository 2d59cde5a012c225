# Steps that install.sh, upgrade.sh and uninstall.sh share. Sourced, not run.
here=$(cd "$(dirname "$0")" && pwd)
package=$(cd "$here/../.." && pwd) # where bin/, lib/ and build/ of the package are
prefix=/usr/lib/spanwire

say() { printf 'spanwire: %s\n' "$*"; }
fail() {
  printf 'spanwire: %s\n' "$*" >&2
  exit 1
}

need_root() { [ "$(id -u)" = 0 ] || fail "needs root; run it with sudo"; }

# The units start the program with the system's node, so that one has to be new enough.
need_node() {
  version=$(node --version 2>/dev/null | sed 's/^v//') || version=
  [ "${version%%.*}" -ge 24 ] 2>/dev/null || fail "needs Node 24 or newer in PATH, found ${version:-none}"
}

# In one step: a program that is being started sees the old or the new one, never half of each.
copy_program() {
  [ -e "$package/lib/spanwire/spanwire.mjs" ] || fail "$package is not an unpacked package of Spanwire"
  rm -rf "$prefix.new"
  mkdir -p "$prefix.new"
  cp -R "$package/bin" "$package/lib" "$package/build" "$package/deploy" "$prefix.new/"
  rm -rf "$prefix.old"
  [ ! -d "$prefix" ] || mv "$prefix" "$prefix.old"
  mv "$prefix.new" "$prefix"
  rm -rf "$prefix.old"
}

ensure_user() { id "$1" >/dev/null 2>&1 || useradd --system --no-create-home --shell /usr/sbin/nologin "$1"; }

install_units() {
  for unit in "$@"; do install -m 0644 "$here/$unit" "/etc/systemd/system/$unit"; done
  systemctl daemon-reload
}
