import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startNats } from "@sluice/infra/fixtures/nats";
import { startGuarded } from "@sluice/infra/process/guarded-child";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { waitForLine } from "@sluice/infra/process/wait-for-line";
import { build } from "esbuild";

const READY_MS = 15_000;

export interface NatsPeers {
  url: string;
  pids: number[];
}

/** A NATS server without accounts, and so many processes that hang on it. Bundled into one file, as the agent is. */
export async function startNatsPeers(
  count: number,
  nodeFlags: readonly string[],
  owner: AsyncDisposableStack,
): Promise<NatsPeers> {
  const nats = await startNats({ own: true });
  owner.defer(() => nats.stop());
  const folder = owner.use(makePrivateDirectory("bench"));
  const program = join(folder.path, "peer.mjs");
  await build({
    entryPoints: [fileURLToPath(new URL("nats-peer-main.ts", import.meta.url))],
    outfile: program,
    bundle: true,
    minify: true,
    platform: "node",
    format: "esm",
    target: "node24",
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
  });
  const pids: number[] = [];
  for (let index = 0; index < count; index++) {
    const child = startGuarded([process.execPath, ...nodeFlags, program, nats.url]);
    owner.defer(() => child.stop());
    await waitForLine(child, { pattern: /^ready$/, timeoutMs: READY_MS });
    pids.push(child.pid);
  }
  return { url: nats.url, pids };
}
