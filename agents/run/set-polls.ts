import type { SetHeaders } from "../drivers/ipset/headers.ts";
import { fillsOf, type SetFill } from "./set-fill.ts";

export interface SetPollsOptions {
  headers: Pick<SetHeaders, "read">;
  /** told what each set holds, whenever that is read */
  saw(fills: ReadonlyMap<string, SetFill>): void;
  nowMs(): number;
}

/** Of changes in sets the kernel tells nobody: they are asked for, as cheaply as it can be done. */
export interface SetPolls {
  /**
   * By the headers of all sets, with their numbers of entries. Those of sets with lifetimes are counted by the kernel each
   * time, so large ones aren't asked for at every poll.
   */
  mayHaveChanged(): Promise<boolean>;
  /** how many entries each set has */
  counts(): Promise<ReadonlyMap<string, number>>;
}

/** a million are counted in some 20 ms: a thousandth of the time at most */
const POLL_MS_PER_MEMBER = 0.02;

export function createSetPolls({ headers, saw, nowMs }: SetPollsOptions): SetPolls {
  let seen: string | undefined;
  let polledAtMs = Number.NEGATIVE_INFINITY;
  /** of all sets together */
  let members = 0;

  return {
    async mayHaveChanged() {
      const now = nowMs();
      if (now - polledAtMs < members * POLL_MS_PER_MEMBER) return false;
      polledAtMs = now;
      const before = seen;
      seen = await headers.read();
      return seen === undefined || seen !== before;
    },
    async counts() {
      const fills = fillsOf((await headers.read()) ?? "");
      saw(fills);
      members = [...fills.values()].reduce((sum, { entries }) => sum + entries, 0);
      return new Map([...fills].map(([name, { entries }]) => [name, entries]));
    },
  };
}
