#!/bin/sh
# Stops and removes Spanwire: uninstall.sh [--purge]. Without --purge state and settings stay, so that an installation
# later goes on where this one ended.
set -eu
. "$(dirname "$0")/steps.sh"

need_root
for unit in $(installed spanwire-agent spanwire-hub spanwire-guard); do
  systemctl disable --now "$unit.service"
done
if [ -n "$(installed spanwire-agent)" ]; then
  "$prefix/bin/spanwire" agent down --config /etc/spanwire/agent.yaml ||
    fail "the kernel still holds what is ours; nothing was removed from the disk"
  rmdir /run/wireguard 2>/dev/null || true # others may have theirs in it
fi
for unit in $(installed spanwire-agent spanwire-hub spanwire-guard); do rm "$units/$unit.service"; done
systemctl daemon-reload
rm -rf "$prefix"
[ "${1:-}" = --purge ] || { say "removed; state stays in /var/lib/spanwire-*, settings in /etc/spanwire" && exit; }

rm -rf /var/lib/spanwire-hub /var/lib/spanwire-agent /etc/spanwire
for user in spanwire-hub spanwire-agent; do
  if id "$user" >/dev/null 2>&1; then userdel "$user"; fi
done
say "removed; nothing is left"
