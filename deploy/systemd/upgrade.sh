#!/bin/sh
# Replaces the program by the one in this package and restarts what runs. Traffic goes on: the kernel is left as it is.
set -eu
. "$(dirname "$0")/steps.sh"

need_root
need_node
[ -d "$prefix" ] || fail "nothing is installed in $prefix; run install.sh first"
copy_program
install_units $(installed spanwire-hub spanwire-guard spanwire-agent)
for unit in $(installed spanwire-hub spanwire-agent); do systemctl try-restart "$unit.service"; done
say "runs $("$prefix/bin/spanwire" version --client)"
