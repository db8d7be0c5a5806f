import type { PlanAnswerView, PlanView } from "@sluice/proto/api/plans";
import type { Terminal } from "../terminal.ts";
import { differenceLines } from "./differences.ts";
import type { Files } from "./place.ts";
import { refusalLines } from "./refusal.ts";
import { counted } from "./text.ts";

/** Prints each server once, as its answer comes; an answer like one that was shown is only named. */
export function tellAnswers(terminal: Terminal, files: Files): (view: PlanView) => void {
  const told = new Map<string, string>();
  return (view) => {
    for (const answer of view.answers) {
      if (answer.state === "waiting" || told.has(answer.server)) continue;
      const content = JSON.stringify([answer.state, answer.refusal, answer.differences, answer.warnings]);
      const twin = [...told].find(([, shown]) => shown === content)?.[0];
      told.set(answer.server, content);
      const write = answer.state === "ok" ? terminal.out : terminal.err;
      const [headline = "", ...lines] = answerLines(terminal, answer, files);
      if (terminal.json && answer.state === "ok") continue;
      if (twin === undefined || lines.length === 0) for (const line of [headline, ...lines]) write(line);
      else write(`${headline}, just as ${twin}`);
    }
    const waiting = view.answers.filter(({ state }) => state === "waiting").map(({ server }) => server);
    terminal.status(waiting.length > 0 ? `waiting for ${waiting.join(", ")}` : "");
  };
}

function answerLines(terminal: Terminal, answer: PlanAnswerView, files: Files): string[] {
  const { server, state, refusal, differences, warnings } = answer;
  if (state === "silent") return [terminal.paint("red", `${server}: silent until the plan's deadline`)];
  if (state === "refused") {
    return [
      terminal.paint("red", `${server}: refused at ${refusal?.step ?? "an unknown step"}`),
      ...refusalLines(refusal, files).map((line) => `  ${line}`),
    ];
  }
  const warned = warnings.map((warning) => terminal.paint("yellow", `  ! ${warning}`));
  if (differences.length === 0) return [`${server}: holds this already`, ...warned];
  return [
    `${server}: ${countText(answer)}`,
    ...differenceLines(terminal, differences, "  ", files),
    ...warned,
  ];
}

function countText({ differences }: PlanAnswerView): string {
  const count = (kind: string) => differences.filter((one) => one.kind === kind).length;
  return `${count("missing")} to add, ${count("changed")} to change, ${count("extra")} to remove`;
}

export function planSummary(view: PlanView): string {
  const count = (state: string) => view.answers.filter((answer) => answer.state === state).length;
  const of = view.revision === undefined ? `${view.policy} (file)` : `${view.policy}@${view.revision}`;
  const parts = [
    `plan ${view.plan} of ${of}: ${view.state}`,
    `${count("ok")} of ${counted(view.answers.length, "server")} can`,
  ];
  if (count("refused") > 0) parts.push(`${count("refused")} refused`);
  if (count("silent") > 0) parts.push(`${count("silent")} silent`);
  return parts.join(", ");
}
