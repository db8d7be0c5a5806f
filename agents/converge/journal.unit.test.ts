import { expect, test } from "vitest";
import { decideRecovery, type Recovery } from "./journal.ts";

const under = { boot: "b1" };
const cases: [string, Parameters<typeof decideRecovery>[0], Recovery][] = [
  ["nothing was under way", { journal: undefined, boot: "b1", confirmed: false, outcome: "pending" }, "none"],
  [
    "a change nobody confirmed is undone",
    { journal: under, boot: "b1", confirmed: false, outcome: "pending" },
    "undo",
  ],
  [
    "control's yes holds, also after a crash",
    { journal: under, boot: "b1", confirmed: true, outcome: "pending" },
    "seal",
  ],
  [
    "control's yes holds, also after a reboot",
    { journal: under, boot: "b2", confirmed: true, outcome: "pending" },
    "seal",
  ],
  [
    "after a reboot there is nothing to undo",
    { journal: under, boot: "b2", confirmed: false, outcome: "pending" },
    "gone",
  ],
  [
    "what the runner has undone is told",
    { journal: under, boot: "b1", confirmed: false, outcome: "reverted" },
    "undone",
  ],
  [
    "what it could undo in part only is told too",
    { journal: under, boot: "b1", confirmed: false, outcome: "partial" },
    "undone",
  ],
  [
    "before anything was prepared nothing was written",
    { journal: under, boot: "b1", confirmed: false, outcome: "none" },
    "undone",
  ],
];

test.each(cases)("%s", (_name, found, recovery) => {
  expect(decideRecovery(found)).toBe(recovery);
});
