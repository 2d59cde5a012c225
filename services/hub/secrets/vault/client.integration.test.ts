import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { Secret } from "@spanwire/core/identity/secret";
import { expect, test } from "vitest";
import { createVaultClient } from "./client.ts";
import { createTransport } from "./transport.ts";

const TOKEN = "s.token-that-nobody-may-see";
const token = new Secret(Buffer.from(TOKEN));
const signal = AbortSignal.timeout(60_000);

async function serve(listener: RequestListener) {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const transport = createTransport({ caPem: undefined });
  const client = createVaultClient({ address, namespace: undefined, transport });
  return {
    address,
    read: () => client.send({ method: "GET", path: "secret/data/x" }, token, signal),
    async [Symbol.asyncDispose]() {
      transport.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

test("the token follows no redirect", async () => {
  const seen: unknown[] = [];
  await using elsewhere = await serve((request, response) => {
    seen.push(request.headers["x-vault-token"]);
    response.end("{}");
  });
  await using standby = await serve((_request, response) => {
    response.writeHead(307, { location: `${elsewhere.address}/v1/secret/data/x` }).end();
  });
  await expect(standby.read()).rejects.toMatchObject({ reason: "VAULT_AWAY", message: expect.stringContaining("307") });
  expect(seen).toEqual([]);
});

test.each([
  { name: "status 503, sealed", status: 503, body: '{"errors":["Vault is sealed"]}', reason: "VAULT_SEALED" },
  { name: "status 502 of a proxy", status: 502, body: "<html>bad gateway</html>", reason: "VAULT_AWAY" },
  { name: "status 429", status: 429, body: '{"errors":["too many requests"]}', reason: "VAULT_AWAY" },
  {
    name: "status 500",
    status: 500,
    body: '{"errors":["1 error occurred:\\n\\t* disk full"]}',
    reason: "VAULT_FAILED",
  },
  {
    name: "status 500 of a server that was just unsealed, and leads in a moment",
    status: 500,
    body: '{"errors":["local node not active but active cluster node not found"]}',
    reason: "VAULT_AWAY",
  },
  { name: "status 403", status: 403, body: '{"errors":["permission denied"]}', reason: "VAULT_DENIED" },
  { name: "an answer without end", status: 200, body: "x".repeat(2_000_000), reason: "VAULT_UNREACHABLE" },
])("$name is $reason, and the error does not hold the token", async ({ status, body, reason }) => {
  await using server = await serve((_request, response) => void response.writeHead(status).end(body));
  const error: unknown = await server.read().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ reason });
  expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(TOKEN);
});

test("a connection that breaks is VAULT_UNREACHABLE", async () => {
  await using server = await serve((request) => void request.socket.destroy());
  await expect(server.read()).rejects.toMatchObject({ reason: "VAULT_UNREACHABLE" });
});

/** node-vault and what it stands on print requests with their headers when they are asked to debug. */
test("nothing secret is printed when everybody is asked to debug", async () => {
  await using server = await serve((_request, response) => void response.end('{"data":{"data":{"bytes":"c2VjcmV0"}}}'));
  const program = `
    const { Secret } = await import("@spanwire/core/identity/secret");
    const { createVaultClient } = await import("./client.ts");
    const { createTransport } = await import("./transport.ts");
    const transport = createTransport({ caPem: undefined });
    const client = createVaultClient({ address: ${JSON.stringify(server.address)}, namespace: undefined, transport });
    const body = { data: { bytes: "cGFzc3dvcmQ=" } };
    const request = { method: "POST", path: "secret/data/x", body };
    const { status } = await client.send(request, new Secret(Buffer.from("${TOKEN}")), AbortSignal.timeout(30000));
    process.stdout.write("status " + status);
    transport.close();`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    cwd: import.meta.dirname,
    env: { ...process.env, DEBUG: "*", NODE_DEBUG: "" },
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (printed += chunk));
  await once(child, "close");
  expect(printed).toContain("status 200");
  for (const hidden of [TOKEN, "cGFzc3dvcmQ=", "c2VjcmV0"]) expect(printed).not.toContain(hidden);
});
