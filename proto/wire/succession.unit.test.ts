import { expect, test } from "vitest";
import { createSigningKey, type SigningKey, signMessage } from "../base/sign.ts";
import { isHeld, type SignedSuccession, signersOf, tooLate } from "./succession.ts";

const [first, second, third, stranger] = [
  createSigningKey(),
  createSigningKey(),
  createSigningKey(),
  createSigningKey(),
];

function followed(
  from: SigningKey,
  to: SigningKey,
  upTo: number,
  by: readonly SigningKey[] = [from, to],
): SignedSuccession {
  const said = { upTo, from: from.publicKey, to: to.publicKey };
  return {
    ...said,
    sigs: by.map((key) => signMessage(key, "succession", said)).map(({ kid, sig }) => ({ kid, sig })),
  };
}

const pin = ({ kid, publicKey }: SigningKey) => ({ [kid]: publicKey });
const kidsOf = (pinned: SigningKey, said: readonly SignedSuccession[]) =>
  Object.keys(signersOf(pin(pinned), said).keys).sort();
const kids = (...keys: SigningKey[]) => keys.map(({ kid }) => kid).sort();
const both = [followed(first, second, 10), followed(second, third, 20)];

test("who pins the newest key, or the first one, trusts all of them, each for its part of the log", () => {
  for (const pinned of [first, third]) {
    const signers = signersOf(pin(pinned), both);
    expect(Object.keys(signers.keys).sort()).toEqual(kids(first, second, third));
    expect(tooLate(signers, first.kid, { seq: 10 })).toBeUndefined();
    expect(tooLate(signers, first.kid, { seq: 11 })).toContain("up to event 10");
    expect(tooLate(signers, second.kid, { seq: 21 })).toContain("up to event 20");
    expect(tooLate(signers, third.kid, { seq: 10_000 })).toBeUndefined();
  }
});

test("without the old key's word only who pins the new one trusts both", () => {
  const said = [followed(first, second, 10, [second])];
  expect(kidsOf(second, said)).toEqual(kids(first, second));
  expect(kidsOf(first, said)).toEqual(kids(first));
});

test("a key of before, stolen later, names no successor, and nobody becomes a key of before by the own word", () => {
  const stolen = followed(first, stranger, 5_000);
  for (const pinned of [first, third])
    expect(kidsOf(pinned, [...both, stolen])).toEqual(kids(first, second, third));
  expect(kidsOf(third, [stolen, ...both])).toEqual(kids(first, second, third));
  const madeUp = followed(stranger, third, 9, [stranger]);
  expect(kidsOf(third, [madeUp, ...both])).toEqual(kids(first, second, third));
  expect(isHeld(signersOf(pin(third), both), madeUp)).toBe(false);
});

test("a succession whose words were changed counts for nothing", () => {
  const [one] = both;
  if (one === undefined) throw new Error("it is there");
  expect(kidsOf(second, [{ ...one, upTo: 11 }])).toEqual(kids(second));
});
