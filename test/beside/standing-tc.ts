import { startGuarded } from "@sluice/infra/process/guarded-child";
import { waitUntil } from "@sluice/infra/process/wait-until";

/** Runs a command where the device is. */
export type Sh = (command: string) => Promise<string>;

const WAIT_MS = 60_000;

/** What stands on eth0. */
export interface StandingTc {
  text: string;
  /** bytes that each qdisc and class has sent */
  sent: Readonly<Record<string, number>>;
}

export async function standingTc(sh: Sh): Promise<StandingTc> {
  const text = await sh(
    "tc -s -d -r qdisc show dev eth0; tc -s -d -r class show dev eth0; tc filter show dev eth0",
  );
  const handles = [...text.matchAll(/^qdisc \S+ (\S+?)\[/gm)].map(([, handle]) => handle);
  const inner = await Promise.all(
    handles.slice(1).map((handle) => sh(`tc filter show dev eth0 parent ${handle} 2>/dev/null || true`)),
  );
  const sent = [...text.matchAll(/^(qdisc|class) \S+ (\S+).*\n Sent (\d+) bytes/gm)];
  return {
    text: configured([text, ...inner].join("\n")),
    sent: Object.fromEntries(sent.map(([, object, id, bytes]) => [`${object} ${id}`, Number(bytes)])),
  };
}

/** What somebody made, without what counts: the kernel makes classes of its own, and tells more of both in indented lines. */
function configured(text: string): string {
  let isFilter = false;
  return text
    .split("\n")
    .filter((line) => {
      if (/^\S/.test(line)) isFilter = line.startsWith("filter");
      return /^(qdisc|class (htb|hfsc)|filter)/.test(line) || (isFilter && line.trim() !== "");
    })
    .join("\n")
    .replace(/direct_packets_stat \d+ /g, "")
    .replace(/ \(rule hit \d+ success \d+\)/g, "");
}

/** Without the numbers of u32 tables, which the kernel never gives twice. */
export function withoutTableNumbers({ text }: StandingTc): string {
  return text.replace(/\b8[0-9a-f]{2}:/g, "800:").replace(/\bht 8[0-9a-f]{2}\b/g, "ht 800");
}

/** Hears of every write to tc; returns those on eth0. `monitor` is `tc monitor` where the device is. */
export async function hearTcWrites(sh: Sh, monitor: readonly string[]): Promise<() => Promise<string[]>> {
  const child = startGuarded(monitor);
  let said = "";
  child.stdout.on("data", (chunk) => {
    said += chunk;
  });
  /** it tells of what was written before this was */
  async function hears(): Promise<void> {
    const before = said.length;
    await waitUntil("tc monitor", WAIT_MS, async () => {
      await sh("tc qdisc add dev lo root handle 9: pfifo && tc qdisc del dev lo root");
      return said.slice(before).includes("dev lo");
    });
  }
  await hears();
  return async () => {
    await hears();
    await child.stop();
    return said.split("\n").filter((line) => line.includes("dev eth0"));
  };
}

/** A few packets through the default class, without the agent's knowledge. */
export async function sendPackets(sh: Sh): Promise<void> {
  await sh(
    "ping -c 3 -i 0.01 -W 0.01 -I eth0 -r 192.0.2.77 >/dev/null 2>&1; ping -6 -c 3 -i 0.01 -W 0.01 ff02::1%eth0 >/dev/null 2>&1; true",
  );
}
