import pRetry from "p-retry";

const TRIES = 6;

/** Whether it could be done at once, or nearly so. Who keeps the readers goes on trying. */
export async function shortly(attempt: () => Promise<boolean>): Promise<boolean> {
  const done = pRetry(
    async () => {
      if (!(await attempt())) throw new Error("not yet");
    },
    { retries: TRIES, minTimeout: 20 },
  );
  return await done.then(
    () => true,
    () => false,
  );
}
