/** @module The other side of `child.ts`: answers the process that started this one, and ends with it. */
import type { Answer, Handlers, Question } from "./child.ts";

export function serveParent(handlers: Handlers): void {
  process.on("disconnect", () => process.exit());
  process.on("message", ({ id, name, input }: Question) => {
    answer(handlers, name, input).then(
      (value) => reply({ id, ok: true, value }),
      (error: unknown) => reply({ id, ok: false, message: String(error instanceof Error ? error.stack : error) }),
    );
  });
}

async function answer(handlers: Handlers, name: string, input: readonly unknown[]): Promise<unknown> {
  const handler = handlers[name];
  if (handler === undefined) throw new Error(`no handler "${name}"`);
  return handler(...(input as never[])); // the asker's type has checked them
}

function reply(message: Answer): void {
  process.send?.(message);
}
