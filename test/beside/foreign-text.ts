import type { TestServer } from "../agents/server.ts";

/** All rules of others in a namespace, of both backends and families, as the kernel shows them. */
export interface ForeignText {
  /** byte for byte, handles included where there are any: a rule that was deleted and put back has a new one */
  text: string;
  /** packets and bytes of every rule in it, in order */
  counters: number[];
}

export async function foreignText(server: TestServer): Promise<ForeignText> {
  const ruleset = await server.sh("nft -a list ruleset 2>/dev/null");
  const legacy = await server.sh(
    "for f in ip ip6; do [ -z \"$(cat /proc/net/$f''_tables_names 2>/dev/null)\" ] || $f''tables-legacy-save -c; done",
  );
  const sets = await server.sh("ipset save");
  const lines = [...withoutOurChains(ruleset), ...legacy.split("\n"), ...sets.split("\n")];
  const all = withoutEmptyTables(
    lines.filter((line) => line !== "" && !/SL-|\bsl-|^#/.test(line)).join("\n"),
  );
  // not those of policies: every change by any iptables-legacy sets them to zero, `-A` of a foreign tool as well
  const counters = [...all.matchAll(/packets (\d+) bytes (\d+)|^\[(\d+):(\d+)\] -A/gm)].flatMap((match) =>
    match.slice(1).flatMap((digits) => (digits === undefined ? [] : [Number(digits)])),
  );
  const text = all.replace(/packets \d+ bytes \d+/g, "packets N bytes N").replace(/\[\d+:\d+\]/g, "[N:N]");
  return { text, counters };
}

/** Blocks of `nft list ruleset` whose chain is ours. */
function withoutOurChains(ruleset: string): string[] {
  let isOurs = false;
  return ruleset.split("\n").filter((line) => {
    if (/^\tchain SL-/.test(line)) isOurs = true;
    const isLeft = !isOurs;
    if (line === "\t}") isOurs = false;
    return isLeft;
  });
}

/** The tools make whole tables and hooks when they first put a rule into one, and nobody takes them away. */
function withoutEmptyTables(text: string): string {
  return text
    .replace(/\tchain \w+ \{ # handle \d+\n\t\ttype [^\n]* policy accept;\n\t\}\n/g, "")
    .replace(/table ip6? \w+ \{ # handle \d+\n\}\n?/g, "")
    .replace(/\*\w+\n(:[A-Z]+ ACCEPT \[\d+:\d+\]\n)+COMMIT\n?/g, "")
    .trimEnd();
}
