import { createServer } from "node:http";
import { enrol } from "@sluice/agents/link/enrol";
import { afterEach, expect, test } from "vitest";

const servers: AsyncDisposable[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

/** Answers every request so; returns where it is. */
async function answering(status: number, body: string): Promise<string> {
  const server = createServer((_, response) => response.writeHead(status).end(body)).listen(0, "127.0.0.1");
  servers.push(server);
  await new Promise((resolve) => server.once("listening", resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`;
}

test("a refused token is told in control's words, and what to do about it", async () => {
  const refusal = { code: "REFUSED", message: "the token of web-1 has been used", problems: [] };
  await expect(enrol(await answering(409, JSON.stringify(refusal)), "token")).rejects.toMatchObject({
    code: "REFUSED",
    message: "control refused to enrol this server: the token of web-1 has been used",
    cure: expect.stringContaining("sluice server add"),
  });
});

test("who answers and isn't control is shown with its words", async () => {
  await expect(enrol(await answering(404, "<h1>not here</h1>"), "token")).rejects.toMatchObject({
    code: "REFUSED",
    message: "control refused to enrol this server: HTTP 404: <h1>not here</h1>",
  });
});

test("a control that is broken is no refusal: trying again may work", async () => {
  const fault = { code: "INTERNAL", message: "something broke", problems: [] };
  await expect(enrol(await answering(500, JSON.stringify(fault)), "token")).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
});
