import { afterAll, beforeAll, expect, test } from "vitest";
import { openSluice, type Sluice } from "./sluice.ts";

/** What needs no control to be refused: nobody listens at this address. */
let sluice: Sluice;
beforeAll(async () => {
  sluice = await openSluice({ url: "http://192.0.2.1:9", token: "none" });
});
afterAll(() => sluice?.[Symbol.asyncDispose]());

const cases: [words: string[], said: string][] = [
  [["server"], "Usage: sluice server"],
  [["server", "lss"], "unknown command 'lss'; did you mean ls?\n  → sluice server --help"],
  [["server", "show"], "missing required argument 'server'\n  → sluice server show --help"],
  [["server", "show", "Web_1"], "<server>: expected lower-case letters, digits and inner dashes"],
  [["server", "label", "web-1", "role"], "label 'role' is neither key=value nor key-"],
  [["audit", "log", "--since", "yesterday"], "--since <time>: expected a time such as"],
  [["audit", "log", "--type", "Nosuch"], "--type <type>: expected one of PolicyRevised, "],
  [["rollout", "start", "door", "--waves", "1,x"], "--waves <sizes>: expected"],
  [["rollout", "start", "door", "--waves", "1", "--wave", "web-1"], "use one of them"],
  [["plan"], "which policy?\n  → sluice plan NAME, or sluice plan -f FILE"],
  [["plan", "door.yaml"], "sluice plan -f door.yaml"],
  [["policy", "apply"], "which files?"],
  [["policy", "apply", "-f", "nosuch.yaml"], "nosuch.yaml can't be read: no such file"],
  [["list", "add", "bans"], "no address given"],
  [["list", "add", "bans", "192.0.2.7", "--for", "long"], "--for <duration>: expected a duration such as"],
  [["token", "create", "olga", "--role", "boss"], "--role <role>: expected one of viewer, operator, admin"],
  [["server", "ls", "--control", "control:7070"], "'control:7070' is no address of control"],
  [["help", "rollout", "nosuch"], "there is no command 'rollout nosuch'"],
];
test.each(cases)(
  "%j is refused with 2, with what was expected on stderr and in the JSON",
  async (words, said) => {
    const { code, message, stderr } = await sluice.error(words);
    expect(stderr).toContain(said);
    expect({ code, message }).toEqual({ code: "INVALID", message: expect.stringMatching(/./) });
  },
);

test("help is asked for with --help or help, at every level, and is no error", async () => {
  const [whole, group, command, flag] = await Promise.all([
    sluice.run(["--help"]),
    sluice.run(["help", "rollout"]),
    sluice.run(["help", "rollout", "start"]),
    sluice.run(["rollout", "start", "--help"]),
  ]);
  expect([whole, group, command, flag].map(({ code, stderr }) => ({ code, stderr }))).toEqual(
    Array(4).fill({ code: 0, stderr: "" }),
  );
  expect(whole?.stdout).toContain("A change, start to end:");
  expect(group?.stdout).toContain("Examples:\n  sluice rollout start ");
  expect(command?.stdout).toBe(flag?.stdout);
});

test("checking policy files needs no control", async () => {
  await sluice.file("good.yaml", "policy: good\ntargets: { servers: [web-1] }\n");
  expect(await sluice.run(["policy", "lint"])).toEqual({ code: 0, stdout: "good.yaml: ok\n", stderr: "" });
});
