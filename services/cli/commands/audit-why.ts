import type { AuditWhyView } from "@sluice/proto/api/audit";
import type { Command } from "commander";
import { nameArgument, TIME_HELP, timeArgument } from "../arguments.ts";
import { action, print } from "../command.ts";
import { exactTime } from "../render/text.ts";

export function addAuditWhy(audit: Command): void {
  action(
    audit
      .command("why")
      .description("which change put a rule on a server: who, when and why")
      .requiredOption("--server <name>", "where it stands", nameArgument)
      .requiredOption("--rule <rule>", "as the policy writes it, or as iptables-save prints it")
      .option("--time <time>", `then, instead of now: ${TIME_HELP}`, timeArgument),
    async ({ client, terminal }, options: { server: string; rule: string; time?: string }) => {
      const view = await client.audit.why.query(options);
      print(terminal, view, () => whyLines(view));
    },
  );
}

function whyLines({ server, policy, revision, line, text, since, held }: AuditWhyView): string[] {
  const { revised } = since;
  const { decided, rollout } = held;
  const cause = rollout?.started ?? decided;
  const by = rollout === undefined ? decided.actor : `${cause.actor} with ${rollout.rollout}`;
  return [
    `${policy}@${revision}:${line}: ${text.trim()}`,
    `written in revision ${since.revision}, ${exactTime(revised.at)} by ${revised.actor}: ${revised.reason || "no reason given"} (${eventText(revised.seq)})`,
    `on ${server} since ${exactTime(held.confirmedAt)}, by ${by}: ${cause.reason || "no reason given"} (generation ${held.generation}, revision ${held.revision}, ${eventText(decided.seq)})`,
  ];
}

/** One that isn't found any more is in an archive. */
function eventText(seq: number): string {
  return seq === 0 ? "an event that is archived" : `event ${seq}`;
}
