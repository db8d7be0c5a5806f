/** One line a happening, on stderr: JSON for machines, or plain. */
export type Level = "debug" | "info" | "warn" | "error";
export const LEVELS: readonly Level[] = ["debug", "info", "warn", "error"];

export interface Logger {
  debug(message: string, more?: Readonly<Record<string, unknown>>): void;
  info(message: string, more?: Readonly<Record<string, unknown>>): void;
  warn(message: string, more?: Readonly<Record<string, unknown>>): void;
  error(message: string, more?: Readonly<Record<string, unknown>>): void;
}

export interface LoggerOptions {
  level: Level;
  json: boolean;
  write(line: string): void;
  now(): Date;
}

export function createLogger({ level: lowest, json, write, now }: LoggerOptions): Logger {
  const from = LEVELS.indexOf(lowest);

  function logAt(level: Level) {
    return (message: string, more: Readonly<Record<string, unknown>> = {}) => {
      if (LEVELS.indexOf(level) < from) return;
      const at = now().toISOString();
      write(
        json ? JSON.stringify({ at, level, message, ...more }) : `${at} ${level} ${message}${plain(more)}`,
      );
    };
  }
  return { debug: logAt("debug"), info: logAt("info"), warn: logAt("warn"), error: logAt("error") };
}

function plain(more: Readonly<Record<string, unknown>>): string {
  return Object.entries(more)
    .map(([name, value]) => ` ${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join("");
}
