import { expect, test } from "vitest";
import { parseRefusal } from "./refusal.ts";
import { splitArgs } from "./split-args.ts";

const TEXT = `*filter
:SL-a - [0:0]
-A SL-a -s 192.0.2.1 -j DROP
-A SL-a -j SL-none
COMMIT
`;

test("the tool's own refusal: its words and its line, counted from the text's first", () => {
  const said = [
    "iptables-restore v1.8.9 (legacy): host/network `300.1.1.1' not found",
    "Error occurred at line: 13",
    "Try `iptables-restore -h' or 'iptables-restore --help' for more information.",
  ];
  expect(parseRefusal(TEXT, said, 10)).toEqual({
    line: 2,
    reason: "host/network `300.1.1.1' not found",
    locked: false,
  });
});

test("the kernel's refusal through nft: its words and its first line", () => {
  const said = [
    "iptables-nft-restore v1.8.9 (nf_tables): ",
    "line 3: RULE_APPEND failed (Invalid argument): rule in chain SL-a",
    "line 4: RULE_APPEND failed (Invalid argument): rule in chain SL-a",
  ];
  expect(parseRefusal(TEXT, said, 0)).toMatchObject({
    line: 2,
    reason:
      "RULE_APPEND failed (Invalid argument): rule in chain SL-a; RULE_APPEND failed (Invalid argument): rule in chain SL-a",
  });
});

test("the kernel's refusal through nft in one line, as other versions print it", () => {
  const said = [
    "iptables-restore v1.8.9 (nf_tables): line 4: RULE_APPEND failed (Invalid argument): rule in chain SL-a",
  ];
  expect(parseRefusal(TEXT, said, 0)).toMatchObject({
    line: 3,
    reason: "RULE_APPEND failed (Invalid argument): rule in chain SL-a",
  });
});

test("the kernel's refusal through legacy names the commit and no reason", () => {
  expect(parseRefusal(TEXT, ["iptables-restore: line 5 failed"], 0)).toEqual({
    line: 4,
    reason: "the kernel refused the commit",
    locked: false,
  });
});

test("a missing chain, which nft finds at the commit, is put to the rule that jumps there", () => {
  const said = [
    "iptables-nft-restore v1.8.9 (nf_tables): Chain 'SL-none' does not exist",
    "Error occurred at line: 5",
  ];
  expect(parseRefusal(TEXT, said, 0)).toMatchObject({ line: 3, reason: "Chain 'SL-none' does not exist" });
});

test("a held lock is told apart from a refusal", () => {
  const said = ["Another app is currently holding the xtables lock. Perhaps you want to use the -w option?"];
  expect(parseRefusal(TEXT, said, 0)).toMatchObject({ locked: true, line: undefined });
});

test("having waited for the lock is no failure to get it", () => {
  const said = [
    "Another app is currently holding the xtables lock; still 4s 0us time ahead to have a chance to grab the lock...",
    "iptables-restore v1.8.2 (legacy): host/network `300.1.1.1' not found",
    "Error occurred at line: 3",
  ];
  expect(parseRefusal(TEXT, said, 0)).toEqual({
    line: 2,
    reason: "host/network `300.1.1.1' not found",
    locked: false,
  });
});

test("a rule is split into words as iptables-restore does", () => {
  expect(splitArgs(`-A SL-a  -m comment --comment "a \\"b\\" c" --x '' -j LOG --log-prefix 'in: '`)).toEqual([
    "-A",
    "SL-a",
    "-m",
    "comment",
    "--comment",
    'a "b" c',
    "--x",
    "",
    "-j",
    "LOG",
    "--log-prefix",
    "in: ",
  ]);
});
