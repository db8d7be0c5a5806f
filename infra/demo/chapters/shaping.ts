import { setTimeout as delay } from "node:timers/promises";
import { classBytes, packetsOf } from "../kernel.ts";
import { policyFile } from "../policy-file.ts";
import type { Stage } from "../stage.ts";

const WARM_UP_MS = 3_000;
const WINDOW_MS = 31_000;
const WEB_BIT_PER_SEC = 200_000;
const TOLERANCE = 0.02;
const REST_BIT_PER_SEC = 1_024_000;
const REST_PORT = 9000;

/** HTTP held to 200 kbit, the rest to 1024 kbit, measured by the kernel's own class counters. */
export async function shaping({ lab, narrator }: Stage): Promise<void> {
  narrator.chapter("A small uplink: 200 kbit for the web server, 1024 kbit for the rest");
  await narrator.sluice("policy", "apply", "-f", policyFile("uplink"), "--reason", "the uplink is 1 Mbit");
  const plan = await narrator.sluice("plan", "uplink");
  narrator.claim("every server can, and says what would change", plan.code === 0, `exit ${plan.code}`);
  const waves = ["--wave", "server-1", "--wave", "server-2,server-3,server-4"];
  const rollout = await narrator.sluice(
    "rollout",
    "start",
    "uplink",
    ...waves,
    "--reason",
    "the uplink is 1 Mbit",
  );
  narrator.claim("rolled out, canary first", rollout.code === 0, `exit ${rollout.code}`);

  narrator.note(`downloading from port 80 of all four servers for ${(WARM_UP_MS + WINDOW_MS) / 1000} s …`);
  const seconds = (WARM_UP_MS + WINDOW_MS + 1_000) / 1000;
  const downloads = lab.fabric.servers.map((host) =>
    lab.outside.download({ url: `http://${host.ipv4}/`, seconds, warmUpMs: WARM_UP_MS }),
  );
  const [rates, ...payloads] = await Promise.all([classRates(lab.fabric.servers), ...downloads]);
  for (const [index, host] of lab.fabric.servers.entries()) {
    const rate = rates[index] ?? 0;
    const payload = payloads[index]?.bitPerSec ?? 0;
    narrator.claim(
      `${host.name}: class 1:10 stays within 2 % of 200 kbit/s`,
      Math.abs(rate - WEB_BIT_PER_SEC) <= TOLERANCE * WEB_BIT_PER_SEC,
      `${kbit(rate)} kbit/s on the wire over ${WINDOW_MS / 1000} s, ${kbit(payload)} of it payload`,
    );
  }
  const [first] = lab.fabric.servers;
  if (first === undefined) return;
  const marked = await packetsOf(first.namespace, "mangle", "--sport 80");
  narrator.claim(
    "the rule that sorts web packets counts them",
    marked > 0,
    `${marked} packets on ${first.name}`,
  );

  const server = lab.fabric.host("server-1");
  const fast = await lab.outside.download({
    url: `http://${server.ipv4}:${REST_PORT}/`,
    seconds: 11,
    warmUpMs: WARM_UP_MS,
  });
  narrator.claim(
    "all else shares 1024 kbit/s",
    fast.bitPerSec > 0.85 * REST_BIT_PER_SEC && fast.bitPerSec <= 1.02 * REST_BIT_PER_SEC,
    `${kbit(fast.bitPerSec)} kbit/s payload from port ${REST_PORT}`,
  );
}

/** What class 1:10 of each sends over the window, in bits per second. */
async function classRates(hosts: readonly { namespace: string; device: string }[]): Promise<number[]> {
  await delay(WARM_UP_MS);
  const before = await sentBytes(hosts);
  await delay(WINDOW_MS);
  const after = await sentBytes(hosts);
  return hosts.map((_, index) => rateOf(before[index], after[index]));
}

interface Reading {
  bytes: number;
  atMs: number;
}

async function sentBytes(hosts: readonly { namespace: string; device: string }[]): Promise<Reading[]> {
  return await Promise.all(
    hosts.map(async ({ namespace, device }) => {
      const bytes = await classBytes(namespace, device, "1:10");
      return { bytes, atMs: performance.now() };
    }),
  );
}

function rateOf(before: Reading | undefined, after: Reading | undefined): number {
  if (before === undefined || after === undefined) return 0;
  return ((after.bytes - before.bytes) * 8 * 1000) / (after.atMs - before.atMs);
}

function kbit(bitPerSec: number): string {
  return (bitPerSec / 1000).toFixed(2);
}
