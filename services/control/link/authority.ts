import { type Account, Algorithms, encodeAccount, encodeOperator, encodeUser, fmtCreds } from "@nats-io/jwt";
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from "@nats-io/nkeys";
import { SluiceError } from "@sluice/proto/base/errors";
import { agentPermissions, READER_ASKS, readerPermissions } from "@sluice/proto/wire/permissions";
import { z } from "zod";

/**
 * The authority over NATS logins (operator mode): one operator, one account for Sluice, one for the feed's readers, one
 * for the server's own system use. Control signs a user JWT per agent and per reader; nats-server needs only the public
 * half and never changes for a new one. Seeds are secrets: they live in control's state folder (mode 0600) and nowhere
 * else.
 *
 * Readers have an account of their own because a broker answers to whatever subject it is asked to answer to: in
 * Sluice's account a reader could have its events delivered into the EVENTS stream, or into what an agent listens to.
 */
export const authority = z.strictObject({
  operatorSeed: z.string(),
  accountSeed: z.string(),
  controlSeed: z.string(),
  operatorJwt: z.string(),
  accountJwt: z.string(),
  accountKey: z.string(),
  /** absent where it was made before the feed had readers */
  readers: z.strictObject({ seed: z.string(), jwt: z.string(), key: z.string() }).optional(),
  systemJwt: z.string(),
  systemKey: z.string(),
  controlJwt: z.string(),
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

export async function createAuthority(): Promise<Authority> {
  const operator = createOperator();
  const system = createAccount();
  const account = createAccount();
  const readers = createAccount();
  const control = createUser();
  const systemKey = system.getPublicKey();
  const accountKey = account.getPublicKey();
  const encode = (name: string, key: KeyPair, content: Partial<Account>) =>
    encodeAccount(name, key, content, { ...ENCODING, signer: operator });
  const asked = [...READER_ASKS, "$JS.API.INFO"].map((subject) => ({
    name: subject,
    subject,
    type: "service" as const,
  }));
  return {
    operatorSeed: seedOf(operator),
    accountSeed: seedOf(account),
    controlSeed: seedOf(control),
    operatorJwt: await encodeOperator("sluice", operator, { system_account: systemKey }, ENCODING),
    accountJwt: await encode("sluice", account, {
      limits: { ...CONNECTIONS, ...JETSTREAM },
      exports: asked.map((one) => ({ ...one, response_type: "Stream" as const })),
    }),
    accountKey,
    readers: {
      seed: seedOf(readers),
      jwt: await encode("readers", readers, {
        limits: CONNECTIONS,
        imports: asked.map((one) => ({ ...one, account: accountKey })),
      }),
      key: readers.getPublicKey(),
    },
    systemJwt: await encode("SYS", system, {}),
    systemKey,
    controlJwt: await encodeUser("control", control, account, {}, ENCODING),
  };
}

/** The lines that make a nats-server trust this authority; the listen address and the store are the caller's. */
export function natsServerConfig(of: Authority): string {
  return [
    `operator: ${of.operatorJwt}`,
    `system_account: ${of.systemKey}`,
    "resolver: MEMORY",
    "resolver_preload: {",
    `  ${of.accountKey}: ${of.accountJwt}`,
    ...(of.readers === undefined ? [] : [`  ${of.readers.key}: ${of.readers.jwt}`]),
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
    fromSeed(new TextEncoder().encode(of.accountSeed)),
    { pub: { allow: publish }, sub: { allow: subscribe }, resp: { max: 1, ttl: 0 } },
    ENCODING,
  );
}

/** A credentials file that is good for reading one consumer of the feed, and nothing else. It is kept nowhere. */
export async function readerCredentials({ readers }: Authority, consumer: string): Promise<string> {
  if (readers === undefined) {
    throw new SluiceError("REFUSED", "control's authority over NATS logins has no account for readers", {
      cure: "it was made by an older version: make it anew, and enrol the servers again",
    });
  }
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
