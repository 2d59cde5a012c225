#!/bin/sh
# Replaces the program by the one in this package and restarts what runs. Traffic goes on: the kernel is left as it is.
set -eu
. "$(dirname "$0")/steps.sh"

need_root
need_node
[ -d "$prefix" ] || fail "nothing is installed in $prefix; run install.sh first"
copy_program
for unit in spanwire-hub.service spanwire-guard.service spanwire-agent.service; do
  [ ! -e "/etc/systemd/system/$unit" ] || install_units "$unit"
done
systemctl try-restart spanwire-hub.service spanwire-agent.service
say "runs $("$prefix/bin/spanwire" version --client)"
