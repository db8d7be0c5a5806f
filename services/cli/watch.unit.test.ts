import { SluiceError } from "@sluice/proto/base/errors";
import { expect, test } from "vitest";
import { type Observer, watch } from "./watch.ts";

type View = { state: "running" | "ok" };
const running: View = { state: "running" };
const ok: View = { state: "ok" };

/** A watch whose subscription is told by hand. */
function watched(first: View, { patienceMs = 60_000 } = {}) {
  const told: Observer<View>[] = [];
  const said: string[] = [];
  const seen: View[] = [];
  const stop = new AbortController();
  const open = new Set<Observer<View>>();
  const result = watch<View>({
    first,
    subscribe(observer) {
      told.push(observer);
      open.add(observer);
      return { unsubscribe: () => void open.delete(observer) };
    },
    signal: stop.signal,
    terminal: { err: (line) => void said.push(line) },
    onView: (view) => void seen.push(view),
    isOver: ({ state }) => state === "ok",
    patienceMs,
  });
  const [observer] = told;
  const lose = (error: unknown) => observer?.onConnectionStateChange({ state: "connecting", error });
  return { result, observer, lose, said, seen, stop, open: () => open.size };
}

test("what is over already isn't subscribed to", async () => {
  const { result, observer, seen } = watched(ok);
  expect(await result).toEqual({ view: ok, interrupted: false });
  expect(observer).toBeUndefined();
  expect(seen).toEqual([ok]);
});

test("a lost connection is told once, and so is its return; the last view counts", async () => {
  const { result, observer, lose, said, open } = watched(running);
  lose(new SluiceError("UNAVAILABLE", "gone"));
  lose(new SluiceError("UNAVAILABLE", "still gone"));
  observer?.onData(running);
  observer?.onData(ok);
  expect(await result).toEqual({ view: ok, interrupted: false });
  expect(said).toEqual(["control is away; trying again", "control is back"]);
  expect(open()).toBe(0);
});

test("control away for longer than the patience is a fault; what it refuses ends the watching at once", async () => {
  const away = watched(running, { patienceMs: 5 });
  away.lose(new SluiceError("UNAVAILABLE", "gone"));
  await expect(away.result).rejects.toMatchObject({ code: "UNAVAILABLE" });
  const refused = watched(running);
  refused.lose(new SluiceError("FORBIDDEN", "no longer yours"));
  await expect(refused.result).rejects.toMatchObject({ code: "FORBIDDEN" });
  expect(refused.said).toEqual([]);
  expect([away.open(), refused.open()]).toEqual([0, 0]);
});

test("Ctrl-C gives the view as it was, also when it came before the watching", async () => {
  const { result, stop, open } = watched(running);
  stop.abort();
  expect(await result).toEqual({ view: running, interrupted: true });
  expect(open()).toBe(0);
});
