import { open, readFile } from "node:fs/promises";
import type { Culprit } from "@sluice/proto/wire/report";

/**
 * Who changed a table, with user and command: the kernel's audit records, where a daemon keeps them in a file.
 *
 * 1. Nothing is followed: the newest part of the file is read when there is a drift to tell of.
 * 2. A record is taken only if it says the table, and is not older than the look before. That look may have begun before
 *    the change that it found: what was told once is told of nothing else.
 * 3. The user is the one who logged in, also behind sudo; where nobody logged in, the one the process ran as.
 *
 * The records of one change share a number: NETFILTER_CFG (1325) says table, family and pid, SYSCALL (1300) the user,
 * PROCTITLE (1327) the command line in hex, its words parted by zero bytes. With no daemon there the kernel writes the
 * same to its own log, with numbers for names.
 */
export interface AuditTrail {
  whoChanged(asked: AskedChange): Promise<Culprit | undefined>;
  /** What it has answered with is told: from now on it answers with later records alone. */
  settle(): void;
}

export interface AskedChange {
  /** the process, where it is known */
  pid?: number | undefined;
  tables: readonly TableOfFamily[];
  sinceMs: number;
}

export interface TableOfFamily {
  family: 4 | 6;
  table: string;
}

export interface AuditTrailOptions {
  path: string;
  isOwnChild(pid: number): boolean;
}

const NEWEST_BYTES = 512 * 1024;
const FAMILIES: Readonly<Record<string, 4 | 6>> = { 2: 4, 10: 6 };
const NOBODY = 4294967295;

export function createAuditTrail({ path, isOwnChild }: AuditTrailOptions): AuditTrail {
  let answeredAtMs = 0;
  let settledAtMs = 0;
  return {
    settle() {
      settledAtMs = answeredAtMs;
    },
    async whoChanged({ pid, tables, sinceMs }) {
      const changes = parseChanges(await newestPart(path));
      const change = changes.findLast(
        (one) =>
          one.atMs >= sinceMs &&
          one.atMs > settledAtMs &&
          !isOwnChild(one.pid) &&
          (pid === undefined || pid === one.pid) &&
          tables.some(({ family, table }) => family === one.family && table === one.table),
      );
      if (change === undefined) return undefined;
      answeredAtMs = Math.max(answeredAtMs, change.atMs);
      const user = await nameOf(change.uid);
      return {
        pid: change.pid,
        tool: change.tool,
        ...(user === undefined ? {} : { user }),
        ...(change.command === undefined ? {} : { command: change.command }),
      };
    },
  };
}

interface TableChange extends TableOfFamily {
  atMs: number;
  pid: number;
  tool: string;
  uid: number | undefined;
  command: string | undefined;
}

/** Changes of tables, in the order written. */
export function parseChanges(text: string): TableChange[] {
  const users = new Map<string, number>();
  const commands = new Map<string, string>();
  const changes: (Omit<TableChange, "uid" | "command"> & { id: string })[] = [];
  for (const line of text.split("\n")) {
    const [, type = "", seconds = "", id = ""] = RECORD.exec(line) ?? [];
    const word = (name: string) => new RegExp(`[ (]${name}=("[^"]*"|\\S+)`).exec(line)?.[1];
    switch (type) {
      case "NETFILTER_CFG":
      case "1325": {
        const family = FAMILIES[word("family") ?? ""];
        const table = word("table")?.replace(/:\d+$/, "");
        if (family === undefined || table === undefined) break;
        const tool = (word("comm") ?? "").replaceAll('"', "");
        changes.push({ id, atMs: Number(seconds) * 1000, family, table, pid: Number(word("pid")), tool });
        break;
      }
      case "SYSCALL":
      case "1300": {
        const login = Number(word("auid") ?? NOBODY);
        users.set(id, login === NOBODY ? Number(word("uid")) : login);
        break;
      }
      case "PROCTITLE":
      case "1327":
        commands.set(id, titleOf(word("proctitle") ?? ""));
        break;
    }
  }
  return changes.map(({ id, ...change }) => ({ ...change, uid: users.get(id), command: commands.get(id) }));
}

const RECORD = /type=(\w+) (?:msg=)?audit\((\d+\.\d+):(\d+)\)/;

/** Quoted where it is one word of plain characters, else hex. */
function titleOf(value: string): string {
  if (value.startsWith('"')) return value.slice(1, -1);
  return Buffer.from(value, "hex").toString().replaceAll("\0", " ").trim();
}

async function newestPart(path: string): Promise<string> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const length = Math.min(size, NEWEST_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.subarray(0, bytesRead).toString();
  } catch {
    return ""; // no audit daemon here, or none of our business
  }
}

async function nameOf(uid: number | undefined): Promise<string | undefined> {
  if (uid === undefined || Number.isNaN(uid)) return undefined;
  const lines = await readFile("/etc/passwd", "utf8").catch(() => "");
  const line = lines.split("\n").find((one) => one.split(":")[2] === String(uid));
  return line?.split(":")[0] ?? String(uid);
}
