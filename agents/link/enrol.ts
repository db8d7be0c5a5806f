import { createUser } from "@nats-io/nkeys";
import { errorView } from "@sluice/proto/api/error";
import { SluiceError } from "@sluice/proto/base/errors";
import { tryJson } from "@sluice/proto/base/json";
import { createSigningKey } from "@sluice/proto/base/sign";
import { type EnrolRequest, enrolReply } from "@sluice/proto/wire/enrol";
import type { Uninstalled } from "@sluice/proto/wire/report";
import type { Identity } from "./identity.ts";

const TIMEOUT_MS = 15_000;

/**
 * Trades a one-time token for an identity. Both private keys are made here and never leave this server.
 * `uninstalled` is told where the agent here before was. Throws REFUSED where control says no, UNAVAILABLE where it can't be reached or is broken.
 */
export async function enrol(controlUrl: string, token: string, uninstalled?: Uninstalled): Promise<Identity> {
  const reportKey = createSigningKey();
  const natsUser = createUser();
  const request: EnrolRequest = {
    token,
    publicKey: reportKey.publicKey,
    natsKey: natsUser.getPublicKey(),
    ...(uninstalled && { uninstalled }),
  };
  const url = new URL("/enrol", controlUrl);
  const { status, text } = await post(url, JSON.stringify(request));
  if (status < 200 || status > 299) throw refusalOf(status, text);
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

interface Answer {
  status: number;
  text: string;
}

/** Not by `fetch`: what it loads stays, and this is done once in a server's life. */
async function post(url: URL, body: string): Promise<Answer> {
  const { request } = url.protocol === "https:" ? await import("node:https") : await import("node:http");
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  try {
    return await new Promise((resolve, reject) => {
      const asked = request(url, { method: "POST", headers, signal, agent: false }, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (part: string) => {
          text += part;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
        response.on("error", reject);
      });
      asked.on("error", reject);
      asked.end(body);
    });
  } catch (cause) {
    throw new SluiceError("UNAVAILABLE", `control can't be reached at ${url.origin}`, { cause });
  }
}
