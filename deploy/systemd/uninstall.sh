#!/bin/sh
# Stops and removes Spanwire: uninstall.sh [--purge]. Without --purge state and configuration stay, so that an
# installation later goes on where this one ended.
set -eu
. "$(dirname "$0")/steps.sh"

need_root
systemctl disable --now spanwire-agent.service spanwire-hub.service 2>/dev/null || true
if [ -e /etc/systemd/system/spanwire-agent.service ]; then
  "$prefix/bin/spanwire" agent down
fi
systemctl disable --now spanwire-guard.service 2>/dev/null || true
rm -f /etc/systemd/system/spanwire-hub.service /etc/systemd/system/spanwire-agent.service \
  /etc/systemd/system/spanwire-guard.service
systemctl daemon-reload
rm -rf "$prefix"
if [ "${1:-}" = --purge ]; then
  rm -rf /var/lib/spanwire-hub /var/lib/spanwire-agent /etc/spanwire
  for user in spanwire-hub spanwire-agent; do userdel "$user" 2>/dev/null || true; done
fi
say "removed; $([ "${1:-}" = --purge ] && echo "nothing is left" || echo "state stays in /var/lib/spanwire-*")"
