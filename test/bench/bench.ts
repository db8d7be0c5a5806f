/**
 * What a benchmark is, and what it gives back.
 *
 * 1. Every figure stands beside a raw limit or a peer, measured in the same run, in turn with it: A B A B. A ratio
 *    outlives the machine that it was measured on; a time doesn't.
 * 2. It works on what it makes itself (own namespaces, own Postgres, own NATS) and leaves nothing behind.
 * 3. An aim that is missed is said, never hidden, and fails nothing: machines are noisy.
 */
export interface Bench {
  readonly name: string;
  /** one line: what is measured, against what */
  readonly what: string;
  /** pairs, unless `--runs` says otherwise */
  readonly runs: number;
  run(context: BenchContext): Promise<BenchFindings>;
}

export interface BenchContext {
  readonly runs: number;
  /** aborted by Ctrl-C; `inTurn` looks at it before every sample */
  readonly signal: AbortSignal;
  progress(what: string): void;
}

export interface BenchFindings {
  rows: Row[];
  ratios: Ratio[];
  /** what a reader must know to read the figures */
  notes: string[];
}

export interface BenchResult extends BenchFindings {
  name: string;
  what: string;
}

/** Of the samples of one thing. */
export interface Row {
  label: string;
  unit: string;
  min: number;
  median: number;
  max: number;
}

/** Ours over the peer, pair by pair. */
export interface Ratio {
  label: string;
  /** the median of the pairs */
  value: number;
  min: number;
  max: number;
  aim?: Aim;
  met?: boolean;
}

export type Aim = { atMost: number } | { atLeast: number };
