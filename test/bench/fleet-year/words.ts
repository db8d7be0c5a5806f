import type { Dice } from "./dice.ts";

export const PEOPLE = [
  ...["alice", "bruno", "chiara", "dmitri", "elif", "farid"],
  ...["greta", "hugo", "ines", "jonas", "kira", "liam"],
];

const PARTS = [
  ...[
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "flint",
    "grove",
    "haven",
    "iris",
    "jade",
    "kelp",
    "larch",
  ],
  ...[
    "maple",
    "north",
    "ocean",
    "pearl",
    "quartz",
    "raven",
    "slate",
    "thorn",
    "umber",
    "vale",
    "willow",
    "yarrow",
  ],
];

/** Some 600 partners, of whom the first are named far more often than the last. */
export function partner(dice: Dice): string {
  const first = dice.number(PARTS.length);
  const second = dice.number(1 + first);
  return `${PARTS[first]}${PARTS[second]}`;
}

/** Why somebody changed something, with the number of a ticket. */
export function reasonFor(what: string, ticket: number, dice: Dice): string {
  return `CHG-${ticket}: ${what} for ${partner(dice)} ${dice.pick(["gateway", "portal", "office", "backup site"])}`;
}
