import { styleText } from 'node:util';

type Format = Parameters<typeof styleText>[0];

/** Applies a format, or nothing where colours are not wanted. */
export type Style = (format: Format, text: string) => string;

/** `enabled`: the output is a terminal, and NO_COLOR is not set. */
export function createStyle(enabled: boolean): Style {
  return enabled ? (format, text) => styleText(format, text) : (_format, text) => text;
}
