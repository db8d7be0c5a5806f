import type { AddReaderView } from "@sluice/proto/api/feed";
import type { Command } from "commander";
import { Option } from "commander";
import { countArgument, nameArgument } from "../arguments.ts";
import { action, print, withExamples, withReason } from "../command.ts";
import { table } from "../render/table.ts";
import { timeText } from "../render/text.ts";

interface AddOptions {
  fromSeq?: number;
  new: boolean;
  only?: string;
  reason: string;
}

export function addFeedCommands(program: Command): void {
  const feed = withExamples(
    program.command("feed").description("who reads the feed of events, and how far they are (role admin)"),
    [
      "sluice feed add billing > billing.creds      from the first event on; its login, this once",
      "sluice feed add pager --new --only RolloutHalted > pager.creds",
      "sluice feed ls",
    ],
  );

  action(
    withReason(feed.command("add"))
      .description("a new reader; its login on stdout, a NATS credentials file")
      .argument("<reader>", "its name", nameArgument)
      .addOption(
        new Option("--from-seq <n>", "the first event it gets; else the log's first")
          .argParser(countArgument)
          .conflicts("new"),
      )
      .option("--new", "only what is stored from now on", false)
      .option("--only <type>", "only events of this type, such as RolloutHalted"),
    async ({ client, terminal }, reader: string, { reason, only, ...options }: AddOptions) => {
      const from = options.new ? "new" : options.fromSeq;
      const view = await client.feed.add.mutate({
        ...{ reader, reason },
        ...(from !== undefined && { from }),
        ...(only !== undefined && { only }),
      });
      print(terminal, view, () => {
        for (const line of howToRead(view)) terminal.err(line);
        return view.credentials === undefined ? [] : [view.credentials.trim()];
      });
    },
  );

  action(
    feed.command("ls").description("all readers, and how far they are"),
    async ({ client, terminal }) => {
      const rows = await client.feed.ls.query();
      print(terminal, rows, () =>
        table(terminal, {
          none: "no readers",
          rows,
          columns: [
            { heading: "READER", cell: (row) => row.reader },
            { heading: "CONSUMER", cell: (row) => row.consumer },
            { heading: "FROM", cell: (row) => String(row.from) },
            { heading: "ONLY", cell: (row) => row.only ?? "-" },
            { heading: "ACKED", cell: (row) => String(row.place?.acked ?? "-") },
            { heading: "WAITING", cell: (row) => String(row.place?.waiting ?? "-") },
            { heading: "SEEN", cell: (row) => timeText(terminal, row.place?.at), optional: true },
            { heading: "ADDED", cell: (row) => timeText(terminal, row.added.at), optional: true },
          ],
        }),
      );
    },
  );

  action(
    withReason(feed.command("rm"))
      .description("take a reader away, and what its login opens")
      .argument("<reader>", "its name", nameArgument),
    async ({ client, terminal }, reader: string, { reason }: { reason: string }) => {
      const view = await client.feed.rm.mutate({ reader, reason });
      print(terminal, view, () => [`reader ${reader} removed${whenOf(view)}`]);
    },
  );
}

function howToRead(view: AddReaderView): string[] {
  const { reader, stream, consumer, from, only, nats, inboxPrefix } = view;
  const what = only === undefined ? "event" : `${only} event`;
  const login = view.credentials === undefined ? "" : ` --creds ${reader}.creds`;
  return [
    `reader ${reader}: consumer ${consumer} of stream ${stream}, from ${what} ${from} on${whenOf(view)}`,
    `  nats --server ${nats.join(",")}${login} --inbox-prefix ${inboxPrefix} consumer next ${stream} ${consumer} --count 10`,
  ];
}

function whenOf({ inEffect }: { inEffect: boolean }): string {
  return inEffect ? "" : ", once control reaches NATS again";
}
