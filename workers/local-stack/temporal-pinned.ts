/** The version that is downloaded or built when the machine has none; the Go module in temporal-cli/ names the same. */
export const pinnedCli = '1.8.2';
