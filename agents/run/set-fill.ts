import { optionValue } from "../drivers/ipset/options.ts";
import { parseList } from "../drivers/ipset/parse.ts";

export interface SetFill {
  entries: number;
  /** undefined: this type knows no bound */
  room: number | undefined;
}

/** How many members each set has, and has room for, by the headers of all sets. */
export function fillsOf(headers: string): Map<string, SetFill> {
  return new Map(
    parseList(headers).map(({ name, count, options }) => {
      const room = optionValue(options, "maxelem");
      return [name, { entries: count, room: room === undefined ? undefined : Number(room) }];
    }),
  );
}
