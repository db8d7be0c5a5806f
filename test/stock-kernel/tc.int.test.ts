import { withReleased } from "@sluice/agents/drivers/tc/foreign";
import type { ManifestDevice, TcTree } from "@sluice/proto/manifest/manifest";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { driver, openTcLabBy, type TcLab } from "../drivers/tc-lab.ts";
import { openGuestNamespace } from "./guest-namespace.ts";
import { onStockKernel } from "./on-stock-kernel.ts";
import { filter, filtered, hfscTree, KINDS, leaves, qdisc, type Variant } from "./tc-kinds.ts";

/**
 * Kinds of qdisc and filter that not every kernel has. All of them at once where they don't touch each other: there a
 * command takes a tenth of a second.
 */
const PATIENCE_MS = 240_000;

onStockKernel("the tc driver", (kernel) => {
  let lab: TcLab;
  afterEach(() => lab?.[Symbol.asyncDispose]());
  const open = async (...devices: string[]) => {
    lab = await openTcLabBy(() => openGuestNamespace(kernel()), devices);
  };

  /** Applies, asks the kernel whether it now holds exactly that, and whether a second apply would write. */
  async function converge(devices: readonly ManifestDevice[]) {
    const { target, want, scripts } = await lab.apply(devices);
    const have = await driver.read(lab.live, target);
    expect(driver.diff(target, want, want)).toEqual([]);
    expect(driver.diff(target, want, have)).toEqual([]);
    expect(driver.render(target, want, have)).toEqual({ build: [], remove: [] });
    return { have, lines: scripts.flatMap(({ text }) => text.trim().split("\n")) };
  }
  const egress = (tree: TcTree): ManifestDevice[] => [{ device: "eth0", egress: tree }];
  const given = (devices: readonly ManifestDevice[]) => converge(withReleased([], devices));

  describe("leaves of every kind", () => {
    test(
      "stand as rehearsed; changed, each is seen and made what the other text makes from nothing; then they go",
      async () => {
        await open("eth0");
        const before = await lab.tc("qdisc show dev eth0");
        const first = await converge(egress(leaves(() => 0)));
        const second = await converge(egress(leaves(() => 1)));
        for (const kind of KINDS) {
          const [was, is] = [first, second].map(({ have }) =>
            have.devices.eth0?.qdiscs.find((one) => one.kind === kind),
          );
          expect([kind, is?.words]).not.toEqual([kind, was?.words]);
        }
        await given(egress(leaves(() => 1)));
        expect(await lab.tc("qdisc show dev eth0")).toBe(before);
      },
      PATIENCE_MS,
    );

    test(
      "are changed one by one: no other leaf, and no class, is named",
      async () => {
        await open("eth0");
        await converge(egress(leaves(() => 0)));
        const { lines } = await converge(
          egress(leaves((kind) => (kind === "sfq" || kind === "prio" ? 1 : 0))),
        );
        expect(lines).toEqual([
          expect.stringMatching(/^qdisc del dev eth0 parent \S+ handle 1a:$/),
          expect.stringMatching(/^qdisc change dev eth0 parent \S+ handle 17: prio bands 4 /),
          expect.stringMatching(/^qdisc add dev eth0 parent \S+ handle 1a: sfq .*perturb 10$/),
        ]);
      },
      PATIENCE_MS,
    );
  });

  test(
    "roots of such kinds stand on a device of their own, change and go",
    async () => {
      const kinds = ["cake", "fq", "fq_codel", "netem", "prio", "sfq"];
      const devices = kinds.map((_, index) => `eth${index}`);
      await open(...devices);
      const before = await lab.tc("qdisc show");
      const roots = (variant: Variant): ManifestDevice[] =>
        kinds.map((kind, index) => ({
          device: `eth${index}`,
          egress: { qdiscs: [qdisc("root", "1:", kind, variant)], classes: [], filters: [] },
        }));
      await converge(roots(0));
      const { have } = await converge(roots(1));
      expect(devices.map((name) => have.devices[name]?.qdiscs[0]?.kind)).toEqual(kinds);
      await given(roots(1));
      expect(await lab.tc("qdisc show")).toBe(before);
    },
    PATIENCE_MS,
  );

  test(
    "filters of every kind stand, change their class and their match, and go alone",
    async () => {
      await open("eth0");
      const fw = filter("fw", 1, "80", "flowid 1:10");
      const fw6 = filter("fw", 2, "80", "flowid 1:10", "ipv6");
      const flower = filter("flower", 3, "1", "ip_proto tcp dst_port 80 classid 1:10");
      const basic = filter("basic", 4, "1", "match meta(nf_mark eq 80) classid 1:10", "all");
      const police = "match ip sport 80 0xffff police rate 1mbit burst 10k drop flowid 1:10";
      const u32 = filter("u32", 5, "800::1", police);
      const rest = filter("matchall", 9, "1", "classid 1:20", "all");
      await converge(egress(filtered([fw, fw6, flower, basic, u32, rest])));

      const changed = [
        { ...fw, handle: "80/0xff" },
        { ...fw6, args: ["flowid", "1:20"] },
        { ...flower, args: ["ip_proto", "udp", "dst_port", "53", "classid", "1:10"] },
        { ...basic, args: ["match", "meta(nf_mark eq 81)", "classid", "1:10"] },
        { ...u32, args: police.replace("1mbit", "2mbit").split(" ") },
        { ...rest, args: ["classid", "1:10"] },
      ];
      const second = await converge(egress(filtered(changed)));
      expect(second.lines.filter((line) => line.startsWith("filter add"))).toHaveLength(changed.length);
      expect(second.lines.filter((line) => !line.startsWith("filter "))).toEqual([]);

      const more = [...changed, filter("fw", 1, "81/0xff", "flowid 1:20")];
      expect((await converge(egress(filtered(more)))).lines).toEqual([
        expect.stringMatching(/handle 0x51\/0xff fw flowid 1:20$/),
      ]);
      const { lines } = await converge(egress(filtered(more.filter(({ kind }) => kind !== "flower"))));
      expect(lines).toEqual([expect.stringMatching(/^filter del .* protocol ip prio 3$/)]);
    },
    PATIENCE_MS,
  );

  test(
    "an hfsc tree changes its curves in place, and is built anew where one is taken away",
    async () => {
      await open("eth0");
      const tree = (top: string, web: string) =>
        hfscTree([
          ["1:1", "1:", top],
          ["1:10", "1:1", web],
          ["1:20", "1:1", "ls rate 800kbit"],
        ]);
      await converge(egress(tree("sc rate 1mbit ul rate 1mbit", "sc rate 200kbit")));
      const wider = await converge(egress(tree("sc rate 2mbit ul rate 2mbit", "sc rate 200kbit")));
      expect(wider.lines).toEqual([expect.stringMatching(/^class change .* classid 1:1 hfsc sc rate 2mbit/)]);
      const { lines } = await converge(egress(tree("sc rate 2mbit ul rate 2mbit", "ls rate 200kbit")));
      expect(lines).toContainEqual(expect.stringMatching(/^class del .* classid 1:10$/));
      await given(egress(tree("", "")));
    },
    PATIENCE_MS,
  );

  test(
    "a prio's bands carry leaves and filters of their own",
    async () => {
      await open("eth0");
      const bands = (variant: Variant, flowid: string): TcTree => ({
        qdiscs: [
          qdisc("root", "1:", "prio", 0),
          ...["sfq", "fq_codel", "netem"].map((kind, index) =>
            qdisc(`1:${index + 1}`, `${index + 1}0:`, kind, variant),
          ),
        ],
        classes: [],
        filters: [filter("fw", 1, "80", `flowid ${flowid}`)],
      });
      await converge(egress(bands(0, "1:1")));
      await converge(egress(bands(1, "1:2")));
      await given(egress(bands(1, "1:2")));
    },
    PATIENCE_MS,
  );

  test(
    "where fq_codel is the kernel's default, the one it gives a device by itself is nobody's",
    async () => {
      await open("eth0");
      const incoming: ManifestDevice[] = [
        { device: "eth0", ingress: { ifb: "slifb-eth0", tree: filtered([]) } },
      ];
      const setting = "net.core.default_qdisc";
      const { stdout: before } = await kernel().run("sysctl", ["-n", setting]);
      await kernel().run("sysctl", ["-q", "-w", `${setting}=fq_codel`]);
      try {
        await lab.run("ip link add slifb-eth0 type ifb");
        await lab.run("ip link set slifb-eth0 up");
        expect(await lab.tc("qdisc show dev slifb-eth0")).toMatch(/^qdisc fq_codel 0: root /);
        await converge(incoming);
        await converge([]);
        expect(await lab.run("ip -o link show")).not.toContain("slifb-");
      } finally {
        await kernel().run("sysctl", ["-q", "-w", `${setting}=${before.trim()}`]);
      }
    },
    PATIENCE_MS,
  );

  test(
    "any way from leaves to leaves ends in the kernel that the last ones make from nothing",
    async () => {
      const place = fc.record({ kind: fc.constantFrom(...KINDS), variant: fc.constantFrom<Variant>(0, 1) });
      const tree = fc.array(place, { minLength: 1, maxLength: 2 }).map((places): TcTree => {
        const { qdiscs, classes, filters } = filtered([filter("fw", 1, "80", "flowid 1:10")]);
        const chosen = places.map(({ kind, variant }, index) =>
          qdisc(`1:${index + 1}0`, `${index + 1}0:`, kind, variant),
        );
        return { qdiscs: [...qdiscs, ...chosen], classes, filters };
      });
      await fc.assert(
        fc.asyncProperty(fc.array(tree, { minLength: 2, maxLength: 3 }), async (trees) => {
          await open("eth0");
          for (const one of trees) await converge(egress(one));
          await lab[Symbol.asyncDispose]();
        }),
        { numRuns: 3 },
      );
    },
    PATIENCE_MS,
  );
});
