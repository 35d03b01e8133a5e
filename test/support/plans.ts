// Scripts for many chats at once: what a person's message begins with chooses a list of answers, and how many answers its turn has
// had already chooses the one. Pure, so a repeated request is answered alike.
import { type Answer, type ChatRequest, failsWith } from './model-server.js';

export type Plans = Record<string, readonly Answer[] | ((request: ChatRequest) => Answer)>;

export function byMessage(plans: Plans): (request: ChatRequest) => Answer {
  return (request) => {
    const { messages } = request;
    const spoken = messages.findLastIndex((message) => message.role === 'user' && planOf(plans, message.content));
    const plan = planOf(plans, messages[spoken]?.content);
    if (!plan) return failsWith(400, { code: 'unscripted', message: 'no plan begins like this message' });
    if (typeof plan === 'function') return plan(request);
    const given = messages.slice(spoken).filter((message) => message.role === 'assistant').length;
    return plan[given] ?? failsWith(400, { code: 'unscripted', message: 'the plan has no further answer' });
  };
}

function planOf(plans: Plans, text: unknown) {
  if (typeof text !== 'string') return undefined;
  // The longest name, so that "read" and "read twice" are two plans.
  const name = Object.keys(plans)
    .filter((key) => text.includes(key))
    .sort((a, b) => b.length - a.length)[0];
  return name === undefined ? undefined : plans[name];
}
