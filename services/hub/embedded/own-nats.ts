/** @module The embedded NATS: its files, its certificate, its process, all under one directory. */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock, Random } from "@spanwire/core/time";
import { writeFileAtomic } from "@spanwire/runtime/files/write-file-atomic";
import type { Logger } from "@spanwire/runtime/log/logger";
import { type CertificateAuthority, SERVER_LIFETIME_MS } from "../authority/ca.ts";
import type { OwnOperator } from "../nats/operator.ts";
import { renderServerConfig } from "../nats/server-config.ts";
import { lockDirectory } from "./lock-directory.ts";
import { startNatsChild } from "./nats-child.ts";

export interface OwnNatsOptions {
  readonly directory: string;
  /** Path of nats-server. */
  readonly binary: string;
  readonly operator: OwnOperator;
  readonly ca: CertificateAuthority;
  /** The address to listen on. */
  readonly listen: string;
  /** The name or address that agents use. */
  readonly advertise: string;
  /** 0 takes any free port, once: agents are told, so it stays. */
  readonly port: number;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
}

export interface OwnNats {
  /** Where this hub connects. */
  readonly own: readonly string[];
  /** Where agents are told to connect. */
  readonly advertised: readonly string[];
  readonly caPem: string;
  /** Resolves when the signal has aborted and the process has ended. */
  readonly done: Promise<void>;
}

const PORT_FILE = "port";
const CONFIG_FILE = "nats-server.conf";
const RENEW_MS = SERVER_LIFETIME_MS / 3;

/**
 * Starts it, made on first use and the same ever after. Rejects with `ALREADY_RUNNING` while another hub uses the
 * directory, and with the server's last words when it does not come up.
 */
export async function startOwnNats(options: OwnNatsOptions): Promise<OwnNats> {
  const { directory, binary, operator, ca, listen, advertise, log, clock, random, signal } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const lock = await lockDirectory(directory);
  try {
    const tls = { certificateFile: join(directory, "server.crt"), keyFile: join(directory, "server.key") };
    await writeCertificate(options, tls);
    const port = await choosePort(directory, options.port);
    const config = renderServerConfig({ operator, host: listen, port, directory, tls });
    const configFile = join(directory, CONFIG_FILE);
    await writeFileAtomic(configFile, Buffer.from(config));
    const child = await startNatsChild({ binary, configFile, log, clock, random, signal });
    const listening = new URL(child.url).port;
    await writeFileAtomic(join(directory, PORT_FILE), Buffer.from(listening));
    const renewing = renew(options, tls, child.reload);
    return {
      own: [`tls://${isAny(listen) ? "127.0.0.1" : bracketed(listen)}:${listening}`],
      advertised: [`tls://${bracketed(advertise)}:${listening}`],
      caPem: ca.certificatePem,
      done: Promise.all([child.done, renewing]).then(() => lock[Symbol.asyncDispose]()),
    };
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

interface TlsFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

/** A new one well before the old one ends; connections that are open stay. */
async function renew(options: OwnNatsOptions, tls: TlsFiles, reload: () => void): Promise<void> {
  const { clock, log, signal } = options;
  while (!signal.aborted) {
    await clock.sleep(RENEW_MS, signal).catch(() => {});
    if (signal.aborted) return;
    try {
      await writeCertificate(options, tls);
      reload();
    } catch (err) {
      log.error({ err }, "the certificate of nats-server cannot be renewed"); // two more times are left
    }
  }
}

async function writeCertificate({ ca, listen, advertise, clock }: OwnNatsOptions, tls: TlsFiles): Promise<void> {
  const hosts = [...new Set([advertise, ...(isAny(listen) ? [] : [listen]), "127.0.0.1", "localhost"])];
  const certificate = await ca.issueServer({ hosts, nowMs: clock.now(), lifetimeMs: SERVER_LIFETIME_MS });
  await writeFileAtomic(tls.keyFile, certificate.privateKeyPem.reveal());
  await writeFileAtomic(tls.certificateFile, Buffer.from(certificate.chainPem));
}

async function choosePort(directory: string, wanted: number): Promise<number> {
  if (wanted !== 0) return wanted;
  const former = Number(await readFile(join(directory, PORT_FILE), "utf8").catch(() => "0"));
  return former > 0 ? former : -1;
}

function isAny(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
