import type { ExplainView } from "@sluice/proto/api/explain";
import { type Command, Option } from "commander";
import { nameArgument } from "../arguments.ts";
import { action, print, withExamples } from "../command.ts";
import { EXIT } from "../exit-codes.ts";
import { ruleText } from "../render/tests.ts";
import type { Terminal } from "../terminal.ts";

interface ExplainOptions {
  from?: string;
  to: string;
  via?: string;
  out?: string;
  hook?: "input" | "output" | "forward";
  state: "new" | "established";
}

export function addExplainCommand(program: Command): void {
  const command = withExamples(
    program
      .command("explain")
      .description(
        "what becomes of a packet on a live server, and by which rule, other tools' rules included; nothing live is touched",
      )
      .argument("<server>", "its name", nameArgument)
      .option("--from <address>", "where it comes from, with a port if it matters: 203.0.113.9:5353")
      .requiredOption(
        "--to <goal>",
        "tcp/22, udp/53 or icmp; with an address before it if not the server's own: 192.0.2.5:tcp/22",
      )
      .option("--via <device>", "it comes in by, or goes out by in output; else as the server's routes say")
      .option("--out <device>", "it goes out by: a packet that is forwarded")
      .addOption(
        new Option("--hook <hook>", "forward with --out, else input").choices(["input", "output", "forward"]),
      )
      .addOption(
        new Option("--state <state>", "of its connection").choices(["new", "established"]).default("new"),
      ),
    [
      "sluice explain web-3 --from 203.0.113.9 --to tcp/22",
      'sluice explain gate-1 --from 192.0.2.10 --to "198.51.100.5:tcp/443" --out eth0',
    ],
  );
  action(command, async ({ client, terminal }, server: string, options: ExplainOptions) => {
    const hook = options.hook ?? (options.out === undefined ? "input" : "forward");
    const view = await client.servers.explain.query({ ...options, server, hook });
    print(terminal, view, () => explainLines(terminal, view));
    return view.verdict === "unknown" ? EXIT.halted : EXIT.done;
  });
}

function explainLines(terminal: Terminal, view: ExplainView): string[] {
  const { server, packet, verdict, decided, reason, met, notCopied } = view;
  const color = verdict === "accept" ? "green" : verdict === "unknown" ? "yellow" : "red";
  return [
    `${packet} on ${server}: ${terminal.paint(color, verdict)}${reason === undefined ? "" : `: ${reason}`}`,
    decided === undefined ? "  no rule ended it" : `  by ${ruleText(decided)}`,
    ...(met.length > 0 ? ["met, in order:", ...met.map((rule) => `  ${ruleText(rule)}`)] : []),
    ...(notCopied.length > 0 ? ["not copied:", ...notCopied.map((what) => `  ${what}`)] : []),
  ];
}
