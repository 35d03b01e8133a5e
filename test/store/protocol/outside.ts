// What the store cannot see: messages that stand in a chat, effects that took place, folders of commands.
export interface Copy {
  key: string;
  destination: string;
  text: string;
  /** Says of itself that it may be a repeat. */
  marked: boolean;
  deleted: boolean;
  /** Sent by an attempt that had been given up, and that died before it could delete it: the one double that stays unmarked. */
  orphaned(): boolean;
}

export class Outside {
  readonly copies: Copy[] = [];
  readonly effects = new Map<string, number>();
  /** `ran`: the command began. `never`: whoever settled the call made the folder first. */
  readonly folders = new Map<string, 'ran' | 'never'>();
  /** Tokens of answers that were bought. */
  readonly bought = new Set<string>();
  /** Chats whose platform can be asked for what stands in them. */
  readonly lookable = new Set<string>();

  ran(key: string): void {
    this.effects.set(key, (this.effects.get(key) ?? 0) + 1);
  }

  find(key: string): Copy | undefined {
    return this.copies.find((copy) => copy.key === key && !copy.deleted);
  }

  post(copy: Omit<Copy, 'deleted'>): number {
    this.copies.push({ ...copy, deleted: false });
    return this.copies.length - 1;
  }
}
