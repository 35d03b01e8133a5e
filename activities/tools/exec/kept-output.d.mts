/** `head` is the whole stream when nothing was `omitted`; else `omitted` bytes are missing between `head` and `tail`. */
export interface KeptStream {
  /** Bytes that the command wrote, kept or not. */
  total: number;
  head: Buffer;
  omitted: number;
  tail: Buffer;
}

export const headBytes: number;
export const tailBytes: number;

export class KeptOutput {
  constructor(path: string);
  readonly total: number;
  write(chunk: Buffer): void;
}

export function readKeptOutput(path: string): KeptStream;
