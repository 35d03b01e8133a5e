// Builds with one promise broken on purpose, to see that the oracle catches each. Edits are made to dist/ while it is loaded.

export interface BrokenBuild {
  name: string;
  /** What the build no longer keeps. */
  breaks: string;
  edits: { file: string; find: string; put: string }[];
  acknowledgesFirst?: boolean;
}

export const brokenBuilds: readonly BrokenBuild[] = [
  {
    name: 'acknowledges before the commit',
    breaks: 'accepted means kept',
    edits: [],
    acknowledgesFirst: true,
  },
];
