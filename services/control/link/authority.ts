import { type Account, Algorithms, encodeAccount, encodeOperator, encodeUser, fmtCreds } from "@nats-io/jwt";
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from "@nats-io/nkeys";
import {
  AGENTS_ASK,
  AGENTS_HEAR,
  agentPermissions,
  READER_ASKS,
  readerPermissions,
} from "@sluice/proto/wire/permissions";
import { z } from "zod";

const account = z.strictObject({ seed: z.string(), jwt: z.string(), key: z.string() });

/**
 * The authority over NATS logins (operator mode): one operator, an account for the streams, one for agents, one for the
 * feed's readers, one for the server's own system use. Control signs a user JWT per agent and per reader; nats-server
 * needs only the public half and never changes for a new one. Seeds are secrets: they live in control's state folder
 * (mode 0600) and nowhere else.
 *
 * Only control logs in where the streams are, because a broker answers to whatever subject it is asked to answer to: there,
 * an answer to an agent or a reader could be put into a stream, or be a command to the broker itself. Agents and readers
 * have accounts without JetStream, into which what they may ask and hear is imported; an answer stays in there.
 */
export const authority = z.strictObject({
  operatorSeed: z.string(),
  operatorJwt: z.string(),
  systemJwt: z.string(),
  systemKey: z.string(),
  streams: account,
  agents: account,
  readers: account,
  /** one key, and a login with it in either account */
  control: z.strictObject({ seed: z.string(), streamsJwt: z.string(), agentsJwt: z.string() }),
});
export type Authority = z.infer<typeof authority>;

const UNLIMITED = -1;
const ENCODING = { algorithm: Algorithms.v2 };
const CONNECTIONS = {
  subs: UNLIMITED,
  data: UNLIMITED,
  payload: UNLIMITED,
  conn: UNLIMITED,
  leaf: UNLIMITED,
  imports: UNLIMITED,
  exports: UNLIMITED,
  wildcards: true,
};
const JETSTREAM = {
  mem_storage: UNLIMITED,
  disk_storage: UNLIMITED,
  streams: UNLIMITED,
  consumer: UNLIMITED,
};

/** Imported for no login: else the broker answers for an account itself that it has no JetStream. */
const API_INFO = "$JS.API.INFO";

export async function createAuthority(): Promise<Authority> {
  const operator = createOperator();
  const system = createAccount();
  const streams = createAccount();
  const agents = createAccount();
  const readers = createAccount();
  const control = createUser();
  const systemKey = system.getPublicKey();
  const encode = (name: string, key: KeyPair, content: Partial<Account>) =>
    encodeAccount(name, key, content, { ...ENCODING, signer: operator });
  const keep = async (name: string, key: KeyPair, content: Partial<Account>) => ({
    seed: seedOf(key),
    jwt: await encode(name, key, content),
    key: key.getPublicKey(),
  });
  const ofStreams = <T>(one: T) => ({ ...one, account: streams.getPublicKey() });
  const byAgents = AGENTS_ASK.map(service);
  const heard = AGENTS_HEAR.map(stream);
  const byReaders = [...READER_ASKS, API_INFO].map(service);
  return {
    operatorSeed: seedOf(operator),
    operatorJwt: await encodeOperator("sluice", operator, { system_account: systemKey }, ENCODING),
    systemJwt: await encode("SYS", system, {}),
    systemKey,
    streams: await keep("streams", streams, {
      limits: { ...CONNECTIONS, ...JETSTREAM },
      exports: [
        ...byReaders.map((one) => ({ ...one, response_type: "Stream" as const })),
        ...byAgents,
        ...heard,
      ],
    }),
    agents: await keep("agents", agents, {
      limits: CONNECTIONS,
      imports: [...byAgents, service(API_INFO), ...heard].map(ofStreams),
    }),
    readers: await keep("readers", readers, { limits: CONNECTIONS, imports: byReaders.map(ofStreams) }),
    control: {
      seed: seedOf(control),
      streamsJwt: await encodeUser("control", control, streams, {}, ENCODING),
      agentsJwt: await encodeUser("control", control, agents, {}, ENCODING),
    },
  };
}

function service(subject: string) {
  return { name: subject, subject, type: "service" as const };
}

function stream(subject: string) {
  return { name: subject, subject, type: "stream" as const };
}

/** The lines that make a nats-server trust this authority; the listen address and the store are the caller's. */
export function natsServerConfig(of: Authority): string {
  return [
    `operator: ${of.operatorJwt}`,
    `system_account: ${of.systemKey}`,
    "resolver: MEMORY",
    "resolver_preload: {",
    ...[of.streams, of.agents, of.readers].map(({ key, jwt }) => `  ${key}: ${jwt}`),
    `  ${of.systemKey}: ${of.systemJwt}`,
    "}",
    "",
  ].join("\n");
}

/** A login for one agent's own nkey, good for nothing but its own subjects. */
export async function agentJwt(of: Authority, server: string, natsKey: string): Promise<string> {
  const { publish, subscribe } = agentPermissions(server);
  return await encodeUser(
    server,
    natsKey,
    fromSeed(new TextEncoder().encode(of.agents.seed)),
    { pub: { allow: publish }, sub: { allow: subscribe }, resp: { max: 1, ttl: 0 } },
    ENCODING,
  );
}

/** A credentials file that is good for reading one consumer of the feed, and nothing else. It is kept nowhere. */
export async function readerCredentials({ readers }: Authority, consumer: string): Promise<string> {
  const { publish, subscribe } = readerPermissions(consumer);
  const user = createUser();
  const jwt = await encodeUser(
    consumer,
    user,
    fromSeed(new TextEncoder().encode(readers.seed)),
    { pub: { allow: publish }, sub: { allow: subscribe } },
    ENCODING,
  );
  return new TextDecoder().decode(fmtCreds(jwt, user));
}

function seedOf(pair: KeyPair): string {
  return new TextDecoder().decode(pair.getSeed());
}
