/** @module A real kube-apiserver over a real etcd for a test: no nodes, so pods are objects; gone with the test. */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createTestCa } from "@spanwire/runtime/grpc/test-certificates";
import { dieWithParent } from "./die-with-parent.ts";
import { lastLines } from "./execute.ts";
import { findPorts } from "./find-ports.ts";
import { kubernetesPaths } from "./kubernetes-binaries.ts";

export interface KubeApi extends AsyncDisposable {
  /** "https://127.0.0.1:PORT"; the same after a restart. Its discovery is open to anybody. */
  readonly url: string;
  readonly caPem: string;
  /** What `kubectl get --raw /openid/v1/jwks` prints. */
  jwks(): Promise<string>;
  /** Makes a pod of the ServiceAccount; an earlier one of this name is gone. Returns its uid. */
  replacePod(name: string): Promise<string>;
  /** What the kubelet would project into the pod: TokenRequest, bound to it. Without a pod it is bound to none. */
  token(options: TokenOptions): Promise<string>;
  /** Signs with another key from now on; the former one is still good, unless `forget`. */
  exchangeKey(options?: { readonly forget?: boolean }): Promise<void>;
}

export interface TokenOptions {
  readonly pod?: string;
  readonly serviceAccount?: string;
  readonly audience?: string;
  /** At least 600, which Kubernetes asks for. */
  readonly lifetimeS?: number;
}

/** The same in every cluster, as in the world. */
export const KUBE_ISSUER = "https://kubernetes.default.svc.cluster.local";
export const KUBE_NAMESPACE = "spanwire";
export const KUBE_ACCOUNT = "gateway";
const ADMIN_TOKEN = "admin-of-the-lab";
const START_LIMIT_MS = 120_000;
const POLL_MS = 50;

