import { readdirSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { lockHolder, lockState } from "@sluice/agents/state/lock";
import { type GuardedChild, startGuarded } from "@sluice/infra/process/guarded-child";
import { makePrivateDirectory, type PrivateDirectory } from "@sluice/infra/process/private-directory";
import { afterAll, beforeAll, expect, test } from "vitest";

const RACERS = 6;
const ROUNDS = 40;
const PROGRAM = fileURLToPath(new URL("./lock-racer.ts", import.meta.url));

interface Racer {
  child: GuardedChild;
  /** the answer to a line */
  ask(line: string): Promise<string>;
}

let folder: PrivateDirectory;
const racers: Racer[] = [];

beforeAll(async () => {
  folder = makePrivateDirectory("lock");
  racers.push(...(await Promise.all(Array.from({ length: RACERS }, startRacer))));
}, 240_000);
afterAll(async () => {
  for (const { child } of racers) await child.stop("SIGKILL");
  await folder.remove();
});

async function startRacer(): Promise<Racer> {
  const child = startGuarded([process.execPath, PROGRAM, folder.path]);
  let errors = "";
  child.stderr.on("data", (text) => {
    errors += text;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  async function next(): Promise<string> {
    const { value, done } = await lines.next();
    if (done) throw new Error(`a racer ended: ${errors}`);
    return value;
  }
  expect(await next()).toBe("ready");
  return {
    child,
    ask(line) {
      child.stdin.write(`${line}\n`);
      return next();
    },
  };
}

const tryAll = (some: readonly Racer[]) => Promise.all(some.map(({ ask }) => ask("try")));

test("of many that start in one instant over a dead holder's lock, one gets it", {
  timeout: 120_000,
}, async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    writeFileSync(`${folder.path}/lock`, "4194304 1\n"); // a pid that none can have
    const answers = await tryAll(racers);
    expect(answers.toSorted()).toEqual([...Array(RACERS - 1).fill("refused"), "won"]);
    const winner = racers[answers.indexOf("won")];
    expect(lockHolder(folder.path)?.pid).toBe(winner?.child.pid);
    await winner?.ask("free");
  }
  expect(readdirSync(folder.path)).toEqual([]);
});

test("while many take it and give it back at once, at no time do two have it", {
  timeout: 120_000,
}, async () => {
  const answers = await Promise.all(racers.map(({ ask }) => ask("race 60")));
  expect(answers).toEqual(Array(RACERS).fill(expect.stringMatching(/^raced \d+$/)));
  expect(readdirSync(folder.path)).toEqual([]);
});

test("a holder that is killed lets go, one that is stopped doesn't", async () => {
  const [holder, ...others] = racers;
  expect(await holder?.ask("try")).toBe("won");
  holder?.child.signal("SIGSTOP");
  expect(await tryAll(others)).not.toContain("won");
  expect(() => lockState(folder.path)).toThrow(
    `another agent (pid ${holder?.child.pid}) uses ${folder.path}`,
  );
  holder?.child.signal("SIGKILL");
  await holder?.child.exited;
  expect(lockHolder(folder.path)).toBeUndefined();
  expect((await tryAll(others)).filter((answer) => answer === "won")).toHaveLength(1);
});
