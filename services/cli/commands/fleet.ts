import { type Command, Option } from "commander";
import { action, print, withReason } from "../command.ts";
import { table, timeText } from "../render/table.ts";

export function addFleetCommands(program: Command): void {
  action(program.command("status").description("the fleet at a glance"), async ({ client, terminal }) => {
    const view = await client.fleet.show.query();
    print(terminal, view, () => [
      `${view.connected} of ${view.servers} servers connected`,
      ...(view.frozen
        ? [
            `frozen since ${timeText(view.decided?.at)} by ${view.decided?.actor}: ${view.decided?.reason || "no reason given"}`,
          ]
        : []),
      ...view.runningRollouts.map((rollout) => `rollout ${rollout} is running`),
    ]);
  });

  action(
    withReason(program.command("freeze")).description(
      "no rollout starts, running ones halt at the wave's border",
    ),
    async ({ client, terminal }, options: { reason: string }) => {
      const view = await client.fleet.freeze.mutate({ reason: options.reason });
      print(terminal, view, () => ["the fleet is frozen; sluice thaw ends it"]);
    },
  );

  action(
    withReason(program.command("thaw")).description("end a freeze"),
    async ({ client, terminal }, options: { reason: string }) => {
      const view = await client.fleet.thaw.mutate({ reason: options.reason });
      print(terminal, view, () => ["the fleet is thawed"]);
    },
  );

  const token = program.command("token").description("who may use the API, and as whom");
  action(
    token
      .command("create <name>")
      .description("a new token; its name is the actor that events carry")
      .addOption(
        new Option("--role <role>", "what it may")
          .choices(["viewer", "operator", "admin"])
          .default("operator"),
      ),
    async ({ client, terminal }, name: string, options: { role: "viewer" | "operator" | "admin" }) => {
      const view = await client.tokens.create.mutate({ name, role: options.role });
      print(terminal, view, () => [view.token]);
    },
  );
  action(
    token.command("ls").description("all tokens, without their secrets"),
    async ({ client, terminal }) => {
      const rows = await client.tokens.ls.query();
      print(terminal, rows, () =>
        table(
          ["NAME", "ROLE", "CREATED"],
          rows.map((row) => [row.name, row.role, timeText(row.createdAt)]),
        ),
      );
    },
  );
  action(
    token.command("rm <name>").description("take a token away"),
    async ({ client, terminal }, name: string) => {
      const view = await client.tokens.rm.mutate({ name });
      print(terminal, view, () => [`token ${name} removed`]);
    },
  );
}
