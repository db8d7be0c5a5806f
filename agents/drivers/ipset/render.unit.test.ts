import { temporarySet } from "@sluice/proto/base/names";
import { describe, expect, test } from "vitest";
import { testMembers } from "../../lists/test-members.ts";
import type { Script, Target, TargetSet } from "../driver.ts";
import { diffIpset } from "./diff.ts";
import { renderIpset } from "./render.ts";
import { renderReplace } from "./render-list.ts";
import type { IpsetSnapshot, SetSnapshot } from "./snapshot.ts";

const ORIGIN = { policy: "web", revision: 3, line: 7 };
const NAME = "sl-web-office-hn4";
const TEMPORARY = temporarySet(NAME);
const OFFICE: TargetSet = {
  name: NAME,
  type: "hash:net",
  family: 4,
  options: [],
  entries: ["192.0.2.0/24", "198.51.100.7/32", "203.0.113.0/24"],
  use: "policy",
  origin: ORIGIN,
};
const BLOCKLIST: TargetSet = {
  name: "sl-l-blocklist-4",
  type: "hash:net",
  family: 4,
  options: ["timeout", "0"],
  entries: [],
  use: "list",
  live: testMembers(["192.0.2.1", "192.0.2.2 for 60"]).live,
};

function target(...sets: TargetSet[]): Target {
  return { sets, chains: [], hooks: [], devices: [], external: { chains: [], sets: [] } };
}

function stands(set: TargetSet, change: Partial<SetSnapshot> = {}): SetSnapshot {
  const members = { lasting: set.entries.map((entry) => entry.replace(/\/32$/, "")), expiring: [] };
  return {
    name: set.name,
    type: set.type,
    family: set.family,
    options: ["maxelem", "65536", ...set.options],
    count: set.live?.counts().all ?? set.entries.length,
    references: 0,
    ...(set.use === "list" ? {} : { members }),
    ...change,
  };
}

function snapshot(...sets: SetSnapshot[]): IpsetSnapshot {
  return { sets: new Map(sets.map((set) => [set.name, set])) };
}

function built(wanted: Target, want: IpsetSnapshot | undefined, have: IpsetSnapshot): string[] {
  const { build } = renderIpset(wanted, want, have);
  expect(build.length).toBeLessThanOrEqual(1);
  return build.flatMap(linesOf);
}

function linesOf({ text, more, end = "" }: Script): string[] {
  const all = text + [...(more?.() ?? [])].map(String).join("") + end;
  return all.split("\n").filter((line) => line !== "");
}

const WANT = snapshot(stands(OFFICE));

