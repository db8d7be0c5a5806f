import type { Context } from "../context/services.ts";

/**
 * A view, each time it is another one, until `isOver`, which is its last. Who joins again gets it as it is then: no
 * change is lost, as each view is whole.
 */
export async function* watchView<T>(
  ctx: Context,
  signal: AbortSignal,
  read: () => Promise<T>,
  isOver: (view: T) => boolean,
): AsyncGenerator<T> {
  let last = "";
  for await (const _ of ctx.hub.looks(signal)) {
    const view = await read();
    const text = JSON.stringify(view);
    if (text !== last) yield view;
    last = text;
    if (isOver(view)) return;
  }
}
