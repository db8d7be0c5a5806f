import { Algorithms, encodeAccount, encodeOperator, encodeUser } from "@nats-io/jwt";
import { createAccount, createOperator, createUser, fromSeed, type KeyPair } from "@nats-io/nkeys";
import { agentPermissions } from "@sluice/proto/wire/permissions";
import { z } from "zod";

/**
 * The authority over NATS logins (operator mode): one operator, one account for Sluice, one for the server's own
 * system use. Control signs a user JWT per agent; nats-server needs only the public half and never changes for a new
 * agent. Seeds are secrets: they live in control's state folder (mode 0600) and nowhere else.
 */
export const authority = z.strictObject({
  operatorSeed: z.string(),
  accountSeed: z.string(),
  controlSeed: z.string(),
  operatorJwt: z.string(),
  accountJwt: z.string(),
  accountKey: z.string(),
  systemJwt: z.string(),
  systemKey: z.string(),
  controlJwt: z.string(),
});
export type Authority = z.infer<typeof authority>;

const UNLIMITED = -1;
const ENCODING = { algorithm: Algorithms.v2 };

export async function createAuthority(): Promise<Authority> {
  const operator = createOperator();
  const system = createAccount();
  const account = createAccount();
  const control = createUser();
  const systemKey = system.getPublicKey();
  return {
    operatorSeed: seedOf(operator),
    accountSeed: seedOf(account),
    controlSeed: seedOf(control),
    operatorJwt: await encodeOperator("sluice", operator, { system_account: systemKey }, ENCODING),
    accountJwt: await encodeAccount(
      "sluice",
      account,
      {
        limits: {
          subs: UNLIMITED,
          data: UNLIMITED,
          payload: UNLIMITED,
          conn: UNLIMITED,
          leaf: UNLIMITED,
          imports: UNLIMITED,
          exports: UNLIMITED,
          wildcards: true,
          mem_storage: UNLIMITED,
          disk_storage: UNLIMITED,
          streams: UNLIMITED,
          consumer: UNLIMITED,
        },
      },
      { ...ENCODING, signer: operator },
    ),
    accountKey: account.getPublicKey(),
    systemJwt: await encodeAccount("SYS", system, {}, { ...ENCODING, signer: operator }),
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

function seedOf(pair: KeyPair): string {
  return new TextDecoder().decode(pair.getSeed());
}
