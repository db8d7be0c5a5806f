import { BUCKETS, directGetSubject, STREAMS, subjects } from "./subjects.ts";

/**
 * All that one agent may do on NATS: fetch its own keys and any blob, publish its own reports, counts and pulse, hear its own
 * inbox, wakes, asks, and the lists. No consumer and no stream rights at all: with them an agent could make consumers
 * that deliver into others' subjects.
 */
export function agentPermissions(server: string): { publish: string[]; subscribe: string[] } {
  return {
    publish: [...agentAsks(server), subjects.pulse(server), subjects.hits(server), subjects.confirm(server)],
    subscribe: [
      `${inboxPrefix(server)}.>`,
      subjects.wake(server),
      subjects.ask(server),
      subjects.list("*"),
      subjects.control,
    ],
  };
}

/** What agents ask of streams, of any agent; all else that they say is heard by control alone. */
export const AGENTS_ASK = agentAsks("*");
/** What agents hear of what is said into a stream. */
export const AGENTS_HEAR = [subjects.list("*")];

function agentAsks(server: string): string[] {
  return [
    directGetSubject(BUCKETS.desired, server),
    directGetSubject(BUCKETS.plans, `${server}.*`),
    directGetSubject(BUCKETS.lists, "*"),
    directGetSubject(BUCKETS.blobs, "*.*"),
    subjects.report(server),
  ];
}

/** Where the replies to one login's requests go: no other may listen there. */
export function inboxPrefix(login: string): string {
  return `_INBOX_${login}`;
}

/** What readers of the feed ask the broker, of any consumer: its next messages, how far it is, and that one was dealt with. */
export const READER_ASKS = readerAsks("*");

/** All that one reader of the feed may do on NATS: fetch from its own consumer, acknowledge, hear its own inbox. */
export function readerPermissions(consumer: string): { publish: string[]; subscribe: string[] } {
  return { publish: readerAsks(consumer), subscribe: [`${inboxPrefix(consumer)}.>`] };
}

function readerAsks(consumer: string): string[] {
  const of = `${STREAMS.events.name}.${consumer}`;
  return [`$JS.API.CONSUMER.MSG.NEXT.${of}`, `$JS.API.CONSUMER.INFO.${of}`, `$JS.ACK.${of}.>`];
}
