/**
 * @module Kernel modules the VM loads at boot, before any dependency order (`modprobe` adds that).
 *
 * All of them at once, because nothing loads later: the guest has no module tree. A module the kernel has built in, or
 * does not know, is left out when the image is made.
 */

const HOST_FILES = ["9p", "9pnet_virtio", "virtio_pci", "virtio_console", "virtio_rng", "overlay"];

const DEVICES = ["wireguard", "veth", "dummy", "bridge", "tun"];

const FIREWALL = [
  ...["nf_tables", "nft_chain_nat", "nft_compat", "nf_conntrack_netlink", "nf_nat", "nf_defrag_ipv6"],
  ...["nft_ct", "nft_nat", "nft_masq", "nft_redir", "nft_reject", "nft_reject_inet", "nft_limit", "nft_log"],
  ...[
    "nft_fib",
    "nft_fib_inet",
    "nft_fib_ipv4",
    "nft_fib_ipv6",
    "nft_hash",
    "nft_numgen",
    "nft_quota",
    "nft_connlimit",
  ],
  ...["nft_objref", "nft_counter", "nft_tproxy", "nft_socket", "nft_synproxy", "nft_dup_ipv4", "nft_fwd_netdev"],
];

const QUEUEING = ["sch_netem", "sch_tbf", "sch_fq_codel", "sch_ingress", "cls_u32", "cls_matchall", "act_mirred"];

export const MODULES: readonly string[] = [...HOST_FILES, ...DEVICES, ...FIREWALL, ...QUEUEING];
