// The one door from tools to files. It resolves every path against the workspace's root and refuses what leaves it.

export interface Workspace {
  /** Absolute path of the root, links resolved. */
  readonly root: string;
}