describe("the script", () => {
  test("makes a missing set and fills it; each line knows where it came from", () => {
    const { build } = renderIpset(target(OFFICE), WANT, snapshot());
    expect(build[0]?.text).toBe(`create ${NAME} hash:net family inet
add -exist ${NAME} 192.0.2.0/24
add -exist ${NAME} 198.51.100.7/32
add -exist ${NAME} 203.0.113.0/24
`);
    expect([0, 2, 3, 4].map((line) => build[0]?.originOf?.(line))).toEqual([
      ORIGIN,
      ORIGIN,
      ORIGIN,
      undefined,
    ]);
  });

  test("isn't there when nothing differs, in whatever order the kernel lists it", () => {
    const have = stands(OFFICE);
    const lasting = have.members?.lasting.toReversed() ?? [];
    expect(
      renderIpset(target(OFFICE), WANT, snapshot({ ...have, members: { lasting, expiring: [] } })),
    ).toEqual({
      build: [],
      remove: [],
    });
  });

  test("edits in place when that is less than a swap: adds first, then dels", () => {
    const have = stands(OFFICE, {
      members: { lasting: ["192.0.2.0/24", "198.51.100.7", "10.0.0.0/8"], expiring: [] },
    });
    expect(built(target(OFFICE), WANT, snapshot(have))).toEqual([
      `add -exist ${NAME} 203.0.113.0/24`,
      `del -exist ${NAME} 10.0.0.0/8`,
    ]);
  });

  test("overwrites a member that has other options, and doesn't take it out", () => {
    const commented: TargetSet = { ...OFFICE, options: ["comment"], entries: ['192.0.2.0/24 comment "a"'] };
    const have = stands(commented, { members: { lasting: ['192.0.2.0/24 comment "b"'], expiring: [] } });
    expect(built(target(commented), snapshot(stands(commented)), snapshot(have))).toEqual([
      `add -exist ${NAME} 192.0.2.0/24 comment "a"`,
    ]);
  });

  test("fills a temporary set and swaps it in when that is less, or when the edits wouldn't fit", () => {
    const swap = [
      `create ${TEMPORARY} hash:net family inet`,
      ...OFFICE.entries.map((entry) => `add -exist ${TEMPORARY} ${entry}`),
      `swap ${TEMPORARY} ${NAME}`,
      `destroy ${TEMPORARY}`,
    ];
    const strangers = Array.from({ length: 9 }, (_, n) => `10.0.${n}.0/24`);
    const other = stands(OFFICE, { count: 9, members: { lasting: strangers, expiring: [] } });
    expect(built(target(OFFICE), WANT, snapshot(other))).toEqual(swap);

    const full = stands(OFFICE, {
      options: ["maxelem", "3"],
      members: { lasting: ["192.0.2.0/24", "198.51.100.7", "10.0.0.0/8"], expiring: [] },
    });
    const small = snapshot(stands(OFFICE, { options: ["maxelem", "3"] }));
    expect(built(target(OFFICE), small, snapshot(full))).toEqual(swap);
  });

  test("changes options by a swap that takes along what runs out by itself; a left-over temporary set goes first", () => {
    const timed: TargetSet = {
      ...OFFICE,
      options: ["timeout", "600", "counters"],
      entries: ["192.0.2.0/24"],
    };
    const have = stands(timed, {
      options: ["maxelem", "65536", "timeout", "600"],
      members: { lasting: ["192.0.2.0/24 timeout 0"], expiring: ["198.51.100.9 timeout 17"] },
    });
    const left = stands({ ...OFFICE, name: TEMPORARY });
    expect(built(target(timed), snapshot(stands(timed)), snapshot(have, left))).toEqual([
      `destroy ${TEMPORARY}`,
      `create ${TEMPORARY} hash:net family inet timeout 600 counters`,
      `add -exist ${TEMPORARY} 192.0.2.0/24 timeout 0`,
      `add -exist ${TEMPORARY} 198.51.100.9 timeout 17`,
      `swap ${TEMPORARY} ${NAME}`,
      `destroy ${TEMPORARY}`,
    ]);
  });

  test("makes a set of another type anew when nothing uses it", () => {
    const other = stands(OFFICE, { type: "hash:ip" });
    expect(built(target(OFFICE), WANT, snapshot(other)).slice(0, 2)).toEqual([
      `destroy ${NAME}`,
      `create ${NAME} hash:net family inet`,
    ]);
  });

  test("refuses a set of another type that something uses, and does the rest", () => {
    const other = stands(OFFICE, { type: "hash:ip", references: 2 });
    const second = { ...OFFICE, name: "sl-web-second-hn4" };
    const { build, refused } = renderIpset(target(OFFICE, second), WANT, snapshot(other));
    expect(refused?.map(({ message }) => message)).toEqual([
      `set ${NAME} stands as hash:ip of IPv4, wanted is hash:net of IPv4, and 2 rules or sets use it`,
    ]);
    expect(build[0]?.text).toMatch(/^create sl-web-second-hn4/);
    expect(build[0]?.text).not.toContain(NAME);
  });

  test("leaves a list's members alone, unless some are lost", () => {
    const want = snapshot(stands(BLOCKLIST, { count: 0 }));
    expect(built(target(BLOCKLIST), want, snapshot(stands(BLOCKLIST, { count: 5 })))).toEqual([]);
    expect(
      built(
        target({ ...BLOCKLIST, live: testMembers([]).live }),
        want,
        snapshot(stands(BLOCKLIST, { count: 0 })),
      ),
    ).toEqual([]);
    expect(built(target(BLOCKLIST), want, snapshot(stands(BLOCKLIST, { count: 0 }))).sort()).toEqual([
      "add -exist sl-l-blocklist-4 192.0.2.1",
      "add -exist sl-l-blocklist-4 192.0.2.2 timeout 60",
    ]);
  });

  test("of a list that grows beyond three quarters of its set makes it anew with room, and swaps it in", () => {
    const full = stands(BLOCKLIST, { count: 0, options: ["maxelem", "2", "timeout", "0"] });
    const want = snapshot({ ...full });
    const temporary = temporarySet(BLOCKLIST.name);
    expect(built(target(BLOCKLIST), want, snapshot(full))).toEqual([
      `create ${temporary} hash:net family inet timeout 0`,
      expect.stringContaining(`add -exist ${temporary} 192.0.2.`),
      expect.stringContaining(`add -exist ${temporary} 192.0.2.`),
      `swap ${temporary} ${BLOCKLIST.name}`,
      `destroy ${temporary}`,
    ]);
  });

  test("makes sets of sets after the sets they hold, and destroys them before", () => {
    const group: TargetSet = {
      ...OFFICE,
      name: "sl-a-group",
      type: "list:set",
      family: null,
      entries: [NAME],
    };
    expect(built(target(group, OFFICE), undefined, snapshot()).at(-1)).toBe(`add -exist sl-a-group ${NAME}`);
    const { remove } = renderIpset(target(), snapshot(), snapshot(stands(OFFICE), stands(group)));
    expect(remove.map((script) => script.text)).toEqual([`destroy sl-a-group\ndestroy ${NAME}\n`]);
  });

  test("of a list that isn't there yet fills it where it stands", () => {
    const { live } = BLOCKLIST;
    if (live === undefined) throw new Error("no members");
    expect(linesOf(renderReplace(BLOCKLIST, live, snapshot())).join("\n")).not.toContain("swap");
  });
});

