// Takes secrets out of text before it reaches a log, a failure or a screen: the values that we know, and whatever has the
// shape of a token. In doubt a word too many goes. Each pattern runs in linear time, because the text may be hostile.

export type Redact = (text: string) => string;

const mark = '[redacted]';
/** A shorter value would take ordinary words out of every line. */
const shortestKnown = 8;

// What stands before a token so that it is one: not the middle of a longer word.
const begins = '(?<![A-Za-z])';
const body = '[A-Za-z0-9_-]';

const shapes: readonly RegExp[] = [
  /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{1,8000}?-----END [A-Z ]{0,30}PRIVATE KEY-----/g,
  // A key that was cut off by a length limit has no end.
  /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----[\s\S]{1,8000}/g,
  // The provider prefixes that say of themselves what they are.
  new RegExp(`${begins}sk-(?:ant-|proj-|svcacct-|admin-|or-)?${body}{20,}`, 'g'),
  new RegExp(`${begins}(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,}`, 'g'),
  new RegExp(`${begins}gh[pousr]_[A-Za-z0-9_.-]{20,}`, 'g'),
  new RegExp(`${begins}github_pat_${body}{20,}`, 'g'),
  new RegExp(`${begins}(?:glpat-|glsa_|glc_|figd_|dckr_pat_)[A-Za-z0-9_=.-]{18,}`, 'g'),
  // Without an underscore in the body: npm_package_config_… is a variable's name.
  new RegExp(`${begins}(?:gsk|hf|npm|ntn|lin_api|lin_oauth)_[A-Za-z0-9]{24,}`, 'g'),
  new RegExp(`${begins}shp(?:ss|at|ca|pa)_[A-Za-z0-9]{24,}`, 'g'),
  new RegExp(`${begins}vc[apirk]_[A-Za-z0-9]{24,}`, 'g'),
  new RegExp(`${begins}cf(?:at|ut|k)_[A-Za-z0-9]{40,}`, 'g'),
  new RegExp(`${begins}xai-[A-Za-z0-9]{24,}`, 'g'),
  new RegExp(`${begins}AIza${body}{30,}`, 'g'),
  new RegExp(`${begins}ya29\\.${body}{20,}`, 'g'),
  new RegExp(`${begins}(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Z0-9])`, 'g'),
  new RegExp(`${begins}dapi[0-9a-fA-F]{32}(?:-\\d)?`, 'g'),
  new RegExp(`${begins}hv[sbr]\\.[A-Za-z0-9_-]{24,}`, 'g'),
  new RegExp(`${begins}tskey-[a-z]{2,12}-[A-Za-z0-9]{8,}-[A-Za-z0-9]{16,}`, 'g'),
  /SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{30,}/g, // also stuck to a word before it
  new RegExp(`${begins}xox[a-z](?:-|%2D)[A-Za-z0-9%-]{10,}`, 'gi'),
  new RegExp(`${begins}xapp-[A-Za-z0-9-]{10,}`, 'g'),
  /hooks\.slack\.com\/services\/[A-Za-z0-9/_-]+/g,
  /\d{8,12}:AA[A-Za-z0-9_-]{30,}/g, // Telegram, which carries it in the path of every address
  /(?<![A-Za-z0-9])[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}/g, // Discord
  /(?<![A-Za-z0-9])eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/g, // JSON web token
];

/** Kept: what names the secret. Taken out: the secret. */
const named: readonly RegExp[] = [
  // user:password in an address; the last @ before the host ends the password, which may hold one.
  /([a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/@"'<>]{0,200}:)[^\s/"'<>]{1,200}(?=@)/gi,
  /((?:authorization|proxy-authorization)["']?\s{0,4}[:=]\s{0,4}["']?(?:bearer|basic|bot|token)\s{1,4})[^\s"',;]{6,}/gi,
  /(\bBearer\s{1,4})[A-Za-z0-9._~+/=-]{12,}/g,
  /((?:api[_-]?key|secret[_-]?access[_-]?key|client[_-]?(?:id|secret)|tenant[_-]?id|access[_-]?token|auth[_-]?token|password|passwd)["']?\s{0,4}(?::=|[:=])\s{0,4}["']?)[^\s"',;&]{6,}/gi,
];

/** `known` are the values of this installation: keys, the database's password. */
export function createRedactor(known: readonly string[] = []): Redact {
  const values = [...new Set(known)]
    .filter((value) => value.length >= shortestKnown)
    .sort((a, b) => b.length - a.length);
  return (text) => {
    let clean = text;
    for (const value of values) clean = clean.replaceAll(value, mark);
    for (const shape of shapes) clean = clean.replace(shape, mark);
    for (const shape of named) clean = clean.replace(shape, (_match, kept: string) => kept + mark);
    return clean;
  };
}
