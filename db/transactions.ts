import type postgres from "postgres";
import type { Sql } from "./connect.ts";

/**
 * Transactions that survive the loss of their connection. postgres.js' own `begin` doesn't: it sends ROLLBACK on a
 * connection that is gone, which throws where nobody can catch it and ends the process (porsager/postgres#1154, #1208);
 * and what it sends late goes into whatever transaction has the connection by then.
 *
 * 1. A transaction has a client of its own, of one connection. When that is lost the client is dropped, so that no
 *    statement of the transaction can ever run outside of it.
 * 2. `begin` rejects then (CONNECTION_CLOSED), whatever `work` made of the failures of its statements. Each of them has
 *    failed by then: postgres.js leaves what it has not yet sent on a reserved connection waiting for ever.
 * 3. It returns only when `work` has ended: a lock that the transaction holds isn't given away under its feet.
 * 4. At most `most` at once; who comes later waits.
 *
 * Never use what `work` was given after its end.
 */
export interface Transactions {
  begin<T>(work: (sql: TransactionSql) => Promise<T>): Promise<T>;
  /** Lets those under way end (5 s); takes no more. */
  close(): Promise<void>;
}

export type TransactionSql = postgres.ReservedSql<{ bigint: number }>;

interface Lane {
  client: Sql;
  isOpen: boolean;
  isLost: boolean;
  /** of what waits for the connection: called when it is lost */
  fail: Set<(error: Error) => void>;
}

/** `open` makes a client of one connection that says when this is gone. */
export function createTransactions(open: (onClose: () => void) => Sql, most: number): Transactions {
  const lanes = new Set<Lane>();
  const idle: Lane[] = [];
  const waiting: PromiseWithResolvers<Lane>[] = [];
  let closed = false;

  function openLane(): Lane {
    const client = open(() => {
      lane.isLost = true;
      for (const reject of lane.fail) reject(connectionLost());
      const index = idle.indexOf(lane);
      if (index !== -1) drop(...idle.splice(index, 1));
      void client.end({ timeout: 0 }); // rejects statements that hang on it
    });
    const lane: Lane = { client, isOpen: false, isLost: false, fail: new Set() };
    lanes.add(lane);
    return lane;
  }

  function drop(...gone: Lane[]): void {
    for (const lane of gone) lanes.delete(lane);
  }

  async function take(): Promise<Lane> {
    if (closed) throw connectionLost();
    const free = idle.pop();
    if (free !== undefined) return free;
    if (lanes.size < most) return openLane();
    const turn = Promise.withResolvers<Lane>();
    waiting.push(turn);
    return await turn.promise;
  }

  function giveBack(lane: Lane): void {
    if (lane.isLost) drop(lane);
    const next = waiting.shift();
    if (next !== undefined) next.resolve(lane.isLost ? openLane() : lane);
    else if (!lane.isLost) idle.push(lane);
  }

  return {
    async begin(work) {
      const lane = await take();
      try {
        return await run(lane, work);
      } finally {
        giveBack(lane);
      }
    },
    async close() {
      closed = true;
      for (const { reject } of waiting.splice(0)) reject(connectionLost());
      await Promise.all([...lanes].map(({ client }) => client.end({ timeout: 5 })));
    },
  };
}

async function run<T>(lane: Lane, work: (sql: TransactionSql) => Promise<T>): Promise<T> {
  const reserved = await orLost(lane, reserve(lane));
  const sql = guarded(reserved, lane);
  const say = (statement: string) => orLost(lane, sql.unsafe(statement));
  try {
    await say("begin");
    let result: T;
    try {
      result = await work(sql);
    } catch (error) {
      if (!lane.isLost) await say("rollback");
      throw error;
    }
    const { command } = await say("commit");
    if (command !== "COMMIT") throw new Error("the transaction was undone: one of its statements had failed");
    return result;
  } finally {
    if (!lane.isLost) reserved.release();
  }
}

/** postgres.js reserves only a connection that is open: asked to open one, it never answers where it fetches no types. */
async function reserve(lane: Lane): Promise<TransactionSql> {
  if (!lane.isOpen) await lane.client.unsafe("select 1");
  lane.isOpen = true;
  return await lane.client.reserve();
}

function orLost<T>(lane: Lane, work: PromiseLike<T>): Promise<T> {
  if (lane.isLost) return Promise.reject(connectionLost());
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  lane.fail.add(reject);
  work.then(resolve, reject);
  return promise.finally(() => lane.fail.delete(reject));
}

/** Refuses statements once the connection is lost, and fails those that wait then. */
function guarded(sql: TransactionSql, lane: Lane): TransactionSql {
  return new Proxy(sql, {
    apply(target, self, given) {
      if (lane.isLost) throw connectionLost();
      return followed(Reflect.apply(target, self, given), lane);
    },
    get(target, key) {
      if (key !== "unsafe") return Reflect.get(target, key);
      if (lane.isLost) throw connectionLost();
      return (...given: Parameters<TransactionSql["unsafe"]>) => followed(target.unsafe(...given), lane);
    },
  });
}

/** A query of postgres.js, which hands itself to its handler once somebody waits for it; a part of one never does. */
interface Handled extends Promise<unknown> {
  handler(query: unknown): void;
  reject(error: Error): void;
}

function followed<T>(statement: T, lane: Lane): T {
  if (!isHandled(statement)) return statement;
  const { handler, reject } = statement;
  statement.handler = (query) => {
    lane.fail.add(reject);
    const settled = () => lane.fail.delete(reject);
    Promise.prototype.then.call(statement, settled, settled); // its own `then` would hand it on once more
    handler(query);
  };
  return statement;
}

function isHandled(statement: unknown): statement is Handled {
  return statement instanceof Promise && "handler" in statement && "reject" in statement;
}

function connectionLost(): Error {
  return Object.assign(new Error("the connection of the transaction was lost"), {
    code: "CONNECTION_CLOSED",
  });
}
