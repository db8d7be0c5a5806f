import { createUser } from "@nats-io/nkeys";
import { errorView } from "@sluice/proto/api/error";
import { SluiceError } from "@sluice/proto/base/errors";
import { tryJson } from "@sluice/proto/base/json";
import { createSigningKey } from "@sluice/proto/base/sign";
import { type EnrolRequest, enrolReply } from "@sluice/proto/wire/enrol";
import type { Identity } from "./identity.ts";

const TIMEOUT_MS = 15_000;

/**
 * Trades a one-time token for an identity. Both private keys are made here and never leave this server.
 * Throws REFUSED where control says no, UNAVAILABLE where it can't be reached or is broken.
 */
export async function enrol(controlUrl: string, token: string): Promise<Identity> {
  const reportKey = createSigningKey();
  const natsUser = createUser();
  const request: EnrolRequest = {
    token,
    publicKey: reportKey.publicKey,
    natsKey: natsUser.getPublicKey(),
  };
  const url = new URL("/enrol", controlUrl);
  const response = await post(url, request);
  const text = await response.text();
  if (!response.ok) throw refusalOf(response.status, text);
  const reply = enrolReply.parse(JSON.parse(text));
  return { ...reply, reportKey, natsSeed: new TextDecoder().decode(natsUser.getSeed()) };
}

/** Control's own words, where it is control that answered. */
function refusalOf(status: number, text: string): SluiceError {
  const said = errorView.safeParse(tryJson(text));
  const reason = said.success ? said.data.message : `HTTP ${status}: ${text.slice(0, 300)}`;
  if (status >= 500)
    return new SluiceError("UNAVAILABLE", `control can't enrol this server now: ${reason}`, {
      cure: "try again; what is wrong is in control's log",
    });
  return new SluiceError("REFUSED", `control refused to enrol this server: ${reason}`, {
    cure: "get a new token: sluice server add NAME --again",
  });
}

async function post(url: URL, body: EnrolRequest): Promise<Response> {
  try {
    return await fetch(url, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch (cause) {
    throw new SluiceError("UNAVAILABLE", `control can't be reached at ${url.origin}`, { cause });
  }
}
