import { cp, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { runCommand, tryCommand } from "@sluice/infra/process/run-command";
import { messageOf } from "@sluice/proto/base/errors";

/**
 * Tools to compare with that this machine needn't have: those that are installed, else out of Debian's packages, unpacked
 * into a folder that the benchmark takes away again, where nothing else finds them.
 */
export interface PeerTools {
  found: ReadonlyMap<string, PeerTool>;
  /** why the others can't be had */
  missing: ReadonlyMap<string, string>;
}

export interface PeerTool {
  /** the words that start it */
  start: readonly string[];
  /** the words before a command that is to find it, and its files, where they are when they are installed */
  room: readonly string[];
}

interface Source {
  program: string;
  /** asks it for its version, to know that it runs */
  version: string;
  packages: readonly string[];
  /** once they are unpacked there; absent: it is taken where it is installed, or not at all */
  unpacked?(folder: string): PeerTool;
}

const ROOM = fileURLToPath(new URL("peer-room.sh", import.meta.url));
const DOWNLOAD_MS = 120_000;

const SOURCES: readonly Source[] = [
  { program: "ansible-playbook", version: "--version", packages: [] },
  {
    program: "ferm",
    version: "--version",
    packages: ["ferm"],
    unpacked: (folder) => ({ start: [join(folder, "usr/sbin/ferm")], room: [] }),
  },
  {
    program: "shorewall",
    version: "version",
    packages: ["shorewall", "shorewall-core"],
    unpacked(folder) {
      const room = ["unshare", "--mount", "sh", ROOM, folder];
      return { start: [...room, "shorewall"], room };
    },
  },
];

export async function openPeerTools(owner: AsyncDisposableStack): Promise<PeerTools> {
  const found = new Map<string, PeerTool>();
  const missing = new Map<string, string>();
  for (const source of SOURCES) {
    try {
      found.set(source.program, await toolOf(source, owner));
    } catch (error) {
      missing.set(source.program, messageOf(error));
    }
  }
  return { found, missing };
}

async function toolOf(source: Source, owner: AsyncDisposableStack): Promise<PeerTool> {
  const { program, version, packages, unpacked } = source;
  if (await runs([program, version])) return { start: [program], room: [] };
  if (unpacked === undefined) throw new Error("it isn't installed here");
  const folder = owner.use(makePrivateDirectory("peer")).path;
  await unpack(packages, folder);
  const tool = unpacked(folder);
  if (!(await runs([...tool.start, version])))
    throw new Error(`it doesn't run out of ${packages.join(" and ")}`);
  return tool;
}

async function runs([command = "", ...args]: readonly string[]): Promise<boolean> {
  const result = await tryCommand(command, args).catch(() => undefined);
  return result?.code === 0;
}

/** Into one tree as a machine's own, whose /sbin is a link into /usr. */
async function unpack(packages: readonly string[], folder: string): Promise<void> {
  const download = ["-q", "-o", "APT::Sandbox::User=root", "download", ...packages];
  const words = ["-C", folder, "apt-get", ...download];
  await runCommand("env", words, { timeoutMs: DOWNLOAD_MS });
  for (const name of await readdir(folder)) {
    if (!name.endsWith(".deb")) continue;
    await runCommand("dpkg-deb", ["-x", join(folder, name), folder]);
    await rm(join(folder, name));
  }
  const options = { recursive: true, force: true };
  await cp(join(folder, "sbin"), join(folder, "usr/sbin"), options).catch(ignoreAbsent);
}

function ignoreAbsent(error: NodeJS.ErrnoException): void {
  if (error.code !== "ENOENT") throw error;
}
