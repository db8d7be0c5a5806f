import { createHash } from "node:crypto";
import type { ControlLink } from "@sluice/control/link/control-link";
import type { LinkIn } from "@sluice/control/link/link";
import type { SignedMessage } from "@sluice/proto/base/sign";
import type { Ask, DesiredEnvelope, PlanEnvelope } from "@sluice/proto/wire/envelope";
import type { ListDelta, ListHead } from "@sluice/proto/wire/list";
import type { AskReply, ControlPulse } from "@sluice/proto/wire/report";

/** NATS as control sees it, in memory: what was put, and the way in for what servers say. */
export interface MemoryLink {
  open(linkIn: LinkIn): Promise<ControlLink>;
  linkIn(): LinkIn;
  blobs: Map<string, string>;
  desired: Map<string, DesiredEnvelope>;
  plans: Map<string, PlanEnvelope>;
  deltas: ListDelta[];
  heads: Map<string, ListHead>;
  events: { seq: number; type: string; text: string }[];
  pulses: ControlPulse[];
  /** consumers of the feed */
  readers: Set<string>;
  /** those in the stream, and those that servers were told */
  checkpoints: SignedMessage[];
  told: SignedMessage[];
  /** until then nobody is answered about checkpoints */
  back: Promise<void>;
  /** how a server answers when it is asked */
  answer(server: string, ask: Ask): Promise<AskReply>;
}

export function memoryLink(): MemoryLink {
  let linkIn: LinkIn | undefined;
  const memory: MemoryLink = {
    async open(given) {
      linkIn = given;
      given.onConnected();
      return out;
    },
    linkIn() {
      if (linkIn === undefined) throw new Error("control has not opened the link yet");
      return linkIn;
    },
    blobs: new Map(),
    desired: new Map(),
    plans: new Map(),
    deltas: [],
    heads: new Map(),
    events: [],
    pulses: [],
    readers: new Set(),
    checkpoints: [],
    told: [],
    back: Promise.resolve(),
    answer: async (server) => ({ ok: false, reason: `${server} doesn't answer` }),
  };
  const out: ControlLink = {
    connected: () => true,
    async mend() {},
    async putBlob(bytes) {
      const digest = createHash("sha256").update(bytes).digest("hex");
      memory.blobs.set(digest, Buffer.from(bytes).toString());
      return { digest, bytes: bytes.length, chunks: 1 };
    },
    async putDesired(envelope) {
      const stored = memory.desired.get(envelope.server);
      if (stored && stored.generation > envelope.generation) return;
      memory.desired.set(envelope.server, envelope);
    },
    async putPlan(envelope) {
      memory.plans.set(envelope.server, envelope);
    },
    async dropPlan(server, plan) {
      if (memory.plans.get(server)?.plan === plan) memory.plans.delete(server);
    },
    async putList(delta, head) {
      if (delta) memory.deltas.push(delta);
      memory.heads.set(head.list, head);
    },
    async putEvent(seq, type, text) {
      memory.events.push({ seq, type, text });
    },
    lastEvent: async () => memory.events.at(-1)?.seq ?? 0,
    async putCheckpoint(_id, message) {
      await memory.back;
      memory.checkpoints.push(message);
    },
    async lastCheckpoint() {
      await memory.back;
      const last = memory.checkpoints.at(-1);
      return last && JSON.stringify(last);
    },
    eventText: async (seq) => memory.events.find((event) => event.seq === seq)?.text,
    putReader: async ({ consumer }) => Boolean(memory.readers.add(consumer)),
    readerPlace: async (consumer) =>
      memory.readers.has(consumer) ? { acked: 0, waiting: memory.events.length } : undefined,
    async dropReader(consumer) {
      memory.readers.delete(consumer);
      return true;
    },
    async tellCheckpoint(message) {
      memory.told.push(message);
    },
    ask: (server, ask) => memory.answer(server, ask),
    async pulse(pulse) {
      memory.pulses.push(pulse);
    },
    async close() {},
  };
  return memory;
}
