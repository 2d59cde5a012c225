#!/bin/sh
# Installs Spanwire from an unpacked package: install.sh hub|agent [--no-start]. Running it again upgrades nothing and
# breaks nothing; upgrade.sh replaces the program.
set -eu
. "$(dirname "$0")/steps.sh"

role=${1:-}
start=yes
[ "${2:-}" = --no-start ] && start=no
case $role in hub | agent) ;; *) fail "say what to install: install.sh hub|agent [--no-start]" ;; esac

need_root
need_node
copy_program
case $role in
hub)
  ensure_user spanwire-hub
  install_units spanwire-hub.service
  [ $start = no ] || systemctl enable --now spanwire-hub.service
  say "the hub runs: systemctl status spanwire-hub; its operator context is /var/lib/spanwire-hub/context.json"
  ;;
agent)
  ensure_user spanwire-agent
  mkdir -p /etc/spanwire
  [ -e /etc/spanwire/agent.yaml ] || install -m 0640 -g spanwire-agent "$here/agent.yaml" /etc/spanwire/agent.yaml
  install_units spanwire-guard.service spanwire-agent.service
  systemctl enable spanwire-guard.service
  [ $start = no ] || systemctl enable --now spanwire-agent.service
  say "edit /etc/spanwire/agent.yaml, then: systemctl restart spanwire-agent"
  ;;
esac
