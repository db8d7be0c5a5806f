import type { Family } from "@sluice/proto/base/names";
import type { Feed } from "../../exec/child.ts";
import type { Namespace } from "../../exec/namespace.ts";
import type { Driver } from "../driver.ts";
import { diffIptables } from "./diff.ts";
import { readIptables } from "./read.ts";
import { renderIptables, rewriteChains } from "./render.ts";
import type { IptablesSnapshot } from "./snapshot.ts";
import { type IptablesBackend, iptablesTool } from "./tools.ts";
import { createRestoreFeed, writeIptables } from "./write.ts";

/** Chains, rules and the jumps to them, of both families, in one backend; and nothing of ours in the other. */
export function createIptablesDriver(options: { backend: IptablesBackend }): Driver<IptablesSnapshot> {
  const { backend } = options;
  const feeds = new WeakMap<Namespace, Map<string, Feed>>();

  function feedOf(at: Namespace, tool: string): Feed {
    const ofNamespace = feeds.get(at) ?? new Map<string, Feed>();
    feeds.set(at, ofNamespace);
    const feed = ofNamespace.get(tool) ?? createRestoreFeed(at, tool);
    ofNamespace.set(tool, feed);
    return feed;
  }

  return {
    name: "iptables",
    bare: { tables: new Map() },
    read: (at, target) => readIptables(at, target, backend),
    diff: diffIptables,
    render: renderIptables,
    rewrite: rewriteChains,
    write(at, script) {
      const { family, of = backend } = readTool(script.tool);
      return writeIptables(at, of, feedOf(at, iptablesTool(of, family, "restore")), script);
    },
    async close(at) {
      const ofNamespace = feeds.get(at);
      feeds.delete(at);
      await Promise.all([...(ofNamespace?.values() ?? [])].map((feed) => feed.retire()));
    },
  };
}

/** A script says the plain tool, or that of the backend that isn't used. */
function readTool(tool: string): { family: Family; of: IptablesBackend | undefined } {
  const of = (["nft", "legacy"] as const).find((backend) => tool.includes(`-${backend}-`));
  return { family: tool.startsWith("ip6") ? 6 : 4, of };
}
