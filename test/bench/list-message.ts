import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, createInbox } from "@nats-io/transport-node";
import type { IptablesBackend } from "@sluice/agents/drivers/iptables/tools";
import { createListFiles } from "@sluice/agents/lists/list-files";
import { AGENT_NODE_FLAGS } from "@sluice/infra/build/build-agent";
import { startGuarded } from "@sluice/infra/process/guarded-child";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { waitForLine } from "@sluice/infra/process/wait-for-line";
import { createSigningKey, type SigningKey, signMessage } from "@sluice/proto/base/sign";
import type { ListDelta } from "@sluice/proto/wire/list";
import { changeListDigest, EMPTY_LIST_DIGEST } from "@sluice/proto/wire/list-digest";
import { applyDelta, digestAfter, emptyList, type ListState } from "@sluice/proto/wire/list-state";
import { subjects } from "@sluice/proto/wire/subjects";
import type { Aim, Bench, BenchContext, Ratio, Row } from "./bench.ts";
import { ratio, row } from "./figures.ts";
import { inTurn } from "./in-turn.ts";
import { startNatsPeers } from "./nats-peers.ts";
import { addresses } from "./workload.ts";

const LIST = "bench";
const SIZES = [0, 1_000_000];
const SERVERS = 4;
const READY_MS = 300_000;
const program = fileURLToPath(new URL("list-agent-main.ts", import.meta.url));

export const listMessage: Bench = {
  name: "list-message",
  what: "one address added on one server: from the message until the kernel has it and NATS has said so, against a bare NATS request and its reply",
  runs: 200,
  async run(context) {
    const found = [];
    for (const size of SIZES) {
      for (const backend of ["nft", "legacy"] as const)
        found.push(await among(context, { servers: 1, size, backend }, { atMost: 2 }));
    }
    found.push(await among(context, { servers: SERVERS, size: 0, backend: "nft" }));
    return {
      rows: found.flatMap(({ rows }) => rows),
      ratios: found.flatMap((one) => one.ratio),
      notes: [
        "in between: the agent's check of the signature and of the list's digest, the list in memory, one line to the ipset that waits",
        "the agent's parts for lists in a process of their own, with its flags, and a process that answers at once; both hang on the same NATS",
        `${SERVERS} servers: until the last has said so, on cores that they share`,
        "a rule of the backend drops what is listed",
      ],
    };
  },
};

interface Setting {
  servers: number;
  size: number;
  backend: IptablesBackend;
}

async function among(
  context: BenchContext,
  { servers, size, backend }: Setting,
  aim?: Aim,
): Promise<{ rows: Row[]; ratio: Ratio }> {
  const entries = `${size.toLocaleString("en-US")} entries, ${backend}`;
  const label = servers === 1 ? entries : `${entries}, ${servers} servers`;
  context.progress(label);
  await using owner = new AsyncDisposableStack();
  const { url } = await startNatsPeers(servers, [], owner);
  const nats = await connect({ servers: url });
  owner.defer(() => nats.close());
  const key = createSigningKey();
  const state = stateOf(size);
  for (let server = 1; server <= servers; server++) await startAgent(owner, { url, key, state, backend });

  let added = 0;
  const message = () => {
    const delta = nextDelta(state, `203.0.${113 + (added >> 8)}.${added++ & 255}`);
    return JSON.stringify(signMessage(key, "list", delta));
  };
  /** until each has answered */
  const answered = async (subject: string, payload: string, answers: string) => {
    const heard = nats.subscribe(answers, { max: servers });
    await nats.flush();
    const begun = performance.now();
    nats.publish(subject, payload, { reply: answers });
    for await (const _ of heard);
    return performance.now() - begun;
  };
  const times = await inTurn(context, {
    ours: () => answered(subjects.list(LIST), message(), "bench.done"),
    bare: () => answered("bench.ask", "x".repeat(600), createInbox()),
  });
  return {
    rows: [
      row(`${label}: message → kernel → told`, "ms", times.ours),
      row(`${label}: bare request and reply`, "ms", times.bare),
    ],
    ratio: ratio(`${label}: ours / bare`, times.ours, times.bare, aim),
  };
}

async function startAgent(
  owner: AsyncDisposableStack,
  { url, key, state, backend }: { url: string; key: SigningKey; state: ListState; backend: IptablesBackend },
): Promise<void> {
  const folder = owner.use(makePrivateDirectory("bench")).path;
  await prepare(folder, url, key, state);
  const agent = startGuarded([process.execPath, ...AGENT_NODE_FLAGS, program, folder, backend]);
  owner.defer(() => agent.stop());
  await waitForLine(agent, { pattern: /^ready$/, timeoutMs: READY_MS });
}

function stateOf(size: number): ListState {
  const state = emptyList();
  if (size === 0) return state;
  const entries = addresses(size);
  for (const entry of entries) state.entries.set(entry);
  state.digest = changeListDigest(
    EMPTY_LIST_DIGEST,
    entries.map((entry) => ({ entry })),
    [],
  );
  return { ...state, rev: 1 };
}

async function prepare(folder: string, url: string, key: SigningKey, state: ListState): Promise<void> {
  const identity = {
    server: "bench-1",
    epoch: 1,
    keys: { [key.kid]: key.publicKey },
    nats: { urls: [url] },
    control: [],
    reportKey: createSigningKey(),
    natsSeed: "",
  };
  await writeFile(join(folder, "identity.json"), JSON.stringify(identity));
  const lists = join(folder, "lists");
  await mkdir(lists, { mode: 0o700 });
  const files = createListFiles(lists, (text) => process.stderr.write(`${text}\n`));
  if (state.rev > 0) files.changed(LIST, state);
  await files.close();
}

function nextDelta(state: ListState, address: string): ListDelta {
  const add = [{ entry: address }];
  const delta: ListDelta = {
    ...{ epoch: 1, list: LIST, rev: state.rev + 1, previous: state.digest },
    ...{ digest: digestAfter(state, add, []), add, del: [], at: new Date().toISOString() },
  };
  applyDelta(state, delta);
  return delta;
}
