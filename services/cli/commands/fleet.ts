import type { FleetView } from "@sluice/proto/api/fleet";
import type { Command } from "commander";
import { action, print, withExamples, withReason } from "../command.ts";
import { counted, exactTime } from "../render/text.ts";

export function addFleetCommands(program: Command): void {
  action(program.command("status").description("the fleet at a glance"), async ({ client, terminal }) => {
    const view = await client.fleet.show.query();
    print(terminal, view, () => [
      `${view.connected} of ${counted(view.servers, "server")} connected`,
      ...(view.frozen ? [frozenText(view)] : []),
      ...view.runningRollouts.map((rollout) => `rollout ${rollout} is running`),
    ]);
  });

  action(
    withExamples(
      withReason(program.command("freeze")).description(
        "no rollout starts, running ones halt before their next wave; until sluice thaw",
      ),
      ['sluice freeze --reason "incident 4711"', 'sluice thaw --reason "incident 4711 is over"'],
    ),
    async ({ client, terminal }, options: { reason: string }) => {
      const view = await client.fleet.freeze.mutate({ reason: options.reason });
      print(terminal, view, () => [`${frozenText(view)}; sluice thaw ends it`]);
    },
  );

  action(
    withReason(program.command("thaw")).description("end a freeze"),
    async ({ client, terminal }, options: { reason: string }) => {
      const view = await client.fleet.thaw.mutate({ reason: options.reason });
      print(terminal, view, () => ["rollouts may start"]);
    },
  );
}

function frozenText({ decided }: FleetView): string {
  return `frozen since ${exactTime(decided?.at)} UTC by ${decided?.actor}: ${decided?.reason || "no reason given"}`;
}
