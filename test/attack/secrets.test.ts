import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { toJsonString } from "@bufbuild/protobuf";
import { openFileSecretStore } from "@spanwire/hub/secrets/file-secret-store";
import {
  ExportStateResponseSchema,
  GetMapResponseSchema,
  GetStatusResponseSchema,
  ListClustersResponseSchema,
  ListTokensResponseSchema,
  ReadAuditResponseSchema,
} from "@spanwire/proto/fleet";
import { encodeBase32 } from "@spanwire/runtime/crypto/base32";
import { readState } from "@spanwire/runtime/files/state-file";
import { expect, test } from "vitest";
import { eventually } from "../demo/eventually.ts";
import { startHubProcess } from "../integration/hub-process.ts";
import { joinMember, type Member } from "../integration/member.ts";

const call = { timeoutMs: 60_000 };

test("no private key of a whole run stands in any log, answer of the API, or state of the hub", async () => {
  await using hub = await startHubProcess(["--log-level", "debug"]);
  await using eu = await joinMember(hub, { clusterId: "eu", prefixes: ["10.1.0.0/16"], endpoint: "192.0.2.1" });
  await using us = await joinMember(hub, { clusterId: "us", prefixes: ["10.2.0.0/16"], endpoint: "192.0.2.2" });
  await eventually("the two peer with each other", () =>
    [eu, us].every(({ kernel }) => kernel.toString().includes("peer ")),
  );
  const fleet = await hub.fleet();
  await fleet.revokeGateway({ clusterId: "us", ordinal: 0, reason: "test" }, call);

  const said = [hub.output(), JSON.stringify(eu.running.log.events), JSON.stringify(us.running.log.events)];
  said.push(toJsonString(ListClustersResponseSchema, await fleet.listClusters({}, call)));
  said.push(toJsonString(ListTokensResponseSchema, await fleet.listTokens({}, call)));
  said.push(toJsonString(GetStatusResponseSchema, await fleet.getStatus({}, call)));
  for await (const part of fleet.getMap({}, call)) said.push(...bytesIn(toJsonString(GetMapResponseSchema, part)));
  for await (const part of fleet.exportState({}, call))
    said.push(...bytesIn(toJsonString(ExportStateResponseSchema, part)));
  for await (const part of fleet.readAudit({}, call))
    said.push(...bytesIn(toJsonString(ReadAuditResponseSchema, part)));

  const secrets = [...(await hubSecrets(hub.directory)), ...(await memberSecrets(eu)), ...(await memberSecrets(us))];
  expect(secrets.length).toBeGreaterThan(10);
  // The search finds what is there: the public half of a key stands in the map.
  const [identity] = (await fleet.listClusters({}, call)).clusters.flatMap(({ gateways }) => gateways);
  expect(
    said.some((text) => forms(identity?.identityKey ?? new Uint8Array()).some((form) => text.includes(form))),
  ).toBe(true);
  for (const { name, bytes } of secrets) {
    const found = said.filter((text) => forms(bytes).some((form) => text.includes(form)));
    expect(
      found.map((text) => text.slice(0, 80)),
      name,
    ).toEqual([]);
  }
});

interface NamedSecret {
  readonly name: string;
  readonly bytes: Uint8Array;
}

async function hubSecrets(directory: string): Promise<readonly NamedSecret[]> {
  const folder = join(directory, "secrets");
  const store = await openFileSecretStore(folder);
  const names = new Set((await readdir(folder)).map((file) => file.replace(/\..*$/, "")));
  const found = await Promise.all(
    [...names]
      .filter((name) => !["mesh", "ca-certificate"].includes(name))
      .map(async (name) => ({ name, secret: await store.read(name) })),
  );
  return found.flatMap(({ name, secret }) => (secret === undefined ? [] : [{ name, bytes: secret.reveal() }]));
}

/** Every file of the state directory that holds a raw key. */
async function memberSecrets({ stateDirectory, clusterId }: Member): Promise<readonly NamedSecret[]> {
  const found: NamedSecret[] = [];
  for (const name of await readdir(stateDirectory, { recursive: true })) {
    const state = await readState(join(stateDirectory, name)).catch(() => undefined);
    if (state?.bytes.length === 32) found.push({ name: `${clusterId}: ${name}`, bytes: state.bytes });
  }
  return found;
}

function forms(bytes: Uint8Array): readonly string[] {
  const buffer = Buffer.from(bytes);
  return [
    buffer.toString("base64"),
    buffer.toString("base64url"),
    buffer.toString("hex"),
    encodeBase32(bytes),
    buffer.toString("latin1"),
  ];
}

/** The text itself, and what its base64 parts hold: a key inside a message is not aligned to them. */
function bytesIn(json: string): readonly string[] {
  const parts = [...json.matchAll(/"([A-Za-z0-9+/]{40,}={0,2})"/g)].map(([, text = ""]) =>
    Buffer.from(text, "base64").toString("latin1"),
  );
  return [json, ...parts];
}