describe("a list whose members were read", () => {
  const want = snapshot(stands(BLOCKLIST, { count: 0 }));

  /** the kernel prints `members` while the list is looked at */
  function looked(...members: string[]) {
    const { live, entries } = testMembers(["192.0.2.1", "192.0.2.2 for 60"]);
    void live.look.begin();
    const text = `Name: x\nMembers:\n${members.map((line) => `${line}\n`).join("")}`;
    for (let at = 0; at < text.length; at += 7) live.look.heard(Buffer.from(text.slice(at, at + 7)));
    const wanted = target({ ...BLOCKLIST, live, isReadWhole: true });
    const have = snapshot(stands(BLOCKLIST, { count: members.length, isReadWhole: true }));
    return { entries, wanted, have };
  }

  test.each<[string, string[], string[]]>([
    [
      "is right as it is, however long the rest of a life",
      ["192.0.2.1 timeout 0", "192.0.2.2 timeout 3"],
      [],
    ],
    ["lost one that runs out", ["192.0.2.1 timeout 0"], ["add -exist sl-l-blocklist-4 192.0.2.2 timeout 60"]],
    [
      "has one in another's place",
      ["10.0.0.1 timeout 0", "192.0.2.2 timeout 3"],
      ["del -exist sl-l-blocklist-4 10.0.0.1", "add -exist sl-l-blocklist-4 192.0.2.1"],
    ],
    [
      "has one more that runs out",
      ["192.0.2.1 timeout 0", "192.0.2.2 timeout 3", "10.0.0.1 timeout 900"],
      ["del -exist sl-l-blocklist-4 10.0.0.1"],
    ],
    [
      "has lifetimes where they don't belong",
      ["192.0.2.2 timeout 0", "192.0.2.1 timeout 3"],
      ["add -exist sl-l-blocklist-4 192.0.2.1", "add -exist sl-l-blocklist-4 192.0.2.2 timeout 60"],
    ],
  ])("%s", (_, members, lines) => {
    const { wanted, have } = looked(...members);
    expect(built(wanted, want, have).toSorted()).toEqual(lines.toSorted());
    expect(diffIpset(wanted, want, have)).toHaveLength(lines.length > 0 ? 1 : 0);
  });

  test("names what is in it and what isn't", () => {
    const { wanted, have } = looked("10.0.0.1 timeout 0", "192.0.2.2 timeout 3");
    expect(diffIpset(wanted, want, have)).toEqual([
      {
        driver: "ipset",
        object: "set/sl-l-blocklist-4",
        kind: "changed",
        want: ["192.0.2.1"],
        have: ["10.0.0.1"],
      },
    ]);
  });

  test("is right either way in what came or went while it was read", () => {
    const { wanted, have, entries } = looked("10.0.0.1 timeout 0", "192.0.2.2 timeout 3");
    entries.set("10.0.0.1"); // heard of after it was read
    entries.delete("192.0.2.1");
    entries.set("192.0.2.9"); // not in the kernel yet
    expect(built(wanted, want, have)).toEqual([]);
    expect(diffIpset(wanted, want, have)).toEqual([]);
  });

  test("isn't given back what it lost after it was found missing", () => {
    const { wanted, have, entries } = looked("192.0.2.2 timeout 3");
    const { build } = renderIpset(wanted, want, have);
    entries.delete("192.0.2.1");
    expect(build.flatMap(linesOf)).toEqual([]);
  });

  test("is filled anew where that is less", () => {
    const { wanted, have } = looked(...Array.from({ length: 10 }, (_, n) => `10.0.0.${n} timeout 0`));
    expect(built(wanted, want, have)).toContain(`swap ${temporarySet(BLOCKLIST.name)} ${BLOCKLIST.name}`);
  });
});

