import { hash } from "node:crypto";

/** Chance that falls the same way for the same seed. */
export interface Dice {
  /** from 0 on, below `most` */
  number(most: number): number;
  /** true once in `times` */
  once(times: number): boolean;
  pick<T>(of: readonly T[]): T;
  address(): string;
  uuid(): string;
}

export function createDice(seed: number): Dice {
  let state = seed >>> 0;
  /** mulberry32 */
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
  const number = (most: number) => Math.floor((next() / 4_294_967_296) * most);
  const hex = () => next().toString(16).padStart(8, "0");
  return {
    number,
    once: (times) => number(times) === 0,
    pick(of) {
      const one = of[number(of.length)];
      if (one === undefined) throw new Error("there is nothing to pick from");
      return one;
    },
    address: () => `${20 + number(180)}.${number(256)}.${number(256)}.${1 + number(254)}`,
    uuid() {
      const text = hex() + hex() + hex() + hex();
      return `${text.slice(0, 8)}-${text.slice(8, 12)}-4${text.slice(13, 16)}-a${text.slice(17, 20)}-${text.slice(20)}`;
    },
  };
}

export function digest(text: string): string {
  return hash("sha256", text);
}