export async function startKubeApi(): Promise<KubeApi> {
  const binaries = await kubernetesPaths();
  const directory = await mkdtemp(join(tmpdir(), "spanwire-kube-"));
  const [port = 0, etcdPort = 0, peerPort = 0] = await findPorts(3);
  const url = `https://127.0.0.1:${port}`;
  const ca = await createTestCa("CN=kube-apiserver CA");
  const file = (name: string) => join(directory, name);
  const { chainPem, privateKeyPem } = await ca.issue({});
  await writeFile(file("tls.crt"), chainPem);
  await writeFile(file("tls.key"), privateKeyPem.reveal(), { mode: 0o600 });
  await writeFile(file("tokens.csv"), `${ADMIN_TOKEN},admin,admin,system:masters\n`);
  const keys = [await makeKey(0)];
  const etcd = await launch("etcd", etcdArguments());
  let api = await launch("kube-apiserver", apiArguments());
  try {
    await ready();
    await setUp();
  } catch (error) {
    await dispose();
    throw error;
  }

  return {
    url,
    caPem: ca.caPem,
    jwks: async () => (await call("GET", "/openid/v1/jwks", undefined, "")).text,
    async replacePod(name) {
      const path = `/api/v1/namespaces/${KUBE_NAMESPACE}/pods`;
      await call("DELETE", `${path}/${name}`, { gracePeriodSeconds: 0 });
      const spec = { serviceAccountName: KUBE_ACCOUNT, containers: [{ name: "agent", image: "agent" }] };
      const made = await must("POST", path, { apiVersion: "v1", kind: "Pod", metadata: { name }, spec });
      return made.metadata.uid;
    },
    async token({ pod, serviceAccount = KUBE_ACCOUNT, audience = "spanwire-hub", lifetimeS = 600 }) {
      const bound = pod && { kind: "Pod", apiVersion: "v1", name: pod };
      const spec = { audiences: [audience], expirationSeconds: lifetimeS, ...(bound && { boundObjectRef: bound }) };
      const path = `/api/v1/namespaces/${KUBE_NAMESPACE}/serviceaccounts/${serviceAccount}/token`;
      const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec };
      return (await must("POST", path, body)).status.token;
    },
    async exchangeKey({ forget = false } = {}) {
      keys.unshift(await makeKey(keys.length));
      if (forget) keys.splice(1);
      await end(api);
      api = await launch("kube-apiserver", apiArguments());
      await ready();
    },
    [Symbol.asyncDispose]: dispose,
  };

  async function makeKey(index: number): Promise<string> {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const name = file(`signing-${index}`);
    await writeFile(`${name}.key`, privateKey.export({ format: "pem", type: "sec1" }), { mode: 0o600 });
    await writeFile(`${name}.pub`, publicKey.export({ format: "pem", type: "spki" }));
    return name;
  }

  function etcdArguments(): string[] {
    const [client, peer] = [`http://127.0.0.1:${etcdPort}`, `http://127.0.0.1:${peerPort}`];
    return [
      ...[binaries.etcd, "--data-dir", file("etcd"), "--unsafe-no-fsync", "--log-level", "warn"],
      ...["--listen-client-urls", client, "--advertise-client-urls", client],
      ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`],
    ];
  }

  function apiArguments(): string[] {
    const [signing = ""] = keys;
    return [
      ...[binaries.apiServer, "--etcd-servers", `http://127.0.0.1:${etcdPort}`, "--secure-port", String(port)],
      ...["--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none"],
      ...["--tls-cert-file", file("tls.crt"), "--tls-private-key-file", file("tls.key")],
      ...["--token-auth-file", file("tokens.csv"), "--authorization-mode", "RBAC"],
      ...["--service-cluster-ip-range", "10.96.0.0/16", "--disable-admission-plugins", "ServiceAccount"],
      ...["--service-account-issuer", KUBE_ISSUER, "--service-account-jwks-uri", `${url}/openid/v1/jwks`],
      ...["--service-account-signing-key-file", `${signing}.key`],
      ...keys.flatMap((name) => ["--service-account-key-file", `${name}.pub`]),
    ];
  }

  async function launch(name: string, argv: readonly string[]): Promise<Running> {
    const [program = "", ...args] = await dieWithParent(argv);
    const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], cwd: directory });
    const log: string[] = [];
    child.stderr?.on("data", (chunk: Buffer) => {
      log.push(chunk.toString());
      if (log.length > 200) log.shift();
    });
    const ended = new Promise<void>((resolve) => child.on("close", () => resolve()));
    return { name, child, ended, log };
  }

  async function ready(): Promise<void> {
    const deadline = performance.now() + START_LIMIT_MS;
    for (;;) {
      const status = await call("GET", "/readyz").then(
        (answer) => answer.status,
        () => 0,
      );
      if (status === 200) return;
      for (const { name, child, log } of [etcd, api]) {
        if (child.exitCode === null && performance.now() < deadline) continue;
        throw new Error(`${name}: ended, or not ready in ${START_LIMIT_MS / 1_000} s: ${lastLines(log.join(""), 8)}`);
      }
      await delay(POLL_MS);
    }
  }

  async function setUp(): Promise<void> {
    const metadata = (name: string) => ({ apiVersion: "v1", metadata: { name } });
    await must("POST", "/api/v1/namespaces", { ...metadata(KUBE_NAMESPACE), kind: "Namespace" });
    for (const account of [KUBE_ACCOUNT, "other"]) {
      const path = `/api/v1/namespaces/${KUBE_NAMESPACE}/serviceaccounts`;
      await must("POST", path, { ...metadata(account), kind: "ServiceAccount" });
    }
    const rbac = "rbac.authorization.k8s.io";
    await must("POST", `/apis/${rbac}/v1/clusterrolebindings`, {
      ...{ apiVersion: `${rbac}/v1`, kind: "ClusterRoleBinding", metadata: { name: "open-discovery" } },
      roleRef: { apiGroup: rbac, kind: "ClusterRole", name: "system:service-account-issuer-discovery" },
      subjects: [{ apiGroup: rbac, kind: "Group", name: "system:unauthenticated" }],
    });
    // The authorizer hears of it a moment later.
    while ((await call("GET", "/openid/v1/jwks", undefined, "")).status !== 200) await delay(POLL_MS);
  }

  async function must(method: string, path: string, body: object): Promise<Reply> {
    const { status, text } = await call(method, path, body);
    if (status >= 200 && status < 300) return JSON.parse(text);
    throw new Error(`kube-apiserver: ${method} ${path}: status ${status}: ${text.trim()}`);
  }

  function call(method: string, path: string, body?: object, token = ADMIN_TOKEN): Promise<Answer> {
    const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
    return new Promise((resolve, reject) => {
      const sent = request(`${url}${path}`, { method, headers, ca: ca.caPem, agent: false }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      });
      sent.on("error", reject);
      sent.end(body && JSON.stringify(body));
    });
  }

  async function dispose(): Promise<void> {
    await Promise.all([end(api), end(etcd)]);
    await rm(directory, { recursive: true, force: true });
  }
}

interface Running {
  readonly name: string;
  readonly child: ChildProcess;
  readonly ended: Promise<void>;
  /** The last of what it has said. */
  readonly log: string[];
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

/** What is read of answers here. */
interface Reply {
  readonly metadata: { readonly uid: string };
  readonly status: { readonly token: string };
}

async function end({ child, ended }: Running): Promise<void> {
  child.kill("SIGKILL");
  await ended;
}
