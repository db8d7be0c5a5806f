import { expect, test } from "vitest";
import { failedLine, reasonOf } from "./write.ts";

test("a refusal is the kernel's own sentence, without what tc says of every refusal", () => {
  const stderr =
    "Error: TC classifier not found.\nWe have an error talking to the kernel\nCommand failed -:3\n";
  expect(reasonOf(stderr)).toBe("Error: TC classifier not found.");
  expect(failedLine(stderr)).toBe(2);
});

test("a word that tc doesn't know comes without the page of usage behind it", () => {
  const stderr =
    'What is "wooble"?\nUsage: ... qdisc add ... htb [default N]\n default  minor id\nCommand failed -:1\n';
  expect(reasonOf(stderr)).toBe('What is "wooble"?');
});

test("where tc exits by itself no line is claimed", () => {
  expect(failedLine('Command line is not complete. Try option "help"\n')).toBeUndefined();
});
