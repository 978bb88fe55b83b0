/** Waiting for an event, never for luck: with a deadline that only a broken program reaches. */
const PATIENCE = 15_000; // milliseconds, on a busy machine

export async function until(
  what: string,
  is: () => boolean | Promise<boolean>,
  patience = PATIENCE,
): Promise<void> {
  const deadline = performance.now() + patience;
  while (!(await is())) {
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await pause(10);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms));
}
