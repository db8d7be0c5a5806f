import { expect, test } from "vitest";
import { flowInto, TELL_BYTES, WINDOW_BYTES } from "./flow.ts";

/** A terminal that stops for ever when more than 4 KiB wait in it. */
function terminal() {
  let waiting = 0;
  let most = 0;
  let text = "";
  return {
    write(chunk: Buffer) {
      waiting += chunk.length;
      most = Math.max(most, waiting);
      text += chunk.toString("latin1");
      return true;
    },
    take(bytes: number) {
      const taken = Math.min(bytes, waiting);
      waiting -= taken;
      return taken;
    },
    get most() {
      return most;
    },
    get text() {
      return text;
    },
  };
}

test("a long text and short ones arrive whole and in order, and the terminal's buffer never fills", () => {
  const line = terminal();
  const flow = flowInto(line);
  const texts = ["a".repeat(20_000), "b", "c".repeat(5000), "d"];
  for (const text of texts) flow.send(text);
  for (let taken = line.take(TELL_BYTES); taken > 0; taken = line.take(TELL_BYTES)) flow.taken(taken);
  expect(line.text).toBe(texts.join(""));
  expect(line.most).toBeLessThanOrEqual(WINDOW_BYTES);
});

test("with what the guest hasn't told of yet there is room for more", () => {
  const line = terminal();
  const flow = flowInto(line);
  flow.send("a".repeat(TELL_BYTES - 1)); // taken, and not told
  flow.send("b".repeat(TELL_BYTES));
  expect(line.text).toHaveLength(2 * TELL_BYTES - 1);
});
