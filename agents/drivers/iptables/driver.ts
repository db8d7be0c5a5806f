import { FAMILIES, type Family } from "@sluice/proto/base/names";
import type { Feed } from "../../exec/child.ts";
import type { Namespace } from "../../exec/namespace.ts";
import type { Driver } from "../driver.ts";
import { diffIptables } from "./diff.ts";
import { readIptables } from "./read.ts";
import { renderIptables, rewriteChains } from "./render.ts";
import type { IptablesSnapshot } from "./snapshot.ts";
import type { IptablesBackend } from "./tools.ts";
import { createRestoreFeed, writeIptables } from "./write.ts";

/** Chains, rules and the jumps to them, of both families, in one backend. */
export function createIptablesDriver(options: { backend: IptablesBackend }): Driver<IptablesSnapshot> {
  const { backend } = options;
  const feeds = new WeakMap<Namespace, Map<Family, Feed>>();

  function feedOf(at: Namespace, family: Family): Feed {
    const ofNamespace = feeds.get(at) ?? new Map<Family, Feed>();
    feeds.set(at, ofNamespace);
    const feed = ofNamespace.get(family) ?? createRestoreFeed(at, backend, family);
    ofNamespace.set(family, feed);
    return feed;
  }

  return {
    name: "iptables",
    read: (at, target) => readIptables(at, target, backend),
    diff: diffIptables,
    render: renderIptables,
    rewrite: rewriteChains,
    write: (at, script) =>
      writeIptables(at, backend, feedOf(at, script.tool.startsWith("ip6") ? 6 : 4), script),
    async close(at) {
      const ofNamespace = feeds.get(at);
      feeds.delete(at);
      await Promise.all(FAMILIES.map((family) => ofNamespace?.get(family)?.retire()));
    },
  };
}
