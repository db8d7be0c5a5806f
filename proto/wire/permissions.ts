import { BUCKETS, directGetSubject, subjects } from "./subjects.ts";

/**
 * All that one agent may do on NATS: fetch its own keys and any blob, publish its own reports, counts and pulse, hear its own
 * inbox, wakes, asks, and the lists. No consumer and no stream rights at all: with them an agent could make consumers
 * that deliver into others' subjects.
 */
export function agentPermissions(server: string): { publish: string[]; subscribe: string[] } {
  return {
    publish: [
      directGetSubject(BUCKETS.desired, server),
      directGetSubject(BUCKETS.plans, `${server}.*`),
      directGetSubject(BUCKETS.lists, "*"),
      directGetSubject(BUCKETS.blobs, "*.*"),
      subjects.report(server),
      subjects.pulse(server),
      subjects.hits(server),
      subjects.confirm(server),
    ],
    subscribe: [
      `${inboxPrefix(server)}.>`,
      subjects.wake(server),
      subjects.ask(server),
      subjects.list("*"),
      subjects.control,
    ],
  };
}

/** Where the replies to one agent's requests go: no other agent may listen there. */
export function inboxPrefix(server: string): string {
  return `_INBOX_${server}`;
}
