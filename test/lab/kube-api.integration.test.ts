import { afterAll, beforeAll, expect, test } from "vitest";
import { KUBE_ISSUER, type KubeApi, startKubeApi } from "./kube-api.ts";
import { kubernetesPaths } from "./kubernetes-binaries.ts";
import { runTier } from "./tier.ts";

/** Header (0) or claims (1) of a token. */
const partOf = (token: string, at: 0 | 1) =>
  JSON.parse(Buffer.from(token.split(".")[at] ?? "", "base64url").toString());

const BUILD_LIMIT_MS = 45 * 60_000;

const outcome = await runTier("a real kube-apiserver", () => kubernetesPaths());
const kubeTest = test.skipIf(outcome.kind === "skipped");

let api: KubeApi;
beforeAll(async () => {
  if (outcome.kind === "ran") api = await startKubeApi();
}, BUILD_LIMIT_MS);
afterAll(() => api?.[Symbol.asyncDispose]());

kubeTest("gives tokens that are bound to a pod, and to the next one of its name", async () => {
  for (let round = 0; round < 2; round++) {
    const uid = await api.replacePod("gateway-0");
    const claims = partOf(await api.token({ pod: "gateway-0" }), 1);
    expect(claims).toMatchObject({
      iss: KUBE_ISSUER,
      aud: ["spanwire-hub"],
      sub: "system:serviceaccount:spanwire:gateway",
    });
    expect(claims["kubernetes.io"]).toMatchObject({ namespace: "spanwire", pod: { name: "gateway-0", uid } });
  }
});

kubeTest("signs with another key after an exchange, and publishes both", async () => {
  const kids = async () => (JSON.parse(await api.jwks()) as { keys: { kid: string }[] }).keys.map(({ kid }) => kid);
  const [before] = await kids();
  await api.exchangeKey();
  const { kid } = partOf(await api.token({}), 0);
  expect(kid).not.toBe(before);
  expect((await kids()).sort()).toEqual([before, kid].sort());
});
