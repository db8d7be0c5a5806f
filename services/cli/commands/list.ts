import type { ChangeListView } from "@sluice/proto/api/lists";
import { SluiceError } from "@sluice/proto/base/errors";
import { type Command, Option } from "commander";
import { action, countArgument, durationArgument, print, withReason } from "../command.ts";
import { readAddresses } from "../files.ts";
import { table, timeText } from "../render/table.ts";

interface ChangeOptions {
  for?: number;
  file?: string;
  reason: string;
}

/** The API takes this many addresses in one call. */
const BATCH = 50_000;

export function addListCommands(program: Command): void {
  const list = program.command("list").description("live lists of addresses, changed on all servers at once");

  action(
    withReason(list.command("create <name>"))
      .description("a new, empty list")
      .option("--description <text>", "what it is for", "")
      .addOption(new Option("--family <family>", "only this one").choices(["4", "6"])),
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
      print(terminal, view, () => [`list ${name} created`]);
    },
  );

  for (const verb of ["add", "rm"] as const) {
    const command = withReason(list.command(`${verb} <name> [addresses...]`))
      .description(verb === "add" ? "add addresses, networks or ranges" : "take addresses away")
      .option("-f, --file <path>", "one a line, from a file or - ; # begins a comment");
    if (verb === "add") command.option("--for <duration>", "only for this long", durationArgument);
    action(command, async ({ client, terminal }, name: string, given: string[], options: ChangeOptions) => {
      const addresses = [...given, ...(options.file === undefined ? [] : await readAddresses(options.file))];
      if (addresses.length === 0) throw new SluiceError("INVALID", "no address given");
      const views: ChangeListView[] = [];
      for (let from = 0; from < addresses.length; from += BATCH) {
        terminal.status(`${from} of ${addresses.length} addresses`);
        const batch = addresses.slice(from, from + BATCH);
        views.push(
          await client.lists.change.mutate({
            list: name,
            [verb === "add" ? "add" : "del"]: batch,
            ...(options.for === undefined ? {} : { forMs: options.for }),
            reason: options.reason,
          }),
        );
      }
      const last = views.at(-1);
      const sum = (key: "added" | "removed" | "renewed" | "unchanged") =>
        views.reduce((total, view) => total + view[key], 0);
      const total = {
        ...last,
        added: sum("added"),
        removed: sum("removed"),
        renewed: sum("renewed"),
        unchanged: sum("unchanged"),
      };
      print(terminal, total, () => [
        `list ${name} at rev ${last?.rev}: ${total.added} added, ${total.renewed} renewed, ${total.removed} removed, ${total.unchanged} as they were; ${last?.entries} entries`,
      ]);
    });
  }

  action(list.command("ls").description("all lists"), async ({ client, terminal }) => {
    const rows = await client.lists.ls.query();
    print(terminal, rows, () =>
      table(
        ["LIST", "REV", "ENTRIES", "USED BY", "CHANGED", "BY", "DESCRIPTION"],
        rows.map((row) => [
          row.list,
          String(row.rev),
          String(row.entries),
          row.usedBy.join(",") || "-",
          timeText(row.changed.at),
          row.changed.actor,
          row.description,
        ]),
      ),
    );
  });

  action(
    list
      .command("show <name>")
      .description("a list's entries")
      .option("--after <entry>", "go on behind this one")
      .option("--limit <n>", "how many", countArgument, 1000),
    async ({ client, terminal }, name: string, options: { after?: string; limit: number }) => {
      const view = await client.lists.show.query({ list: name, ...options });
      print(terminal, view, () =>
        view.entries.map(({ entry, until }) =>
          until === undefined ? entry : `${entry}  until ${timeText(until)}`,
        ),
      );
      if (view.next !== undefined && !terminal.json) {
        terminal.err(`… of ${view.total}; more with --after ${view.next}`);
      }
    },
  );

  action(
    withReason(list.command("retire <name>")).description("end a list that no server uses"),
    async ({ client, terminal }, name: string, options: { reason: string }) => {
      const view = await client.lists.rm.mutate({ list: name, reason: options.reason });
      print(terminal, view, () => [`list ${view.list} retired`]);
    },
  );
}
