import type { Manifest, Origin } from "@sluice/proto/manifest/manifest";

/**
 * A packet's walk through a manifest's chains of one hook, for tests: what iptables would do with it. A match is a text
 * that the packet fits or not; only marks are understood.
 */
export interface Packet {
  fits: ReadonlySet<string>;
  mark: number;
}

export interface Walk {
  verdict: "accept" | "drop" | undefined;
  /** who decided it */
  by: Origin | undefined;
  mark: number;
  /** origins that it was counted for, in order */
  observed: Origin[];
}

export function walkHook(
  manifest: Manifest,
  family: 4 | 6,
  hook: string,
  packet: Packet,
  /** rules of others in the hook */
  others: readonly string[] = [],
): Walk {
  const walk: Walk = { verdict: undefined, by: undefined, mark: packet.mark >>> 0, observed: [] };
  const chains = new Map(
    manifest.chains
      .filter((chain) => chain.family === family && chain.table === "filter")
      .map(({ name, rules }) => [name, rules]),
  );
  chains.set(
    "others",
    others.map((args) => ({ args })),
  );

  function enter(name: string): void {
    for (const { args, origin, counts } of chains.get(name) ?? []) {
      const [, matches = "", how, target = "", rest = ""] =
        /^(.*?) ?(?:(-[jg]) (\S+)(.*))?$/.exec(args) ?? [];
      if (!fits(matches)) continue;
      if (counts === "observed" && origin !== undefined) walk.observed.push(origin);
      if (target === "RETURN") return;
      if (target === "MARK") setMark(rest);
      if (target === "ACCEPT" || target === "DROP") {
        walk.verdict = target === "ACCEPT" ? "accept" : "drop";
        walk.by = origin;
      } else if (chains.has(target)) enter(target);
      if (walk.verdict !== undefined || how === "-g") return;
    }
  }

  function fits(matches: string): boolean {
    const marked = /^-m mark (! )?--mark (\w+)\/(\w+)$/.exec(matches);
    if (marked === null) return matches === "" || packet.fits.has(matches);
    const same = (walk.mark & Number(marked[3])) >>> 0 === Number(marked[2]);
    return marked[1] === undefined ? same : !same;
  }

  function setMark(options: string): void {
    const [, value, mask] = /--set-xmark (\w+)\/(\w+)/.exec(options) ?? [];
    walk.mark = ((walk.mark & ~Number(mask)) ^ Number(value)) >>> 0;
  }

  const jumpTo = (at: "head" | "tail") =>
    manifest.hooks.find(
      (one) => one.family === family && one.table === "filter" && one.hook === hook && one.at === at,
    )?.chain;
  for (const chain of [jumpTo("head"), "others", jumpTo("tail")])
    if (chain !== undefined && walk.verdict === undefined) enter(chain);
  return walk;
}
