// What a reply is worth: carried out, continued, asked again or given up. Pure; `askModel` does what it says.
import type { ModelCall, ModelReply } from './model.js';

/** What this answer has come to before the reply that is judged. */
export interface SoFar {
  text: string;
  empties: number;
  malformed: number;
  continued: number;
  /** False once the model is asked for words alone. */
  toolsOffered: boolean;
}

export type Verdict =
  | { kind: 'done'; calls: ModelCall[] }
  /** Cut off after all continuations: what is there is shown, and that it was cut. */
  | { kind: 'cut off' }
  | { kind: 'refused' }
  /** The provider ended its own stream with an error: as transient as a lost connection. */
  | { kind: 'broken' }
  | { kind: 'continue'; callWasCut: boolean }
  | { kind: 'again'; because: 'empty' | 'malformed'; withTools: boolean }
  | { kind: 'nothing' };

const mostContinuations = 3;
const mostEmptyTries = 3;

export function judgeReply(reply: ModelReply, soFar: SoFar): Verdict {
  if (reply.finishReason === 'error') return { kind: 'broken' };
  if (reply.finishReason === 'refused') return { kind: 'refused' };
  const said = (soFar.text + reply.text).trim() !== '';
  if (reply.finishReason === 'length') {
    // Calls that arrive with a cut are never carried out: their arguments may be half of what was meant.
    const callWasCut = reply.calls.length > 0;
    if ((said || callWasCut) && soFar.continued < mostContinuations) return { kind: 'continue', callWasCut };
    return said ? { kind: 'cut off' } : emptyAgain(soFar);
  }
  const wanted = soFar.toolsOffered ? reply.calls : [];
  const calls = wanted.map(withCleanName).filter((call) => wellFormedName.test(call.name));
  if (calls.length > 0) return { kind: 'done', calls };
  if (wanted.length > 0) return { kind: 'again', because: 'malformed', withTools: soFar.malformed === 0 };
  return said ? { kind: 'done', calls: [] } : emptyAgain(soFar);
}

function emptyAgain({ empties, toolsOffered }: SoFar): Verdict {
  if (empties >= mostEmptyTries) return { kind: 'nothing' };
  return { kind: 'again', because: 'empty', withTools: toolsOffered && empties < mostEmptyTries - 1 };
}

const wellFormedName = /^[a-zA-Z0-9_-]{1,64}$/;

/** Some models leak their own notation into the name: "functions.read_file", "read_file<|channel|>commentary". */
function withCleanName(call: ModelCall): ModelCall {
  const name = call.name
    .replace(/<\|.*$/s, '')
    .trim()
    .replace(/^(?:functions|tools?)\./, '');
  return { ...call, name };
}
