import { createUser } from "@nats-io/nkeys";
import { jwtAuthenticator } from "@nats-io/transport-node";
import { expect, test } from "vitest";
import { natsLogin } from "./nats-login.ts";

test("the agent signs NATS' challenge with the very signature that the library of NATS makes", () => {
  for (let round = 0; round < 20; round++) {
    const seed = createUser().getSeed();
    const nonce = `challenge-${round}`;
    const theirs = jwtAuthenticator("a jwt", seed)(nonce);
    const ours = natsLogin("a jwt", new TextDecoder().decode(seed))(nonce);
    const raw = (auth: typeof ours) =>
      auth && "sig" in auth && auth.sig ? Buffer.from(auth.sig, "base64") : undefined;
    expect(raw(ours)).toHaveLength(64);
    expect(raw(ours)).toEqual(raw(theirs));
  }
});

test("a key that can't be read is told at once, with what to do", () => {
  const seed = new TextDecoder().decode(createUser().getSeed());
  for (const wrong of ["", seed.slice(2), `${seed.slice(0, -1)}1`, "not a key"])
    expect(() => natsLogin("a jwt", wrong)).toThrow("can't be read");
});
