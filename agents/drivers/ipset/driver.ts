import type { Feed } from "../../exec/child.ts";
import type { Namespace } from "../../exec/namespace.ts";
import type { Driver } from "../driver.ts";
import { diffIpset } from "./diff.ts";
import { readIpset } from "./read.ts";
import { renderIpset } from "./render.ts";
import type { IpsetSnapshot } from "./snapshot.ts";
import { createIpsetFeed, writeIpset } from "./write.ts";

/** Sets of addresses, networks, ports: what rules look into. */
export function createIpsetDriver(): Driver<IpsetSnapshot> {
  const feeds = new WeakMap<Namespace, Feed>();

  function feedOf(at: Namespace): Feed {
    const feed = feeds.get(at) ?? createIpsetFeed(at);
    feeds.set(at, feed);
    return feed;
  }

  return {
    name: "ipset",
    bare: { sets: new Map() },
    read: readIpset,
    diff: diffIpset,
    render: renderIpset,
    write: (at, script) => writeIpset(at, feedOf(at), script),
    async close(at) {
      const feed = feeds.get(at);
      feeds.delete(at);
      await feed?.retire();
    },
  };
}
