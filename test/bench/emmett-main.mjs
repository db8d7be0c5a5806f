import { getPostgreSQLEventStore } from "@event-driven-io/emmett-postgresql";
import { newStream, outcomeEvent } from "./append-load.ts";
import { serveLoads } from "./load-process.ts";

/**
 * Appends the same events with Emmett, with the pool of connections that it makes itself: `emmett-main.mjs URL`. Plain
 * JavaScript, so that types of a package that nothing else needs are no part of the check.
 */
const store = getPostgreSQLEventStore(process.argv[2]);
await store.schema.migrate();
await serveLoads(() => {
  const stream = newStream();
  let expected = 0n;
  return async () => {
    const { type, data, meta, keys } = outcomeEvent(stream);
    const expectedStreamVersion = expected === 0n ? "STREAM_DOES_NOT_EXIST" : expected;
    const event = { type, data, metadata: { ...meta, keys } };
    ({ nextExpectedStreamVersion: expected } = await store.appendToStream(stream, [event], {
      expectedStreamVersion,
    }));
  };
});
await store.close();
