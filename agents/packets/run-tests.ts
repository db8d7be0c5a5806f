import { messageOf } from "@sluice/proto/base/errors";
import { sideBySide } from "@sluice/proto/base/side-by-side";
import type { ManifestTest } from "@sluice/proto/manifest/manifest";
import type { MetRule, TestResult } from "@sluice/proto/manifest/test-result";
import { closeAll, type Drivers, renderAll, type Snapshots, writeScripts } from "../converge/kernel.ts";
import { furnish, roomTools } from "../converge/rehearsal-room.ts";
import { withoutMembers } from "../converge/target.ts";
import type { DriverName, Target } from "../drivers/driver.ts";
import type { IpsetSnapshot } from "../drivers/ipset/snapshot.ts";
import type { IptablesSnapshot } from "../drivers/iptables/snapshot.ts";
import type { IptablesBackend } from "../drivers/iptables/tools.ts";
import type { Namespace } from "../exec/namespace.ts";
import { originOfLine } from "./origins.ts";
import { type Around, packetOf, packetText } from "./packet.ts";
import { type Lines, type Sent, sendPacket } from "./send.ts";
import { unsaidOf, withTwins } from "./twins.ts";
import type { Step } from "./walk.ts";

/**
 * A policy's tests as real packets, through the rules of a target, each on a path of its own, side by side.
 *
 * Live lists are empty: a test says what the policy decides, whoever is banned today.
 */
export interface TestParts extends Around {
  backend: IptablesBackend;
  drivers: Drivers;
}

const AT_ONCE = 6;

/** Sets and rules, of a namespace in which there is nothing yet. */
const NOTHING: Snapshots = new Map<DriverName, IpsetSnapshot | IptablesSnapshot>([
  ["ipset", { sets: new Map() }],
  ["iptables", { tables: new Map() }],
]);

export async function runTests(
  parts: TestParts,
  tests: readonly ManifestTest[],
  wanted: Target,
  want: Snapshots,
): Promise<TestResult[]> {
  const { backend, devices } = parts;
  const drivers = parts.drivers.filter(({ name }) => NOTHING.has(name));
  const target = withoutMembers(wanted);
  const unsaid = unsaidOf(target);
  const asked = withTwins(target, want.get("iptables") as IptablesSnapshot);
  const { build } = renderAll(drivers, asked, undefined, NOTHING);
  const tools = roomTools(backend);

  async function load(at: Namespace, family: 4 | 6): Promise<void> {
    await furnish(at, [], target.external, tools);
    try {
      const other = family === 4 ? "ip6tables-restore" : "iptables-restore";
      await writeScripts(
        drivers,
        at,
        build.filter(({ tool }) => tool !== other),
      );
    } finally {
      await closeAll(drivers, at);
    }
  }

  return await sideBySide(tests, AT_ONCE, async (test) => {
    const packet = await packetOf(test, parts);
    const sent = await sendPacket({ backend, devices }, packet, (at) => load(at, test.family), unsaid).catch(
      (error): Sent => ({ kind: "unknown", reason: messageOf(error) }),
    );
    return resultOf(test, sent, target);
  });
}

function resultOf(test: ManifestTest, sent: Sent, target: Target): TestResult {
  const { expect, origin } = test;
  const told = { packet: packetText(test), expect, origin, verdict: sent.kind };
  const { walked, lines } = sent;
  if (sent.kind === "unknown") {
    const asked = walked?.asks?.at;
    return {
      ...told,
      ...(asked && lines && { decided: ruleAt(asked, test.family, target, lines) }),
      reason: sent.reason,
    };
  }
  const step = sent.kind === "accept" ? walked?.accepted : walked?.end?.at;
  return { ...told, ...(step && lines && { decided: ruleAt(step, test.family, target, lines) }) };
}

/** A step with the place in a policy that it comes from. */
export function ruleAt(step: Step, family: 4 | 6, target: Pick<Target, "chains">, lines: Lines): MetRule {
  const { table, chain, index, text, foreign } = step;
  const rules = target.chains.find(
    (one) => one.family === family && one.table === table && one.name === chain,
  )?.rules;
  const origin =
    rules === undefined || index === undefined ? undefined : originOfLine(rules, lines(table, chain), index);
  return {
    chain: `ip${family}/${table}/${chain}`,
    rule: text,
    foreign,
    ...(origin !== undefined && { origin }),
  };
}
