import { SluiceError } from "@sluice/proto/base/errors";
import type { ControlLink } from "../link/control-link.ts";
import type { LinkIn } from "../link/link.ts";

export type LateLink = ControlLink & { open(linkIn: LinkIn): void };

/**
 * A link that may come up later than control: whatever is put waits for it. Questions to one server don't wait: who
 * asks is told at once. Closed before it came up, it tells whoever waits.
 */
export function lateLink(openLink: (linkIn: LinkIn) => Promise<ControlLink>): LateLink {
  const { promise: opened, resolve, reject } = Promise.withResolvers<ControlLink>();
  let link: ControlLink | undefined;
  let isClosed = false;
  // who waits for it hears of its failure
  opened.catch(() => {});
  return {
    open(linkIn) {
      openLink(linkIn).then(async (made) => {
        if (isClosed) return await made.close();
        link = made;
        resolve(made);
      }, reject);
    },
    connected: () => link?.connected() ?? false,
    mend: async () => link?.mend(),
    putBlob: async (bytes) => (await opened).putBlob(bytes),
    putDesired: async (envelope) => (await opened).putDesired(envelope),
    putPlan: async (envelope) => (await opened).putPlan(envelope),
    dropPlan: async (server, plan) => (await opened).dropPlan(server, plan),
    putList: async (delta, head) => (await opened).putList(delta, head),
    putEvent: async (seq, type, text) => (await opened).putEvent(seq, type, text),
    lastEvent: async () => (await opened).lastEvent(),
    putCheckpoint: async (id, message) => (await opened).putCheckpoint(id, message),
    lastCheckpoint: async () => (await opened).lastCheckpoint(),
    eventText: async (seq) => link?.eventText(seq),
    putReader: async (reader) => link?.putReader(reader) ?? false,
    readerPlace: async (consumer) => (await opened).readerPlace(consumer),
    dropReader: async (consumer) => link?.dropReader(consumer) ?? false,
    tellCheckpoint: async (message) => link?.tellCheckpoint(message),
    ask: async (server, ask, timeoutMs) =>
      link?.ask(server, ask, timeoutMs) ?? { ok: false, reason: "control has no connection to NATS" },
    pulse: async (pulse) => link?.pulse(pulse),
    async close() {
      isClosed = true;
      reject(new SluiceError("UNAVAILABLE", "control is stopping"));
      await link?.close();
    },
  };
}
