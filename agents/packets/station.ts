import { SluiceError } from "@sluice/proto/base/errors";
import { z } from "zod";
import type { Namespace } from "../exec/namespace.ts";
import type { Packet } from "./packet.ts";
import { stationScript } from "./station-script.ts";

const answer = z.discriminatedUnion("ok", [
  z.object({ ok: z.literal(true) }),
  z.object({ ok: z.literal(false), reason: z.string() }),
]);

/** A process at one end of a path: see station.mjs. It goes with its namespace. */
export interface Station {
  /** takes what comes to the packet's goal */
  listen(packet: Packet): Promise<void>;
  send(packet: Packet): Promise<void>;
  open(packet: Packet): Promise<void>;
  again(): Promise<void>;
}

export function startStation(at: Namespace): Station {
  const child = at.spawn(process.execPath, ["--input-type=module", "-e", stationScript()]);
  const waiting: ((line: string | undefined) => void)[] = [];
  const complaints: string[] = [];
  child.onLine((stream, line) => {
    if (stream === "stdout") waiting.shift()?.(line);
    else complaints.push(line);
  });
  void child.exited.then(() => {
    for (const give of waiting.splice(0)) give(undefined);
  });

  async function ask(action: string, request: object = {}): Promise<void> {
    child.write(`${JSON.stringify({ action, ...request })}\n`);
    const line = await new Promise<string | undefined>((resolve) => void waiting.push(resolve));
    const said = line === undefined ? undefined : answer.parse(JSON.parse(line));
    if (said?.ok) return;
    throw new SluiceError("UNAVAILABLE", said?.reason ?? `Node ended: ${complaints.slice(-3).join("; ")}`);
  }

  return {
    listen: ({ protocol, family, to, port }) => ask("listen", { protocol, family, address: to, port }),
    send: (packet) => ask("send", packet),
    open: (packet) => ask("open", packet),
    again: () => ask("again"),
  };
}
