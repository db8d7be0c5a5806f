import { writeFile } from "node:fs/promises";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import type { Command } from "commander";
import { nameArgument } from "../arguments.ts";
import { action, print, withExamples } from "../command.ts";
import { counted } from "../render/text.ts";

interface ImportOptions {
  server: string;
  policy?: string;
  output?: string;
}

export function addImportCommand(program: Command): void {
  const command = withExamples(
    program
      .command("import")
      .description(
        "make a policy of what stands on a server: other tools' and hand-written rules, sets, qdiscs",
      )
      .requiredOption("--server <name>", "the server", nameArgument)
      .option("--policy <name>", "the policy's name; the server's unless said", nameArgument)
      .option("-o, --output <file>", "into this file; on stdout unless said"),
    ["sluice import --server web-3", "sluice import --server web-3 --policy web-edge -o web-edge.yaml"],
  );
  action(command, async ({ client, terminal }, { server, policy, output }: ImportOptions) => {
    const view = await client.servers.import.query({ server, policy });
    if (output !== undefined) await writeTo(output, view.text);
    for (const { what, why } of terminal.json ? [] : view.left) terminal.err(`left: ${what}: ${why}`);
    const told = `${counted(view.rules, "rule")} and ${counted(view.sets, "set")} in ${output}`;
    print(terminal, view, () => (output === undefined ? [view.text.trimEnd()] : [told]));
  });
}

async function writeTo(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text);
  } catch (cause) {
    throw new SluiceError("INVALID", `${path} can't be written: ${messageOf(cause)}`, { cause });
  }
}
