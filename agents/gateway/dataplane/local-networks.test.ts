import { expect, test } from "vitest";
import { localNetworks } from "./local-networks.ts";

test("connected networks of the main table, once each, without default and link-local ones", () => {
  const via = (destination: string, table = 254) => ({ device: "eth0", destination, table });
  const connected = [
    via("192.168.7.0/24"),
    via("10.1.0.0/24"),
    via("10.1.0.0/24"),
    via("0.0.0.0/0"),
    via("169.254.0.0/16"),
    via("fe80::/64"),
    via("ff00::/8"),
    via("2001:db8:1::/64"),
    via("10.9.0.0/24", 100),
  ];
  expect(localNetworks({ addresses: [], connected })).toEqual(["10.1.0.0/24", "192.168.7.0/24", "2001:db8:1::/64"]);
});
