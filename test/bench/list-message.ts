import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import type { IptablesBackend } from "@sluice/agents/drivers/iptables/tools";
import { createListFiles } from "@sluice/agents/lists/list-files";
import { startGuarded } from "@sluice/infra/process/guarded-child";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { waitForLine } from "@sluice/infra/process/wait-for-line";
import { createSigningKey, type SigningKey, signMessage } from "@sluice/proto/base/sign";
import type { ListDelta } from "@sluice/proto/wire/list";
import { changeListDigest, EMPTY_LIST_DIGEST } from "@sluice/proto/wire/list-digest";
import { applyDelta, digestAfter, emptyList, type ListState } from "@sluice/proto/wire/list-state";
import { subjects } from "@sluice/proto/wire/subjects";
import type { Bench, BenchContext, Ratio, Row } from "./bench.ts";
import { ratio, row } from "./figures.ts";
import { inTurn } from "./in-turn.ts";
import { startNatsPeers } from "./nats-peers.ts";
import { addresses } from "./workload.ts";

const LIST = "bench";
const SIZES = [0, 1_000_000];
const READY_MS = 300_000;
const program = fileURLToPath(new URL("list-agent-main.ts", import.meta.url));

export const listMessage: Bench = {
  name: "list-message",
  what: "one address added on one server: from the message until the kernel has it and NATS has said so, against a bare NATS request and its reply",
  runs: 200,
  async run(context) {
    await using owner = new AsyncDisposableStack();
    const peers = await startNatsPeers(1, [], owner);
    const nats = await connect({ servers: peers.url });
    owner.defer(() => nats.close());
    const found = [];
    for (const size of SIZES) {
      for (const backend of ["nft", "legacy"] as const)
        found.push(await ofSize(context, { nats, url: peers.url, size, backend }));
    }
    return {
      rows: found.flatMap(({ rows }) => rows),
      ratios: found.flatMap((one) => one.ratio),
      notes: [
        "in between: the agent's check of the signature and of the list's digest, the list in memory, one line to the ipset that waits",
        "the agent's parts for lists in a process of their own, and a process that answers at once; both hang on the same NATS",
        "a rule of the backend drops what is listed",
      ],
    };
  },
};

interface Setting {
  nats: NatsConnection;
  url: string;
  size: number;
  backend: IptablesBackend;
}

async function ofSize(context: BenchContext, setting: Setting): Promise<{ rows: Row[]; ratio: Ratio }> {
  const { nats, size, backend } = setting;
  const label = `${size.toLocaleString("en-US")} entries, ${backend}`;
  context.progress(label);
  await using owner = new AsyncDisposableStack();
  const folder = owner.use(makePrivateDirectory("bench")).path;
  const key = createSigningKey();
  const state = stateOf(size);
  await prepare(folder, setting.url, key, state);
  const agent = startGuarded([process.execPath, program, folder, backend]);
  owner.defer(() => agent.stop());
  await waitForLine(agent, { pattern: /^ready$/, timeoutMs: READY_MS });

  let done: () => void = () => undefined;
  const heard = nats.subscribe("bench.done", { callback: () => done() });
  owner.defer(async () => heard.unsubscribe());
  let added = 0;
  const message = () => {
    const delta = nextDelta(state, `203.0.${113 + (added >> 8)}.${added++ & 255}`);
    return JSON.stringify(signMessage(key, "list", delta));
  };
  const answered = async (payload: string, subject: string) => {
    const begun = performance.now();
    await nats.request(subject, payload, { timeout: 30_000 });
    return performance.now() - begun;
  };
  const times = await inTurn(context, {
    ours: async () => {
      const payload = message();
      const taken = new Promise<void>((resolve) => {
        done = resolve;
      });
      const begun = performance.now();
      nats.publish(subjects.list(LIST), payload);
      await taken;
      return performance.now() - begun;
    },
    bare: () => answered("x".repeat(600), "bench.ask"),
  });
  return {
    rows: [
      row(`${label}: message → kernel → told`, "ms", times.ours),
      row(`${label}: bare request and reply`, "ms", times.bare),
    ],
    ratio: ratio(`${label}: ours / bare`, times.ours, times.bare, { atMost: 2 }),
  };
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
