import { controlSet, FAMILIES, type Family, protectSet, reachSet } from "@sluice/proto/base/names";
import { type Manifest, TABLES } from "@sluice/proto/manifest/manifest";

const FAMILY_WORD: Readonly<Record<Family, string>> = { 4: "inet", 6: "inet6" };

/** The sets of a manifest as `ipset restore` takes them, with those that the agent adds: protect, control, reach and the lists. */
export function ipsetText({ sets, lists }: Manifest): string {
  const create = (name: string, type: string, family: Family | null, options: readonly string[] = []) =>
    ["create", name, type, ...(family === null ? [] : ["family", FAMILY_WORD[family]]), ...options].join(" ");
  const agents = FAMILIES.flatMap((family) => [
    create(protectSet(family), "hash:net", family),
    create(controlSet(family), "hash:ip,port", family),
    create(reachSet(family), "hash:ip", family),
  ]);
  const members = lists.flatMap((list) =>
    list.sets.map(({ name, family }) => create(name, "hash:net", family)),
  );
  const own = sets
    .toSorted((a, b) => Number(a.type === "list:set") - Number(b.type === "list:set"))
    .flatMap(({ name, type, family, options, entries }) => [
      create(name, type, family, options),
      ...entries.map((entry) => `add ${name} ${entry}`),
    ]);
  return `${[...agents, ...members, ...own].join("\n")}\n`;
}

/** A family's rules of a manifest as `iptables-restore --noflush` takes them. */
export function restoreText({ chains, hooks, external }: Manifest, family: Family): string {
  const here = {
    chains: chains.filter((one) => one.family === family),
    hooks: hooks.filter((one) => one.family === family),
  };
  return TABLES.flatMap((table) => {
    const own = here.chains.filter((chain) => chain.table === table);
    if (own.length === 0) return [];
    const foreign = external.chains.filter((chain) => chain.family === family && chain.table === table);
    return [
      `*${table}`,
      ...[...own, ...foreign].map(({ name }) => `:${name} - [0:0]`),
      ...own.flatMap(({ name, rules }) => rules.map(({ args }) => `-A ${name} ${args}`)),
      ...here.hooks
        .filter((hook) => hook.table === table)
        .map(({ hook, chain, at }) =>
          at === "head" ? `-I ${hook} 1 -j ${chain}` : `-A ${hook} -j ${chain}`,
        ),
      "COMMIT",
    ];
  })
    .concat("")
    .join("\n");
}
