/** What this workspace needs of a logger; a pino logger is one. */
export interface Logger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
}

export const silent: Logger = { info: () => {}, warn: () => {} };
