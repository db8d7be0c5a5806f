import { connect } from "node:net";

/** `192.0.2.1:443`, `[2001:db8::1]:443`; undefined where the text is neither. */
export function parseEndpoint(text: string): { address: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text);
  const address = match?.[1] ?? match?.[2];
  return address === undefined ? undefined : { address, port: Number(match?.[3]) };
}

/** Makes one new TCP connection from here and closes it. Throws when there is none within the time. */
export function dialTcp(address: string, port: number, timeoutMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    const timer = setTimeout(() => end(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    function end(error?: Error): void {
      clearTimeout(timer);
      socket.destroy();
      if (error === undefined) resolve();
      else reject(error);
    }
    socket.once("connect", () => end());
    socket.once("error", end);
  });
}

export type Dial = (address: string, port: number, timeoutMs: number) => Promise<void>;
