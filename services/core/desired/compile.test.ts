import { expect, test } from "vitest";
import { printDesired } from "./print.ts";
import { compileOnce, testLocal, testMap } from "./testing.ts";

const EU = { id: "eu", block: 0, prefixes: ["10.1.0.0/16"], gateways: [{ ordinal: 0 }, { ordinal: 1 }] };
const US = { id: "us", block: 1, prefixes: ["10.2.0.0/16"], gateways: [{ ordinal: 0 }, { ordinal: 1 }] };

test("two clusters of two gateways: what gateway eu.0 holds", () => {
  const map = testMap({ clusters: [EU, US] });
  const local = testLocal(map, "eu", 0, { connected: ["10.1.0.0/24", "192.0.2.0/24"], control: ["203.0.113.9"] });
  expect(printDesired(compileOnce(map, local).desired)).toMatchInlineSnapshot(`
    "# devices
    sw-a0 wireguard mtu 1420 listen-port 51820 fwmark 0x1000 public-key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    sw-a1 wireguard mtu 1420 listen-port 51822 fwmark 0x1000 public-key AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
    sw0 dummy mtu 1420
    # device settings
    sw-a0 rp_filter 2 forwarding 1
    sw-a1 rp_filter 2 forwarding 1
    # addresses
    198.18.0.16/32 dev sw-a0
    198.18.0.16/32 dev sw-a1
    198.18.0.0/32 dev sw0
    # peers
    sw-a0 peer AAEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
      endpoint 192.0.2.17:51820
      persistent-keepalive 20
      allowed-ips 10.2.0.0/16, 198.18.0.112/32, 198.18.0.64/32, 198.18.0.80/32
    sw-a1 peer AAEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
      endpoint 192.0.2.18:51820
      persistent-keepalive 20
      allowed-ips 10.2.0.0/16, 198.18.0.113/32, 198.18.0.65/32, 198.18.0.81/32
    # nexthops
    id 518000100 dev sw-a0 (ipv4)
    id 518000101 dev sw-a1 (ipv4)
    id 518000140 group 518000100/518000101 type resilient buckets 32
    # routes
    throw 10.1.0.0/16 table 5180 metric 0
    throw 10.1.0.0/24 table 5180 metric 0
    10.2.0.0/16 nhid 518000140 src 198.18.0.0 table 5180 metric 0
    blackhole 10.2.0.0/16 table 5180 metric 4096
    throw 192.0.2.0/24 table 5180 metric 0
    198.18.0.112/32 nhid 518000100 src 198.18.0.0 table 5180 metric 0
    198.18.0.113/32 nhid 518000101 src 198.18.0.0 table 5180 metric 0
    blackhole 198.18.0.64/26 table 5180 metric 4096
    198.18.0.64/32 nhid 518000100 src 198.18.0.0 table 5180 metric 0
    198.18.0.65/32 nhid 518000101 src 198.18.0.0 table 5180 metric 0
    198.18.0.80/32 dev sw-a0 src 198.18.0.16 table 5180 metric 0
    198.18.0.81/32 dev sw-a1 src 198.18.0.16 table 5180 metric 0
    throw 203.0.113.9/32 table 5180 metric 0
    blackhole fd5a:1:0:1::/64 table 5180 metric 4096
    # rules
    5180: not from all fwmark 0x1000/0x1000 lookup 5180 (ipv4)
    5180: not from all fwmark 0x1000/0x1000 lookup 5180 (ipv6)
    # firewall
    guard by sw-* or mark 0x1000/0x1000 only:
      10.2.0.0/16
      198.18.0.64/26
      fd5a:1:0:1::/64
    allow eu~us in 10.2.0.0/16 -> 10.1.0.0/16 any
    allow eu~us in 10.2.0.0/16 -> 198.18.0.0/26 any
    allow eu~us in 198.18.0.64/26 -> 10.1.0.0/16 any
    allow eu~us in 198.18.0.64/26 -> 198.18.0.0/26 any
    allow eu~us out 10.1.0.0/16 -> 10.2.0.0/16 any
    allow eu~us out 10.1.0.0/16 -> 198.18.0.64/26 any
    allow eu~us out 198.18.0.0/26 -> 10.2.0.0/16 any
    allow eu~us out 198.18.0.0/26 -> 198.18.0.64/26 any
    mss at most 1380 (ipv4), 1360 (ipv6)
    "
  `);
});
