// What of a tool's result the model reads: whole, or head and tail with a handle by which the rest is read.
import { createHash } from 'node:crypto';
import type { CallResult } from '../../store/effects.js';
import type { CallRef } from '../../workflows/contract.js';
import type { Tool, ToolResult } from './tool.js';

interface Facts {
  tool: Tool | undefined;
  ref: CallRef;
  /** Hashes of the results of equal calls of this turn. */
  sameCalls: readonly string[];
  maxChars: number;
}

const repeatWarning =
  '\n\n[This call has now returned the same result three times. A further equal call will be refused: change the arguments or go on.]';

export function toStoredResult(result: ToolResult, { tool, ref, sameCalls, maxChars }: Facts): CallResult {
  const hash = hashOf(result.text);
  const warning = sameCalls.filter((same) => same === hash).length === 2 ? repeatWarning : '';
  const stored = {
    outcome: result.outcome ?? (result.failed ? 'failed' : 'done'),
    failed: result.failed,
    bytes: Buffer.byteLength(result.text),
    tainted: tool?.taints ?? false,
    hash,
  } as const;
  if (tool?.pages || result.text.length <= maxChars) return { ...stored, text: result.text + warning };
  const handle = `result:${ref.turnId}/${ref.callId}`;
  return { ...stored, text: shorten(result.text, maxChars, handle) + warning, whole: result.text };
}

function shorten(text: string, maxChars: number, handle: string): string {
  const headChars = Math.floor(maxChars * 0.6);
  const tailChars = Math.floor(maxChars * 0.3);
  const cut = text.length - headChars - tailChars;
  return [
    text.slice(0, headChars).toWellFormed(),
    `\n… ${cut} of ${text.length} characters left out; read them with read_file or grep, path "${handle}" …\n`,
    text.slice(-tailChars).toWellFormed(),
  ].join('');
}

/** Equal for equal texts: what the repeat guard compares. */
function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22);
}
