import { type Command, Option } from "commander";
import { countArgument, durationArgument, nameArgument } from "../arguments.ts";
import { action, print, withExamples, withReason } from "../command.ts";
import { type GivenAddress, readAddresses } from "../files.ts";
import { changeInBatches } from "../list-change.ts";
import { table } from "../render/table.ts";
import { counted, exactTime, timeText } from "../render/text.ts";

interface ChangeOptions {
  for?: number;
  file?: string;
  reason: string;
}

const ADDRESSES = "addresses (203.0.113.7), networks (2001:db8::/32) or ranges (192.0.2.1-192.0.2.9)";

export function addListCommands(program: Command): void {
  const list = withExamples(
    program.command("list").description("live lists of addresses, changed on all servers at once"),
    [
      'sluice list create bans --description "password guessing"',
      'sluice list add bans 203.0.113.7 --for 1h --reason "ssh, 40 tries"',
      "zcat feed.gz | sluice list add bans -f -",
      "sluice list rm bans 203.0.113.7",
      "",
      "A policy drops what is listed with  blocks: [bans]",
    ],
  );

  action(
    withReason(list.command("create"))
      .description("a new, empty list")
      .argument("<list>", "its name", nameArgument)
      .option("--description <text>", "what it is for", "")
      .addOption(new Option("--family <family>", "only IPv4, or only IPv6").choices(["4", "6"])),
    async (
      { client, terminal },
      name: string,
      options: { description: string; family?: "4" | "6"; reason: string },
    ) => {
      const view = await client.lists.create.mutate({
        list: name,
        description: options.description,
        ...(options.family === undefined ? {} : { families: [options.family === "4" ? 4 : 6] }),
        reason: options.reason,
      });
      print(terminal, view, () => [
        `list ${view.list} created; a policy uses it with  blocks: [${view.list}]`,
      ]);
    },
  );

  for (const verb of ["add", "rm"] as const) {
    const command = withReason(list.command(verb))
      .description(verb === "add" ? "add addresses, networks or ranges" : "take addresses away")
      .argument("<list>", "its name", nameArgument)
      .argument("[addresses...]", ADDRESSES)
      .option("-f, --file <path>", "one a line, from a file or - for stdin; # begins a comment");
    if (verb === "add") command.option("--for <duration>", "only for this long", durationArgument);
    action(command, async ({ client, terminal }, name: string, words: string[], options: ChangeOptions) => {
      const given: GivenAddress[] = [
        ...words.map((text) => ({ text })),
        ...(options.file === undefined ? [] : await readAddresses(options.file)),
      ];
      const view = await changeInBatches(given, {
        change: (addresses) =>
          client.lists.change.mutate({
            list: name,
            [verb === "add" ? "add" : "del"]: addresses,
            ...(options.for === undefined ? {} : { forMs: options.for }),
            reason: options.reason,
          }),
        progress: (done) => terminal.status(`${done} of ${given.length} addresses`),
      });
      print(terminal, view, () => {
        const { added, renewed, removed, unchanged } = view;
        const counts = Object.entries({ added, renewed, removed, unchanged }).filter(
          ([, count]) => count > 0,
        );
        const until = view.until === undefined ? "" : `, until ${exactTime(view.until)} UTC`;
        const what = counts.map(([word, count]) => `${count} ${word}`).join(", ");
        return [`list ${name} rev ${view.rev}: ${what}${until}; ${counted(view.entries, "entry")}`];
      });
    });
  }

  action(list.command("ls").description("all lists"), async ({ client, terminal }) => {
    const rows = await client.lists.ls.query();
    print(terminal, rows, () =>
      table(terminal, {
        none: "no lists",
        rows,
        columns: [
          { heading: "LIST", cell: (row) => row.list },
          { heading: "REV", cell: (row) => String(row.rev) },
          { heading: "ENTRIES", cell: (row) => String(row.entries) },
          { heading: "USED BY", cell: (row) => row.usedBy.join(", ") || "-", wraps: true },
          { heading: "CHANGED", cell: (row) => timeText(terminal, row.changed.at) },
          { heading: "BY", cell: (row) => row.changed.actor, optional: true },
          { heading: "DESCRIPTION", cell: (row) => row.description || "-", wraps: true },
        ],
      }),
    );
  });

  action(
    list
      .command("show")
      .description("a list's entries, sorted, and until when they count")
      .argument("<list>", "its name", nameArgument)
      .option("--after <entry>", "go on behind this one")
      .option("--limit <n>", "how many", countArgument, 1000),
    async ({ client, terminal }, name: string, options: { after?: string; limit: number }) => {
      const view = await client.lists.show.query({ list: name, ...options });
      print(terminal, view, () =>
        view.entries.map(({ entry, until }) =>
          until === undefined ? entry : `${entry}  # until ${exactTime(until)} UTC`,
        ),
      );
      if (terminal.json) return;
      if (view.total === 0) terminal.err(`list ${name} is empty`);
      if (view.fullest !== undefined) {
        const { server, entries, room } = view.fullest;
        terminal.err(`fullest on ${server}: ${entries} of ${room}`);
      }
      if (view.next !== undefined) terminal.err(`… of ${view.total}; more with --after ${view.next}`);
    },
  );

  action(
    withReason(list.command("retire"))
      .description("end a list that no server uses")
      .argument("<list>", "its name", nameArgument),
    async ({ client, terminal }, name: string, options: { reason: string }) => {
      const view = await client.lists.rm.mutate({ list: name, reason: options.reason });
      print(terminal, view, () => [`list ${view.list} retired`]);
    },
  );
}
