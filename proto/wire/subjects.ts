/** Every NATS name in one place. Server and list names are `[a-z0-9-]+`, so they are one token. */
export const BUCKETS = { desired: "desired", plans: "plans", lists: "lists", blobs: "blobs" } as const;

export const STREAMS = {
  events: { name: "EVENTS", subjects: ["sluice.v1.event.>"] },
  lists: { name: "LISTS", subjects: ["sluice.v1.list.>"] },
  reports: { name: "REPORTS", subjects: ["sluice.v1.report.>"] },
  checkpoints: { name: "CHECKPOINTS", subjects: ["sluice.v1.checkpoint"] },
} as const;

/** What must be there in the broker, by the broker's own names: a bucket is a stream, too. */
export const STREAM_NAMES: readonly string[] = [
  ...Object.values(STREAMS).map(({ name }) => name),
  ...Object.values(BUCKETS).map((bucket) => `KV_${bucket}`),
];

export const subjects = {
  /** signed list deltas, heard by a plain subscription */
  list: (list: string) => `sluice.v1.list.${list}`,
  /** signed reports of one agent */
  report: (server: string) => `sluice.v1.report.${server}`,
  /** plain heartbeat of one agent */
  pulse: (server: string) => `sluice.v1.pulse.${server}`,
  allPulses: "sluice.v1.pulse.*",
  /** request/reply from an agent to control: what its rules matched, signed */
  hits: (server: string) => `sluice.v1.hits.${server}`,
  allHits: "sluice.v1.hits.*",
  /** tells an agent to fetch its key again */
  wake: (server: string) => `sluice.v1.wake.${server}`,
  /** request/reply for one server, interactively */
  ask: (server: string) => `sluice.v1.ask.${server}`,
  /** request/reply from an agent to control: may I confirm? */
  confirm: (server: string) => `sluice.v1.confirm.${server}`,
  allConfirms: "sluice.v1.confirm.*",
  /** signed checkpoints of the log, kept for good */
  checkpoint: "sluice.v1.checkpoint",
  /** control's signed pulse: heads of lists, end of the log; and, now and then, the newest signed checkpoint */
  control: "sluice.v1.control",
  event: (type: string) => `sluice.v1.event.${type}`,
} as const;

export function planKey(server: string, plan: string): string {
  return `${server}.${plan}`;
}

/** Blobs lie in chunks, each within NATS' default payload of 1 MiB. */
export const BLOB_CHUNK_BYTES = 512 * 1024;

export function blobKey(digest: string, chunk: number): string {
  return `${digest}.${chunk}`;
}

/** The subject that a direct get of one key of a bucket asks. */
export function directGetSubject(bucket: string, key: string): string {
  return `$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.${key}`;
}
