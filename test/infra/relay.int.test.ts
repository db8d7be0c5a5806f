import { connect } from "node:net";
import { join } from "node:path";
import { createFabric } from "@sluice/infra/net/fabric";
import { startRelayIn } from "@sluice/infra/net/namespace-relay";
import { relayTcpToUnix } from "@sluice/infra/net/relay";
import { startStation } from "@sluice/infra/packets/station";
import { makePrivateDirectory } from "@sluice/infra/process/private-directory";
import { expect, test } from "vitest";

/** What comes back for a text, "" where the connection is closed or reset without an answer. */
function say(port: number, text: string): Promise<string> {
  const socket = connect({ host: "127.0.0.1", port });
  let answer = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    answer += chunk;
  });
  socket.on("error", () => {});
  socket.end(text);
  return new Promise((resolve) => socket.on("close", () => resolve(answer)));
}

test("a port of the default namespace leads to a service that only a namespace reaches", async () => {
  await using directory = makePrivateDirectory("relay-test");
  await using fabric = await createFabric({ servers: 0, others: ["control"] });
  const { namespace } = fabric.host("control");
  await using station = await startStation(namespace);
  await using echo = await station.listen(0, { kind: "echo" }, "127.0.0.1");
  const socketPath = join(directory.path, "relay.sock");
  await using inside = await startRelayIn(namespace, {
    direction: "to-tcp",
    socketPath,
    host: "127.0.0.1",
    port: echo.port,
  });
  await using outside = await relayTcpToUnix({ listenPort: 0, socketPath });

  // More than a pipe holds, ended by the sender: the answer still comes whole.
  const text = "sluice".repeat(200_000);
  expect(await say(outside.port, text)).toBe(text);
  expect((await echo.heard()).from).toEqual(["127.0.0.1"]);

  await inside.stop();
  expect(await say(outside.port, "anybody?")).toBe("");
});
