import { expect, test } from "vitest";
import { controlAddresses } from "./local-facts.ts";

const names: Readonly<Record<string, readonly string[]>> = {
  "hub.example": ["192.0.2.9", "2001:db8::9"],
  "nats.example": ["192.0.2.8"],
};
const resolve = async (host: string) => names[host] ?? Promise.reject(new Error("ENOTFOUND"));

test.each([
  {
    name: "addresses as they are",
    places: ["192.0.2.1:7443", "[2001:db8::1]:7443"],
    want: ["192.0.2.1", "2001:db8::1"],
  },
  { name: "names resolved", places: ["hub.example:7443"], want: ["192.0.2.9", "2001:db8::9"] },
  {
    name: "URLs",
    places: ["tls://nats.example:4222", "nats://user@192.0.2.1:4222/", "wss://[::1]:443"],
    want: ["192.0.2.1", "192.0.2.8", "::1"],
  },
  { name: "each once", places: ["192.0.2.1:1", "nats://192.0.2.1:2"], want: ["192.0.2.1"] },
  { name: "a name that does not resolve is left out", places: ["gone.example:1", "192.0.2.1:1"], want: ["192.0.2.1"] },
])("control addresses: $name", async ({ places, want }) => {
  expect(await controlAddresses(places, resolve)).toEqual(want);
});
