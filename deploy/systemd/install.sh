#!/bin/sh
# Installs Spanwire from an unpacked package: install.sh hub|agent. Running it again changes nothing; upgrade.sh replaces
# the program.
set -eu
. "$(dirname "$0")/steps.sh"

role=${1:-}
case $role in
hub) need_program nats-server "install NATS 2.12 or newer" ;;
agent) need_program nft "install the package nftables" ;;
*) fail "say what to install: install.sh hub|agent" ;;
esac
need_root
need_node

[ -d "$prefix" ] || copy_program
ensure_user "spanwire-$role"
edited=no
[ ! -e "/etc/spanwire/$role.yaml" ] || edited=yes
ensure_settings "$role"

case $role in
hub)
  install_units spanwire-hub
  systemctl enable --now spanwire-hub.service
  say "the hub runs: systemctl status spanwire-hub; settings: /etc/spanwire/hub.yaml"
  say "next: $prefix/bin/spanwire --context /var/lib/spanwire-hub/context.json token create CLUSTER"
  ;;
agent)
  install_units spanwire-guard spanwire-agent
  systemctl enable spanwire-guard.service spanwire-agent.service
  if [ $edited = yes ]; then
    systemctl start spanwire-agent.service
    say "the agent runs: systemctl status spanwire-agent; settings: /etc/spanwire/agent.yaml"
  else
    say "next: edit /etc/spanwire/agent.yaml, then: systemctl start spanwire-agent"
  fi
  ;;
esac
