// What durabot itself writes into a message of the person's role, between markers that nobody else can write.

const marker = /\[\s*(\/?)\s*(durabot\s+(?:runtime|note))/gi;
const runtimeBlock = /\n*\[durabot runtime\]\n[\s\S]*?\n\[\/durabot runtime\]/g;
const noteBlock = /\[durabot note\]\n([\s\S]*?)\n\[\/durabot note\]/g;

/** Text from outside that imitates a marker no longer does. */
export function escapeMarkers(text: string): string {
  return text.replace(marker, '[quoted $1$2');
}

export interface RuntimeFacts {
  /** As it was stored, already in the person's zone. */
  time?: string;
  channel?: string | null;
  sender?: string | null;
}

/** What the model should know of a message beside its words. Names come from outside: one line, no marker. */
export function runtimeText({ time, channel, sender }: RuntimeFacts): string {
  const lines = [
    ['time', time],
    ['channel', channel],
    ['sender', sender],
  ].flatMap(([name, value]) => (value ? [`${name}: ${oneLine(value)}`] : []));
  return lines.length === 0 ? '' : ['[durabot runtime]', ...lines, '[/durabot runtime]'].join('\n');
}

/** Words of durabot, not of the person: the result of a helper, a request to come to an end. */
export function noteText(text: string): string {
  return `[durabot note]\n${text}\n[/durabot note]`;
}

/** What the person wrote, without what durabot put around it. */
export function wordsOfPerson(text: string): string {
  return text.replace(runtimeBlock, '').replace(noteBlock, '').trim();
}

/** The notes that stand in a message, without their markers. */
export function notesIn(text: string): string[] {
  return [...text.matchAll(noteBlock)].map(([, note = '']) => note);
}

function oneLine(text: string): string {
  return escapeMarkers(text.replace(/[\s\p{Cc}]+/gu, ' ').trim()).slice(0, 80);
}

/** "Tue 2026-11-24 23:40 Europe/Berlin" of an ISO 8601 time; nothing for a time that is none. */
export function timeIn(zone: string): (at: string) => string | undefined {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    weekday: 'short',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  return (at) => {
    const date = new Date(at);
    if (Number.isNaN(date.getTime())) return undefined;
    const parts = Object.fromEntries(format.formatToParts(date).map(({ type, value }) => [type, value]));
    return `${parts.weekday} ${parts.year}-${parts.month}-${parts.day} ${parts.hour}:${parts.minute} ${zone}`;
  };
}
