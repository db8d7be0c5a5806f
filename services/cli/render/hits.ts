import type { FoundView, PolicyHitsView, RuleHitsView } from "@sluice/proto/api/hits";
import type { Terminal } from "../terminal.ts";
import { table } from "./table.ts";
import { counted, exactTime, timeText } from "./text.ts";

const DONE = { accept: "accepted", drop: "dropped", match: "matched" } as const;

/** Every rule with what it matched, then those that matched nothing by their places. */
export function hitsLines(terminal: Terminal, { policy, revision, rules }: PolicyHitsView): string[] {
  const unused = rules.filter((rule) => rule.unused).map(({ line }) => `${policy}@${revision}:${line}`);
  return [
    ...table(terminal, {
      none: `${policy}@${revision} has no rules`,
      rows: rules,
      columns: [
        { heading: "LINE", cell: ({ line }) => String(line) },
        { heading: "RULE", cell: ({ text }) => text, wraps: true },
        { heading: "PACKETS", cell: (rule) => (rule.servers === 0 ? "-" : String(rule.packets)) },
        { heading: "BYTES", cell: (rule) => (rule.servers === 0 ? "-" : String(rule.bytes)), optional: true },
        { heading: "WHAT", cell: whatText, paint: (rule) => (rule.unused ? "yellow" : "green") },
        { heading: "ON", cell: ({ hitOn, servers }) => `${hitOn}/${servers}` },
        { heading: "SINCE", cell: ({ since }) => timeText(terminal, since), optional: true },
      ],
    }),
    ...(unused.length > 0 ? [`unused: ${unused.join(", ")}`] : []),
  ];
}

function whatText({ mode, does, servers, unused }: RuleHitsView): string {
  if (servers === 0) return "not counted yet";
  const what = mode === "observe" && does !== "match" ? `would have ${DONE[does]}` : DONE[does];
  return unused ? `unused (${what})` : what;
}

/** Behind a plan: what the policy would have dropped while servers observed it. */
export function foundLines(terminal: Terminal, policy: string, { revision, rules }: FoundView): string[] {
  const lines = rules.map(({ line, text, packets, servers, hitOn, since }) => {
    const place = `${policy}@${revision}:${line}`;
    if (servers === 0) return `  ${place} ${text}: not counted yet`;
    const where = `on ${hitOn} of ${counted(servers, "server")} since ${exactTime(since)}`;
    return terminal.paint(
      packets > 0 ? "yellow" : "green",
      `  ${place} ${text}: would have dropped ${counted(packets, "packet")} ${where}`,
    );
  });
  return [`observed so far, at revision ${revision}:`, ...lines];
}
