import { messageOf } from "@sluice/proto/base/errors";
import type { Family } from "@sluice/proto/base/names";
import { type AddressKey, createKey, writeKey } from "@sluice/proto/wire/address-text";
import type { Target } from "../drivers/driver.ts";
import type { Namespace } from "../exec/namespace.ts";
import { endsOf, readText, remoteOf } from "./connections.ts";

/**
 * Ends connections to what is blocked now and wasn't when they were made. The rules drop their packets already; without
 * this the server would go on sending into the void, and the connection would live on if the ban ended first.
 *
 * 1. Looks at what is live, not at what was added: a pass costs the same for one address and for a million, and passes
 *    that are asked for during one are one after it. They take a tenth of the time at most.
 * 2. Reads two files of the kernel; a tool is started only where there is something to end, and once for many.
 * 3. Only for lists that rules drop. Never for loopback or what is protected: `covers` says no to those.
 */
export interface Cutter {
  /** something may be blocked that wasn't */
  wake(): void;
  close(): Promise<void>;
}

export interface CutterOptions {
  at: Pick<Namespace, "readNet" | "run">;
  target(): Target | undefined;
  /** whether a list's set holds the address, and nothing protects it */
  covers(set: string, address: AddressKey): boolean;
  nowMs(): number;
  log(message: string, more?: Readonly<Record<string, unknown>>): void;
}

/** what a pass took, times this, is left to others before the next */
const REST = 9;
const SOCKETS_AT_ONCE = 100;
const FLOWS_AT_ONCE = 1_000;
const FEW_FLOWS = 4;
const TIMEOUT_MS = 20_000;

export function createCutter(options: CutterOptions): Cutter {
  let running: Promise<void> | undefined;
  let isWoken = false;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  function wake(): void {
    isWoken = true;
    if (running === undefined && timer === undefined && !isClosed) running = run();
  }

  async function run(): Promise<void> {
    isWoken = false;
    const begunMs = options.nowMs();
    await pass(options).catch((error) =>
      options.log("live connections could not be ended", { reason: messageOf(error) }),
    );
    running = undefined;
    timer = setTimeout(rested, REST * (options.nowMs() - begunMs));
  }

  function rested(): void {
    timer = undefined;
    if (isWoken) wake();
  }

  return {
    wake,
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await running;
    },
  };
}

async function pass({ at, target, covers, log }: CutterOptions): Promise<void> {
  const sets = blockedSets(target());
  if (sets.length === 0) return;
  const key = createKey();
  const isBlocked = (family: Family | undefined) =>
    family !== undefined &&
    !isLoopback(family, key) &&
    sets.some((set) => set.family === family && covers(set.name, key));

  const sockets = new Set<string>();
  for (const file of ["tcp", "tcp6"]) {
    await eachLine(at, file, (line) => {
      const family = remoteOf(line, key);
      if (family !== undefined && isBlocked(family)) sockets.add(textOf(family, key));
    });
  }
  const flows = new Set<string>();
  await eachLine(at, "nf_conntrack", (line) => {
    const ends = endsOf(line);
    if (ends === undefined) return;
    for (const [option, address] of [
      ["-s", ends.src],
      ["-d", ends.dst],
    ] as const) {
      const family = readText(address, key);
      if (isBlocked(family)) flows.add(`-D -f ipv${family} ${option} ${address}`);
    }
  });
  await endSockets(at, [...sockets]);
  await endFlows(at, [...flows]);
  if (sockets.size + flows.size > 0)
    log("live connections ended", { addresses: sockets.size, flows: flows.size });
}

async function endSockets(at: CutterOptions["at"], addresses: readonly string[]): Promise<void> {
  for (let from = 0; from < addresses.length; from += SOCKETS_AT_ONCE) {
    const some = addresses.slice(from, from + SOCKETS_AT_ONCE);
    const filter = some.flatMap((address, index) => [
      ...(index > 0 ? ["or"] : []),
      ...["dst", address.includes(":") ? `[${address}]` : address],
    ]);
    const { code, stderr } = await at.run("ss", ["-K", "-H", "-n", "-t", ...filter], {
      timeoutMs: TIMEOUT_MS,
    });
    if (code !== 0) throw new Error(`ss -K: ${stderr.trim()}`);
  }
}

/** That there are none any more (exit code 1) is as well. */
async function endFlows(at: CutterOptions["at"], commands: readonly string[]): Promise<void> {
  if (commands.length <= FEW_FLOWS) {
    for (const command of commands) await at.run("conntrack", command.split(" "), { timeoutMs: TIMEOUT_MS });
    return;
  }
  for (let from = 0; from < commands.length; from += FLOWS_AT_ONCE) {
    const input = commands
      .slice(from, from + FLOWS_AT_ONCE)
      .map((command) => `${command}\n`)
      .join("");
    await at.run("conntrack", ["-R", "-"], { input, timeoutMs: TIMEOUT_MS });
  }
}

/** The sets of lists whose packets a rule drops before anything else sees them. */
function blockedSets(target: Target | undefined): { name: string; family: Family }[] {
  const lists = target?.sets.filter(({ use }) => use === "list") ?? [];
  const dropped = new Set<string>();
  for (const { table, rules } of target?.chains ?? []) {
    if (table !== "raw") continue;
    for (const { args } of rules) {
      const [, set] = /^-m set --match-set (\S+) (?:src|dst) -j DROP$/.exec(args) ?? [];
      if (set !== undefined) dropped.add(set);
    }
  }
  return lists.flatMap(({ name, family }) =>
    family !== null && dropped.has(name) ? [{ name, family }] : [],
  );
}

function isLoopback(family: Family, { words }: AddressKey): boolean {
  if (family === 4) return (words[0] ?? 0) >>> 24 === 127;
  return words[0] === 0 && words[1] === 0 && words[2] === 0 && words[3] === 1;
}

function textOf(family: Family, key: AddressKey): string {
  const text = Buffer.alloc(64);
  return text.toString("latin1", 0, writeKey(family, key, text, 0));
}

async function eachLine(at: CutterOptions["at"], file: string, heard: (line: string) => void): Promise<void> {
  let rest = "";
  await at.readNet(file, (bytes) => {
    const lines = (rest + Buffer.from(bytes).toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) heard(line);
  });
}
