// What the engine can start by name.
export { delivery } from './delivery.js';
export { reconcile } from './reconcile.js';
export { subagent } from './subagent.js';
export { sweep } from './sweep.js';
export { turn } from './turn.js';
