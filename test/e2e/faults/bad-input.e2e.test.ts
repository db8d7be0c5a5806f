import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Lab } from "@sluice/infra/lab/start-lab";
import { type CommandResult, tryCommand } from "@sluice/infra/process/run-command";
import { errorView } from "@sluice/proto/api/error";
import { planView } from "@sluice/proto/api/plans";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { kernelText } from "../kernel-text.ts";
import { applyPolicy, rollOut } from "../lab.ts";
import { readLog, startFaultLab } from "./fault-lab.ts";

/** The command as a person runs it. */
const CLI = fileURLToPath(new URL("../../../services/cli/main.ts", import.meta.url));

const UPLINK = `policy: uplink
targets: { servers: [server-1] }
shaping:
  eth0:
    classes:
      all: { rate: 100mbit, default: true }
`;

let lab: Lab;
let namespace: string;
let file: string;
beforeAll(async () => {
  lab = await startFaultLab(1);
  ({ namespace } = lab.fabric.host("server-1"));
  file = join(lab.folder, "wrong.yaml");
  await applyPolicy(lab, UPLINK);
  expect(await rollOut(lab, "uplink")).toMatchObject({ state: "completed" });
});
afterAll(() => lab?.stop());

async function sluice(...words: string[]): Promise<CommandResult> {
  return await tryCommand(process.execPath, [CLI, ...words], {
    env: { ...process.env, SLUICE_URL: lab.context.url, SLUICE_TOKEN: lab.context.token, NO_COLOR: "1" },
  });
}

/** Two lines, then what is wrong: its place is counted from line 3. */
async function given(rest: string, policy = "wrong"): Promise<void> {
  await writeFile(file, `policy: ${policy}\ntargets: { servers: [server-1] }\n${rest}`);
}

function rule(text: string, table = "filter", chain = "INPUT"): string {
  return `firewall:\n  ${table}:\n    ${chain}:\n      - ${text}\n`;
}

const failure = z.object({ error: errorView });

test.each([
  ["an unknown field", "fierwall: {}\n", "3:1", "unknown field fierwall; did you mean firewall?"],
  ["a bad address", rule("-s 192.0.2.300 -j DROP"), "6:12", "192.0.2.300 is no address"],
  [
    "an over-long name of a chain",
    rule("-j DROP", "filter", "a-name-that-no-iptables-would-ever-take"),
    "5:5",
    "this chain's name is too long",
  ],
  ["an undefined set", rule("-m set --match-set nowhere src -j DROP"), "6:28", "undefined set nowhere"],
])(
  "a policy with %s is refused with its place; nothing is stored, no kernel touched",
  async (_, text, place, reason) => {
    const [log, kernel] = await Promise.all([readLog(lab), kernelText(namespace, "nft")]);
    await given(text);
    const [plain, json] = await Promise.all([
      sluice("policy", "apply", "-f", file),
      sluice("policy", "apply", "-f", file, "--json"),
    ]);
    expect(plain.code).toBe(2);
    expect(plain.stdout).toBe("");
    expect(plain.stderr).toContain(`${file}:${place}: ${reason}`);
    expect(json.code).toBe(2);
    const { error } = failure.parse(JSON.parse(json.stdout));
    expect(error).toMatchObject({ code: "INVALID", problems: [{ message: reason }] });
    const { line, column } = error.problems[0]?.place ?? {};
    expect(`${line}:${column}`).toBe(place);
    expect(await readLog(lab)).toEqual(log);
    expect(await kernelText(namespace, "nft")).toBe(kernel);
  },
);

test.each([
  ["an undefined list", "blocks: [nowhere]\n", 3, "there is no list nowhere", "compile"],
  [
    "more than this kernel's recent match counts to",
    rule("-p tcp --dport 22 -m recent --name x --update --hitcount 99999 -j DROP"),
    6,
    "this kernel's recent match counts to",
    "compile",
  ],
  ["a target that iptables has not", rule("-p tcp --dport 22 -j NONESUCH"), 6, "NONESUCH", "rehearse"],
  [
    "a rule that the kernel takes elsewhere only",
    rule("-j REJECT", "nat", "PREROUTING"),
    6,
    "RULE_APPEND failed (Invalid argument)",
    "rehearse",
  ],
])(
  "a plan with %s is refused in the server's own words, with the line; no kernel is touched",
  async (_, text, line, reason, step) => {
    const kernel = await kernelText(namespace, "nft");
    await given(text);
    const [plain, json] = await Promise.all([
      sluice("plan", "-f", file),
      sluice("plan", "-f", file, "--json"),
    ]);
    expect(plain.code).toBe(2);
    expect(plain.stderr).toContain(`wrong.yaml:${line}`);
    expect(plain.stderr).toContain(reason);
    expect(json.code).toBe(2);
    const { state, answers } = planView.parse(JSON.parse(json.stdout));
    expect({ state, answers }).toMatchObject({
      state: "refused",
      answers: [
        { server: "server-1", state: "refused", refusal: { step, origin: { policy: "wrong", line } } },
      ],
    });
    expect(answers[0]?.refusal?.reason).toContain(reason);
    expect(await kernelText(namespace, "nft")).toBe(kernel);
  },
);

test("two policies that want one device's root: refused with both places, planned or rolled out; what stands stays", async () => {
  const kernel = await kernelText(namespace, "nft");
  await given("shaping:\n  eth0:\n    classes:\n      all: { rate: 1mbit, default: true }\n", "wide");
  const plan = await sluice("plan", "-f", file);
  expect(plan.code).toBe(2);
  expect(plan.stderr).toMatch(/wrong\.yaml:4:\d+: .*shaped twice: by uplink line 4 and by wide line 4/);
  expect(await sluice("policy", "apply", "-f", file)).toMatchObject({ code: 0 });
  const log = await readLog(lab);
  const [plain, json] = await Promise.all([
    sluice("rollout", "start", "wide"),
    sluice("rollout", "start", "wide", "--json"),
  ]);
  expect(plain.code).toBe(2);
  expect(plain.stderr).toMatch(/wide:4:\d+: .*shaped twice/);
  expect(json.code).toBe(2);
  expect(failure.parse(JSON.parse(json.stdout)).error).toMatchObject({
    code: "REFUSED",
    problems: [{ message: expect.stringContaining("shaped twice"), place: { line: 4 } }],
  });
  expect(await readLog(lab)).toEqual(log);
  expect(await kernelText(namespace, "nft")).toBe(kernel);
});
