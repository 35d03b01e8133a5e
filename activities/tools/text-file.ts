// Text as it stands in files: UTF-8, perhaps with a byte order mark, with one kind of line end or a mixture.
import { FileRefusal, shown } from './file-refusal.js';

export interface TextFile {
  /** Without byte order mark; line ends are `\n` unless the file mixes them. */
  text: string;
  hasMark: boolean;
  /** Every line of the file ends in `\r\n`. */
  hasCrLf: boolean;
}

const startsOf: readonly [kind: string, start: string][] = [
  ['a PDF', '%PDF-'],
  ['an image', '\x89PNG'],
  ['an image', '\xff\xd8\xff'],
  ['an image', 'GIF8'],
  ['an image', 'RIFF'],
  ['an Office document or another ZIP archive', 'PK\x03\x04'],
  ['an old Office document', '\xd0\xcf\x11\xe0'],
  ['text in UTF-16', '\xff\xfe'],
  ['text in UTF-16', '\xfe\xff'],
];

/** What a file is when it is not text, judged by its first bytes; undefined for text. */
export function notTextKind(start: Uint8Array): string | undefined {
  const head = Buffer.from(start.subarray(0, 8_000)).toString('latin1');
  const known = startsOf.find(([, bytes]) => head.startsWith(bytes));
  return known?.[0] ?? (head.includes('\0') ? 'a binary file' : undefined);
}

/** For changing a file: refuses what could not be written back byte for byte. */
export function decodeText(content: Uint8Array, path: string): TextFile {
  const kind = notTextKind(content);
  if (kind !== undefined)
    throw new FileRefusal('not text', path, `${shown(path)} is ${kind}; only text can be edited.`);
  const decoded = decodeUtf8(content, path);
  const hasMark = decoded.startsWith('\ufeff');
  const text = hasMark ? decoded.slice(1) : decoded;
  const hasCrLf = text.includes('\r\n') && !/(?<!\r)\n/.test(text);
  return { text: hasCrLf ? text.replaceAll('\r\n', '\n') : text, hasMark, hasCrLf };
}

export function encodeText({ text, hasMark, hasCrLf }: TextFile): Buffer {
  const body = hasCrLf ? text.replaceAll('\n', '\r\n') : text;
  return Buffer.from(hasMark ? `\ufeff${body}` : body);
}

function decodeUtf8(content: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(content);
  } catch (error) {
    const refusal = new FileRefusal('not text', path, `${shown(path)} is not UTF-8; editing it would damage it.`);
    refusal.cause = error;
    throw refusal;
  }
}
