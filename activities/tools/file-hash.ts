// What a file's content is known by between two attempts of a call: short, since a call may keep 2 KB for twenty files.
import { createHash, type Hash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';

export function hashOf(content: Uint8Array): string {
  return digest(createHash('sha256').update(content));
}

/** Reads the file from its beginning, in pieces: a large one blocks nobody. */
export async function hashOfFile(file: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  const piece = Buffer.allocUnsafe(256 * 1024);
  for (let at = 0; ; ) {
    const { bytesRead } = await file.read(piece, 0, piece.length, at);
    if (bytesRead === 0) return digest(hash);
    hash.update(piece.subarray(0, bytesRead));
    at += bytesRead;
  }
}

function digest(hash: Hash): string {
  return hash.digest('base64url').slice(0, 22); // 132 bits
}
