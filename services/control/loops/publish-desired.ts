import { follow } from "@sluice/db/log/follow";
import { readHead, readPage } from "@sluice/db/log/read";
import { sideBySide } from "@sluice/proto/base/side-by-side";
import { standings } from "../assignments/ls.ts";
import { manifestText } from "../assignments/manifests.ts";
import { asSluice, type Services } from "../context/services.ts";
import { byHandMsOf } from "../rollouts/progress.ts";

const PAGE = 200;
const AT_ONCE = 16;

export interface Publisher {
  /** Runs until the signal. */
  run(signal: AbortSignal): Promise<void>;
  /** Put everything again: the broker may have come back empty. */
  again(): void;
}

/**
 * Tells servers what they are to hold: at the start all of them, then each whose assignment was decided anew. It always
 * puts the newest assignment, so it may be cut short or run twice at any point.
 */
export function createDesiredPublisher(services: Services): Publisher {
  const { database, link, log } = services;
  let all = true;

  async function put(servers: readonly string[] | undefined): Promise<void> {
    const ctx = asSluice(services, services.ids.uuid());
    const one = servers?.length === 1 ? servers[0] : undefined;
    const standing = await standings(ctx, one);
    const wanted = servers ?? [...standing.keys()];
    await sideBySide(wanted, AT_ONCE, async (server) => {
      const newest = standing.get(server)?.newest;
      if (newest === undefined) return;
      const { epoch, generation, manifest: digest, rollout } = newest;
      const manifest = await link.putBlob(Buffer.from(await manifestText(ctx, digest)));
      const envelope = { v: 1 as const, server, epoch, generation, manifest };
      const byHandMs = rollout === null ? 0 : await byHandMsOf(ctx, rollout);
      await link.putDesired({
        ...envelope,
        ...(rollout !== null && { rollout }),
        ...(byHandMs > 0 && { byHandMs }),
      });
    });
  }

  return {
    again() {
      all = true;
    },

    async run(signal) {
      let last = 0;
      all = true;
      async function putOn(): Promise<void> {
        if (all) {
          all = false;
          last = (await readHead(database.db)).seq;
          await services.projections.waitFor(last);
          await put(undefined);
        }
        for (;;) {
          const page = await readPage(database.db, last, PAGE);
          const told = page.filter(({ type }) => type === "AssignmentDecided");
          const servers = new Set(told.flatMap(({ keys }) => keys.server ?? []));
          const end = page.at(-1)?.seq ?? last;
          if (servers.size > 0) {
            await services.projections.waitFor(end);
            await put([...servers]);
          }
          last = end;
          if (page.length < PAGE) return;
        }
      }
      await follow(
        database,
        () =>
          putOn().catch((error) => {
            all = true; // what was cut short is put again, whole
            throw error;
          }),
        { signal, log },
      );
    },
  };
}
