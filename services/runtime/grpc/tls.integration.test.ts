import { X509Certificate } from "node:crypto";
import { createServer } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import { FleetService } from "@spanwire/proto/fleet";
import { beforeAll, expect, test } from "vitest";
import { openChannel } from "./channel.ts";
import { createClient } from "./client.ts";
import type { Peer } from "./context.ts";
import { fetchPinnedChain, spkiSha256Of } from "./pin.ts";
import { createServerTls } from "./server-tls.ts";
import { createTestCa, type TestCa, type TestCertificate } from "./test-certificates.ts";
import { startTestServer } from "./test-server.ts";

const timeoutMs = 60_000;
const never = new AbortController().signal;
const spiffeId = "spiffe://mesh/cluster/eu/gateway/0";
let ca: TestCa;
let otherCa: TestCa;
let serverCertificate: TestCertificate;
let agentCertificate: TestCertificate;
beforeAll(async () => {
  [ca, otherCa] = await Promise.all([createTestCa(), createTestCa("CN=other CA")]);
  [serverCertificate, agentCertificate] = await Promise.all([ca.issue({}), ca.issue({ uri: spiffeId })]);
});

test("without client certificates: the server is verified, the client is nobody", async () => {
  let peer: Peer | undefined;
  const serverTls = createServerTls({ certificate: serverCertificate });
  await using server = await startTestServer(
    rememberPeer((seen) => (peer = seen)),
    { tls: serverTls },
    { caPem: ca.caPem },
  );
  await server.client.getVersion({}, { timeoutMs });
  expect(peer?.certificate).toBeUndefined();

  using stranger = openChannel({ address: server.address, tls: { caPem: otherCa.caPem } });
  await expect(createClient(FleetService, stranger).getVersion({}, { timeoutMs })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("self-signed certificate in certificate chain"),
  });

  using renamed = openChannel({ address: server.address, tls: { caPem: ca.caPem, serverName: "hub.example" } });
  await expect(createClient(FleetService, renamed).getVersion({}, { timeoutMs })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("hub.example. is not in the cert's altnames"),
  });
});

test("with client certificates: the handler knows the caller's SPIFFE name; others do not get in", async () => {
  let peer: Peer | undefined;
  const serverTls = createServerTls({ certificate: serverCertificate, clientCaPem: ca.caPem });
  const tls = { caPem: ca.caPem, certificate: agentCertificate };
  await using server = await startTestServer(
    rememberPeer((seen) => (peer = seen)),
    { tls: serverTls },
    tls,
  );
  await server.client.getVersion({}, { timeoutMs });
  expect(peer?.certificate?.spiffeId).toBe(spiffeId);
  expect(new X509Certificate(peer?.certificate?.der ?? "").subjectAltName).toContain(spiffeId);

  const forged = await otherCa.issue({ uri: spiffeId });
  for (const certificate of [undefined, forged]) {
    using channel = openChannel({
      address: server.address,
      tls: { caPem: ca.caPem, ...(certificate && { certificate }) },
    });
    await expect(createClient(FleetService, channel).getVersion({}, { timeoutMs })).rejects.toMatchObject({
      code: "unavailable",
    });
  }
});

test("a new certificate is served to new connections while the old ones stay open", async () => {
  const serverTls = createServerTls({ certificate: await ca.issue({ serial: "0a" }) });
  await using server = await startTestServer(
    {
      async *exportState() {
        for (let n = 0; ; n++) yield { key: String(n) };
      },
    },
    { tls: serverTls },
    { caPem: ca.caPem },
  );
  const stream = server.client.exportState({});
  expect((await stream.next()).value?.key).toBe("0");
  expect(await servedSerial(server.server.port)).toBe("0A");

  serverTls.replace({ certificate: await ca.issue({ serial: "0b" }) });
  expect(await servedSerial(server.server.port)).toBe("0B");
  expect((await stream.next()).value?.key).toBe("1");

  const broken = { ...(await ca.issue({ serial: "0c" })), privateKeyPem: serverCertificate.privateKeyPem };
  expect(() => serverTls.replace({ certificate: broken })).toThrow("the private key belongs to another certificate");
  expect(await servedSerial(server.server.port)).toBe("0B");
  await stream.return();
});

test("another client CA holds for new connections", async () => {
  const serverTls = createServerTls({ certificate: serverCertificate, clientCaPem: ca.caPem });
  const handlers = { getVersion: async () => ({}) };
  const certificate = await otherCa.issue({ uri: spiffeId });
  const tls = { caPem: ca.caPem, certificate };
  await using server = await startTestServer(handlers, { tls: serverTls }, tls);
  const attempt = () =>
    server.client.getVersion({}, { timeoutMs }).then(
      () => "in",
      () => "out",
    );
  expect(await attempt()).toBe("out");
  serverTls.replace({ certificate: serverCertificate, clientCaPem: `${ca.caPem}\n${otherCa.caPem}` });
  await expect.poll(attempt).toBe("in");
});

test("the pinned CA is found in the presented chain", async () => {
  const serverTls = createServerTls({ certificate: serverCertificate });
  await using server = await startTestServer({}, { tls: serverTls });
  const pem = await fetchPinnedChain({ address: server.address, spkiSha256: spkiSha256Of(ca.caPem), signal: never });
  expect(new X509Certificate(pem).raw).toEqual(new X509Certificate(ca.caPem).raw);

  const wrong = fetchPinnedChain({ address: server.address, spkiSha256: spkiSha256Of(otherCa.caPem), signal: never });
  await expect(wrong).rejects.toMatchObject({ code: "denied", reason: "PIN_MISMATCH", retryable: false });
  // The key of the server itself is in the chain, too, but no CA.
  const leaf = fetchPinnedChain({
    address: server.address,
    spkiSha256: spkiSha256Of(serverCertificate.chainPem),
    signal: never,
  });
  await expect(leaf).rejects.toMatchObject({ reason: "PIN_MISMATCH" });
});

test("first contact with nobody, or with a server that never answers", async () => {
  const spkiSha256 = spkiSha256Of(ca.caPem);
  const silent = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => silent.once("listening", resolve));
  const bound = silent.address();
  const address = `127.0.0.1:${bound !== null && typeof bound === "object" ? bound.port : 0}`;

  const controller = new AbortController();
  const reason = new Error("join gives up");
  const waiting = fetchPinnedChain({ address, spkiSha256, signal: controller.signal });
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);

  await new Promise((resolve) => silent.close(resolve));
  await expect(fetchPinnedChain({ address, spkiSha256, signal: never })).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining(address),
  });
  await expect(fetchPinnedChain({ address: "hub", spkiSha256, signal: never })).rejects.toMatchObject({
    code: "invalid",
  });
});

function rememberPeer(remember: (peer: Peer) => void) {
  return {
    getVersion: async (_request: unknown, { peer }: { peer: Peer }) => {
      remember(peer);
      return {};
    },
  };
}

async function servedSerial(port: number): Promise<string> {
  const socket: TLSSocket = connect({ port, host: "127.0.0.1", ca: ca.caPem, ALPNProtocols: ["h2"] });
  await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}
