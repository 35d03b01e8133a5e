/** What was shown of a step's text so far. A step that is asked again begins anew, and so does the next step. */
export interface PartialText {
  add(piece: { step: number; from: number; text: string }): void;
  text(): string;
}

export function createPartialText(): PartialText {
  let current = 0;
  let shown = '';
  return {
    add({ step, from, text }) {
      shown = (step === current ? shown.slice(0, from) : '') + text;
      current = step;
    },
    text: () => shown,
  };
}
