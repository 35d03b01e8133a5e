import { ModelAnswerTooLarge } from '../failures.js';

const maxLineBytes = 2 * 1024 * 1024;

/**
 * A fetch whose bodies cannot fill the memory: a line of an event stream ends at 2 MB (the client reads it again with each
 * packet, so a longer one would hold up the process), any other body at `maxBytes`. What the lines of a stream add up to is
 * for the reader to limit.
 */
export function boundedFetch(fetch: typeof globalThis.fetch, maxBytes: number): typeof globalThis.fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (response.body === null) return response;
    const lines = response.ok && response.headers.get('content-type')?.includes('text/event-stream') === true;
    let bytes = 0;
    const limit = new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        const lineEnd = lines ? chunk.lastIndexOf(10) : -1;
        bytes = lineEnd < 0 ? bytes + chunk.length : chunk.length - lineEnd - 1;
        if (bytes > (lines ? maxLineBytes : maxBytes)) controller.error(new ModelAnswerTooLarge());
        else controller.enqueue(chunk);
      },
    });
    return new Response(response.body.pipeThrough(limit), response);
  };
}
