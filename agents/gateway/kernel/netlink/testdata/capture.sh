#!/bin/bash
# Captures what `ip` and `wg` say to the kernel and what it answers, as root where the kernel has WireGuard:
#   node test/lab/vm/run.ts --results agents/gateway/kernel/netlink/testdata -- bash agents/gateway/kernel/netlink/testdata/capture.sh
# Each block of the two files is the command, then its last request (requests.txt) or all answers to it (answers.txt).
set -u
HERE=$(cd "$(dirname "$0")" && pwd)
NS=capture WORK=$(mktemp -d)
gcc -shared -fPIC -o "$WORK/shim.so" "$HERE/shim.c" -ldl || exit 1
ip netns add $NS || exit 1
trap 'ip netns del $NS; rm -rf "$WORK"' EXIT
record() { rm -f "$WORK/log"; ip netns exec $NS env LD_PRELOAD="$WORK/shim.so" NLCAP="$WORK/log" "$@" >/dev/null 2>"$WORK/error"; }
request() { record "$@"; { echo "$ $*"; grep '^>' "$WORK/log" | tail -1; } >>"$HERE/requests.txt"; }
answers() { record "$@"; { echo "$ $*"; grep '^<' "$WORK/log"; } >>"$HERE/answers.txt"; }
: >"$HERE/requests.txt"; : >"$HERE/answers.txt"
cd "$WORK"; mkdir keys
# Fixed keys, made for this file and used nowhere else.
echo "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEA=" >private
echo "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=" >preshared
X=AwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwM= Y=BAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ=

request ip link add sw0 mtu 1400 type dummy
request ip link add sw-a0 mtu 1420 type wireguard
ip -n $NS link add sw-a1 mtu 1420 type wireguard
request wg set sw-a0 listen-port 51820 private-key private fwmark 0x1000
request wg set sw-a0 peer $X preshared-key preshared endpoint 192.0.2.1:51820 persistent-keepalive 20
request wg set sw-a0 peer $Y endpoint [2001:db8::1]:51821 persistent-keepalive 0
request wg set sw-a0 peer $X allowed-ips 10.2.0.0/16,198.18.0.64/26,fd00:2::/64
request wg set sw-a1 peer $Y remove
for device in sw0 sw-a0 sw-a1; do ip -n $NS link set $device up; done
request ip addr replace 198.18.0.1/32 dev sw0
request ip addr replace fd00::1/128 dev sw0 nodad
request ip nexthop replace id 518000100 dev sw-a0 proto 151
request ip -6 nexthop replace id 518000150 dev sw-a0 proto 151
ip -n $NS nexthop replace id 518000101 dev sw-a1 proto 151
request ip nexthop replace id 518000140 group 518000100/518000101 type resilient buckets 32 idle_timer 0 unbalanced_timer 0 proto 151
request ip nexthop replace id 518000141 group 518000100,1/518000101,3 proto 151
request ip route replace 10.2.0.0/16 table 5180 src 198.18.0.1 nhid 518000140 proto 151
request ip route replace 198.18.0.66/32 table 5180 src 198.18.0.1 dev sw-a0 mtu 1380 proto 151
request ip route replace blackhole 10.2.0.0/16 table 5180 metric 4096 proto 151
request ip route replace throw 10.1.0.0/16 table 5180 proto 151
request ip -6 route replace fd00:2::/64 table 5180 metric 1024 src fd00::1 nhid 518000150 proto 151
request ip -6 route replace blackhole fd00:2::/64 table 5180 metric 4096 proto 151
request ip rule add not fwmark 0x1000/0x1000 lookup 5180 pref 5180 protocol 151
request ip -6 rule add not fwmark 0x1000/0x1000 lookup 5180 pref 5180 protocol 151

answers ip -d link show type wireguard
answers ip addr show dev sw0
answers ip nexthop show
answers ip route show table 5180
answers ip -6 route show table 5180
answers ip rule show
answers ip -6 rule show
answers wg show sw-a0 dump
answers ip route replace 10.9.0.0/16 nhid 518000199 table 5180
answers ip link del sw9

ip netns exec $NS nft 'add table inet spanwire; add counter inet spanwire denied { packets 5 bytes 700 }'
answers nft list counter inet spanwire denied
request nft reset counter inet spanwire denied

request ip -6 netconf show dev sw0
answers ip -6 netconf show dev sw0
ip netns exec $NS sh -c 'echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'
answers ip -6 netconf show dev sw-a0

request ip route del unicast 198.18.0.66/32 table 5180 dev sw-a0
request ip route del blackhole 10.2.0.0/16 table 5180 metric 4096
request ip nexthop del id 518000140
request ip addr del 198.18.0.1/32 dev sw0
