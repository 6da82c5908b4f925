/**
 * A collection now, as far as the engine can be moved to it (`collector.ts`). Code of its own, since few pages hold so
 * much that they need it.
 */
const maximumRounds = 40;

/**
 * Resolves when a collection has happened and its finalisers have run, or when the engine can not be moved to it.
 * @param provokeCollection makes the engine see a lot of memory come and go (`collector.ts`)
 */
export async function collectGarbage(provokeCollection: () => void): Promise<void> {
  let hasCollected = false;
  const sentinel = new FinalizationRegistry(() => {
    hasCollected = true;
  });
  sentinel.register({}, undefined);
  await nextTask();
  for (let round = 0; round < maximumRounds && !hasCollected; round++) {
    provokeCollection();
    await nextTask();
  }
  // The finalisers of one collection run in several tasks where there are several registries.
  await nextTask();
}

/** Resolves in a later task, not just in a later microtask. */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof setImmediate === 'function') {
      setImmediate(resolve);
      return;
    }
    const { port1, port2 } = new MessageChannel();
    const receiver = port1 as { onmessage?: () => void };
    receiver.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
