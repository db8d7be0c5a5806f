import { existsSync } from "node:fs";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { startNats } from "@sluice/infra/fixtures/nats";
import { createFabric } from "@sluice/infra/net/fabric";
import { startStation } from "@sluice/infra/packets/station";
import { describe, expect, test, vi } from "vitest";

describe("a NATS of one's own", () => {
  test("stores a message that is there after a restart and after a crash, at the same address", async () => {
    await using server = await startNats({ own: true });
    const first = await connect({ servers: server.url });
    const manager = await jetstreamManager(first);
    await manager.streams.add({ name: "KEPT", subjects: ["kept"] });
    await jetstream(first).publish("kept", "one");
    await first.close();
    for (const crash of [false, true]) {
      await server.restart({ crash });
      const again = await connect({ servers: server.url });
      const { state } = await (await jetstreamManager(again)).streams.info("KEPT");
      expect(state.messages).toBe(1);
      await again.close();
    }
  });

  test("follows the configuration it was given, and says which line is wrong", async () => {
    const config = 'authorization { user: "ann", password: "secret" }';
    await using server = await startNats({ own: true, config });
    await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow(/authorization/i);
    const connection = await connect({ servers: server.url, user: "ann", pass: "secret" });
    await connection.close();
    await expect(startNats({ own: true, config: "no_such_option: 1" })).rejects.toThrow("no_such_option");
  });

  test("is refused between down and up, and gone after stop", async () => {
    const server = await startNats({ own: true });
    await server.down();
    await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow();
    await server.up();
    await (await connect({ servers: server.url })).close();
    await server.stop();
    await expect(connect({ servers: server.url, reconnect: false })).rejects.toThrow();
  });

  test("runs in a namespace, where its neighbours reach it and the default namespace does not", async () => {
    await using fabric = await createFabric({ servers: 1, others: ["control"] });
    const control = fabric.host("control");
    await using server = await startNats({ own: true, namespace: control.namespace, host: "::", port: 4222 });
    await using station = await startStation(fabric.host("server-1").namespace);
    for (const to of [control.ipv4, control.ipv6]) {
      expect(await station.connect({ to, port: server.port })).toMatchObject({ outcome: "accepted" });
    }
    expect(existsSync(`/run/netns/${control.namespace}`)).toBe(true);
  });
});

test("a given NATS is used as it is and refuses to be stopped", async () => {
  await using lender = await startNats({ own: true });
  vi.stubEnv("NATS_URL", lender.url.replace("nats://", ""));
  try {
    await using given = await startNats();
    expect(given).toMatchObject({ kind: "given", port: lender.port });
    await expect(given.down()).rejects.toThrow("NATS_URL is not ours to stop");
    await (await connect({ servers: given.url })).close();
  } finally {
    vi.unstubAllEnvs();
  }
});
