import type { Role } from "@sluice/proto/api/fleet";
import { type Command, Option } from "commander";
import { nameArgument } from "../arguments.ts";
import { action, print, withExamples } from "../command.ts";
import { table } from "../render/table.ts";
import { timeText } from "../render/text.ts";

/** Tokens are no events, so none of these takes a reason. */
export function addTokenCommands(program: Command): void {
  const token = withExamples(
    program.command("token").description("who may use the API, and as whom (role admin)"),
    [
      "sluice token create alice                   an operator; prints the token, this once",
      "sluice token create grafana --role viewer",
      "sluice token rm alice",
    ],
  );
  action(
    token
      .command("create")
      .description("a new token on stdout; its name is the actor that events carry")
      .argument("<name>", "of a person or a program", nameArgument)
      .addOption(
        new Option("--role <role>", "viewer looks, operator changes, admin also hands out tokens")
          .choices(["viewer", "operator", "admin"])
          .default("operator"),
      ),
    async ({ client, terminal }, name: string, options: { role: Role }) => {
      const view = await client.tokens.create.mutate({ name, role: options.role });
      print(terminal, view, () => [view.token]);
    },
  );
  action(
    token.command("ls").description("all tokens, without their secrets"),
    async ({ client, terminal }) => {
      const rows = await client.tokens.ls.query();
      print(terminal, rows, () =>
        table(terminal, {
          none: "no tokens",
          rows,
          columns: [
            { heading: "NAME", cell: (row) => row.name },
            { heading: "ROLE", cell: (row) => row.role },
            { heading: "CREATED", cell: (row) => timeText(terminal, row.createdAt) },
          ],
        }),
      );
    },
  );
  action(
    token.command("rm").description("take a token away").argument("<name>", "whose", nameArgument),
    async ({ client, terminal }, name: string) => {
      const view = await client.tokens.rm.mutate({ name });
      print(terminal, view, () => [`token ${view.name} removed`]);
    },
  );
}
