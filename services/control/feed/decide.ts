import { SluiceError } from "@sluice/proto/base/errors";
import { isEventType, type SluiceEvent } from "@sluice/proto/events/event";
import type { Entity } from "../context/entity.ts";

export interface ReaderState {
  /** the one it reads by; absent where there is no such reader */
  consumer: string | undefined;
}

export const readerEntity: Entity<ReaderState> = {
  initial: { consumer: undefined },
  evolve(state, event) {
    if (event.type === "FeedReaderAdded") return { consumer: event.data.consumer };
    if (event.type === "FeedReaderRemoved") return { consumer: undefined };
    return state;
  },
};

/** `consumer` is a name that was never used: a login of before opens nothing under it. */
export function decideAddReader(
  state: ReaderState,
  command: {
    reader: string;
    consumer: string;
    from: number | "new";
    only?: string | undefined;
    head: number;
  },
): SluiceEvent[] {
  const { reader, consumer, only, head } = command;
  if (state.consumer !== undefined) {
    throw new SluiceError("REFUSED", `there is a reader ${reader} already`, {
      cure: `for a new login: sluice feed rm ${reader}, then add it again from where it is`,
    });
  }
  if (only !== undefined && !isEventType(only)) {
    throw new SluiceError("REFUSED", `there is no event type ${only}`, {
      cure: "docs/feed.md says where the types stand",
    });
  }
  const from = command.from === "new" ? head + 1 : command.from;
  if (from > head + 1) {
    throw new SluiceError("REFUSED", `the log ends at event ${head}: it can't be read from ${from}`, {
      cure: "begin at 1, or with what is new",
    });
  }
  return [{ type: "FeedReaderAdded", data: { reader, consumer, from, ...(only !== undefined && { only }) } }];
}

export function decideRemoveReader({ consumer }: ReaderState, reader: string): SluiceEvent[] {
  if (consumer === undefined) throw new SluiceError("NOT_FOUND", `there is no reader ${reader}`);
  return [{ type: "FeedReaderRemoved", data: { reader, consumer } }];
}
