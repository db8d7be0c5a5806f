import { readFileSync } from "node:fs";
import { allCommands, createProgram, pathOf } from "@sluice/cli/program";
import { type CommandName, VIEWS } from "@sluice/cli/views";
import { describe, expect, test } from "vitest";
import { jsonOf, rowsOf, SHAPES } from "./shapes.ts";

/** docs/cli.md is what scripts are written against: it says what is, all of it, and nothing else. */
const page = readFileSync(new URL("../../docs/cli.md", import.meta.url), "utf8");

/** What stands under a heading, up to the next one. */
const sections = new Map(
  [...page.matchAll(/^#{3,4} `([^`\n]+)`\n(.*?)(?=^#|$(?![\s\S]))/gms)].map(([, title = "", text = ""]) => [
    title,
    text,
  ]),
);

const commands = allCommands(createProgram("0.0.0"))
  .filter((one) => one.commands.length === 0 || one.registeredArguments.length > 0)
  .map((command) => ({ command, name: pathOf(command).slice(1).join(" ") }))
  .filter(({ name }) => name !== "help");

/** Which command a line of the shell would run, if its words are right; nothing runs. */
async function commandThatTakes(line: string): Promise<string> {
  const [words = ""] = /(?<=sluice ).*?(?= > |$)/.exec(line) ?? [];
  const program = createProgram("0.0.0");
  const taken: string[] = [];
  for (const command of allCommands(program)) {
    command.configureOutput({ writeErr: () => undefined });
    command.action(() => void taken.push(pathOf(command).slice(1).join(" ")));
  }
  const unquoted = (word: string) => word.replace(/^(['"])(.*)\1$/, "$2");
  await program.parseAsync((words.match(/"[^"]*"|'[^']*'|\S+/g) ?? []).map(unquoted), { from: "user" });
  return taken.join();
}

test("every command has a view, and every view a command", () => {
  expect(commands.map(({ name }) => name).sort()).toEqual(Object.keys(VIEWS).sort());
});

describe.each(commands)("sluice $name", ({ command, name }) => {
  const section = sections.get(`sluice ${name}`) ?? "";

  test("has its arguments and options on the page, and no others", () => {
    const said = [...section.matchAll(/^- `(.+?)`: /gm)]
      .map(([, flags]) => flags)
      .filter((one) => /^-/.test(one ?? ""));
    expect(said.sort()).toEqual(command.options.map(({ flags }) => flags).sort());
    const synopsis = /^`sluice (.+?)`: /m.exec(section)?.[1];
    const words = command.registeredArguments.map((argument) => {
      const word = `${argument.name()}${argument.variadic ? "..." : ""}`;
      return argument.required ? `<${word}>` : `[${word}]`;
    });
    expect(synopsis).toBe([name, ...words].join(" "));
  });

  test("has an example that the command takes, its exit codes and its JSON", async () => {
    const examples = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, text = ""]) =>
      text.trim().split("\n"),
    );
    expect(examples).not.toEqual([]);
    for (const example of examples) expect(await commandThatTakes(example), example).toBe(name);
    expect(section).toMatch(/^Exits 0/m);
    expect(section).toContain(`JSON: [\`${jsonOf(name as CommandName)}\`](#`);
  });
});

describe.each(Object.keys(SHAPES) as (keyof typeof SHAPES)[])("the shape %s", (name) => {
  test("has exactly its fields and their types on the page", () => {
    const rows = [...(sections.get(name) ?? "").matchAll(/^\| `(.+?)` +\| (.+?) +\|(.*)\|$/gm)];
    expect(rows.map(([, field, type]) => [field, type])).toEqual(rowsOf(SHAPES[name]));
  });
});

test("the page describes no command and no shape that isn't there", () => {
  const known = [...commands.map(({ name }) => `sluice ${name}`), ...Object.keys(SHAPES)];
  const agents = [...sections.keys()].filter((title) => title.startsWith("sluice-agent "));
  expect([...sections.keys()].filter((title) => !known.includes(title))).toEqual(agents);
});

test("every link leads somewhere", () => {
  const anchors = [...page.matchAll(/^#+ (.+)$/gm)].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^a-z0-9 -]/g, "")
      .replaceAll(" ", "-"),
  );
  const links = [...page.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor]) => anchor);
  expect(links.filter((anchor) => !anchors.includes(anchor ?? ""))).toEqual([]);
});