describe("a difference", () => {
  test("names what is missing, changed and extra", () => {
    const have = snapshot(
      stands(OFFICE, {
        members: { lasting: ["192.0.2.0/24", "198.51.100.7", "10.0.0.0/8"], expiring: ["1.1.1.1 timeout 3"] },
      }),
      stands({ ...OFFICE, name: "sl-old" }),
    );
    const wanted = target(OFFICE, BLOCKLIST);
    const want = snapshot(stands(OFFICE), stands(BLOCKLIST, { count: 0 }));
    expect(diffIpset(wanted, want, have)).toEqual([
      {
        driver: "ipset",
        object: `set/${NAME}`,
        kind: "changed",
        want: ["203.0.113.0/24"],
        have: ["10.0.0.0/8"],
        origin: ORIGIN,
      },
      {
        driver: "ipset",
        object: "set/sl-l-blocklist-4",
        kind: "missing",
        want: ["hash:net family inet maxelem 65536 timeout 0", "2 entries"],
      },
      {
        driver: "ipset",
        object: "set/sl-old",
        kind: "extra",
        have: ["hash:net family inet maxelem 65536", "3 entries"],
      },
    ]);
  });

  test("of a list tells that members are lost, not which run out", () => {
    const want = snapshot(stands(BLOCKLIST, { count: 0 }));
    expect(diffIpset(target(BLOCKLIST), want, snapshot(stands(BLOCKLIST, { count: 1 })))).toEqual([]);
    expect(diffIpset(target(BLOCKLIST), want, snapshot(stands(BLOCKLIST, { count: 0 })))).toEqual([
      {
        driver: "ipset",
        object: "set/sl-l-blocklist-4",
        kind: "changed",
        want: ["1 entry"],
        have: ["0 entries"],
      },
    ]);
  });
});
