import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { auditFilter } from "@sluice/proto/api/audit";
import { messageOf, SluiceError } from "@sluice/proto/base/errors";
import { enrolRequest } from "@sluice/proto/wire/enrol";
import { type FastifyTRPCPluginOptions, fastifyTRPCPlugin } from "@trpc/server/adapters/fastify";
import { sql } from "drizzle-orm";
import fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { z } from "zod";
import { asHistory, streamLog } from "../audit/log.ts";
import type { Services } from "../context/services.ts";
import { enrolServer } from "../servers/enrol.ts";
import { whoHas } from "../tokens/tokens.ts";
import { asSluiceError, asTrpcError, HTTP_STATUS, viewOf } from "./errors.ts";
import { type AppRouter, appRouter } from "./router.ts";
import type { Call } from "./trpc.ts";

/** A TCP address, or the path of a UNIX socket. Port 0 takes a free one. */
export type Listen = { host: string; port: number } | { path: string };

export interface Http {
  /** of the first address: `http://host:port`, or `unix:PATH` */
  url: string;
  close(): Promise<void>;
}

export interface Health {
  nats: boolean;
}

const HEALTH_MS = 2_000;
/** Longer than callers keep a connection that they don't use: who is closed on in mid-call can't know what became of it. */
const KEEP_ALIVE_MS = 72_000;
const MOST_BYTES = 32 * 1024 * 1024;

/** The API on all these addresses at once. */
export async function serveHttp(
  services: Services,
  listens: readonly Listen[],
  health: () => Health,
): Promise<Http> {
  const app = await createApp(services, health);
  const servers: Server[] = [];
  const urls: string[] = [];
  for (const listen of listens) {
    const server = createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, app.routing);
    urls.push(await listenOn(server, listen));
    servers.push(server);
  }
  return {
    url: urls[0] ?? "",
    async close() {
      await Promise.all(servers.map(closeServer));
      await app.close();
    },
  };
}

async function createApp(services: Services, health: () => Health): Promise<FastifyInstance> {
  const app = fastify({ bodyLimit: MOST_BYTES, routerOptions: { maxParamLength: 5_000 } });
  const trpc: FastifyTRPCPluginOptions<AppRouter> = {
    prefix: "/trpc",
    trpcOptions: {
      router: appRouter,
      createContext: ({ req, info }) =>
        callOf(services, req, info.connectionParams?.token ?? undefined).catch((error) => {
          throw asTrpcError(error);
        }),
      onError({ path, error }) {
        if (error.code !== "INTERNAL_SERVER_ERROR") return;
        const cause = error.cause?.cause ?? error.cause ?? error;
        services.log.error(
          { path, error: cause instanceof Error ? cause.stack : String(cause) },
          "a call failed",
        );
      },
    },
  };
  await app.register(fastifyTRPCPlugin, trpc);
  app.get("/healthz", async (_request, reply) => {
    const postgres = await postgresAnswers(services);
    return reply
      .code(postgres ? 200 : 503)
      .send({ ok: postgres, epoch: services.epoch, postgres, ...health() });
  });
  app.post("/enrol", async (request) => enrolServer(services, enrolRequest.parse(request.body)));
  app.get("/audit/log.ndjson", async (request, reply) => {
    const { role } = await callOf(services, request, undefined);
    if (role === undefined)
      throw new SluiceError("UNAUTHENTICATED", "a token is needed: Authorization: Bearer TOKEN");
    const filter = auditFilter.parse(filterOf(request.query));
    asHistory(filter); // what is wrong with it is said before the first line
    return reply.type("application/x-ndjson").send(Readable.from(linesOf(streamLog(services, filter))));
  });
  app.setErrorHandler((thrown, request, reply) => {
    const error = asSluiceError(thrown);
    if (error.code === "INTERNAL") {
      services.log.error({ path: request.url, error: messageOf(thrown) }, "a call failed");
    }
    return reply.code(HTTP_STATUS[error.code]).send(viewOf(error));
  });
  await app.ready();
  return app;
}

/** Of a query string: `type` may stand there more than once. */
function filterOf(query: unknown): Record<string, unknown> {
  const { type, ...rest } = z.record(z.string(), z.unknown()).parse(query);
  return type === undefined ? rest : { ...rest, types: [type].flat() };
}

async function* linesOf(rows: AsyncIterable<object>): AsyncGenerator<string> {
  for await (const row of rows) yield `${JSON.stringify(row)}\n`;
}

async function postgresAnswers({ database }: Services): Promise<boolean> {
  const answer = database.db.execute(sql`select 1`).then(
    () => true,
    () => false,
  );
  return await Promise.race([answer, delay(HEALTH_MS, false)]);
}

async function callOf(services: Services, request: FastifyRequest, param: string | undefined): Promise<Call> {
  const token = /^Bearer (\S+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? param;
  const who = token === undefined ? undefined : await whoHas(services, token);
  return { ...services, actor: who?.actor ?? "nobody", role: who?.role, correlation: services.ids.uuid() };
}

async function listenOn(server: Server, listen: Listen): Promise<string> {
  if ("path" in listen) await rm(listen.path, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    if ("path" in listen) server.listen(listen.path, resolve);
    else server.listen(listen.port, listen.host, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === "string") return `unix:${address ?? ""}`;
  const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
  return `http://${host}:${address.port}`;
}

/** Open subscriptions would keep a server from closing for ever. */
async function closeServer(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), 500);
  await closed;
  clearTimeout(timer);
}
